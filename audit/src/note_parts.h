/* What a note's signatures and keys are made of, whatever the kind of signature: names, key hashes,
 * verifier and secret key texts, signature lines (c2sp.org/signed-note). */
#pragma once
#include "pv/note.h"

enum pv_note_alg {
    PV_NOTE_ED25519 = 0x01,     /* over the text alone */
    PV_NOTE_COSIGNATURE = 0x04, /* c2sp.org/tlog-cosignature: Ed25519 over a time and the text */
};
enum {
    PV_NOTE_SIGNATURES_MAX = 16,
    PV_NOTE_SEED_BYTES = 32,
    PV_NOTE_RAW_MAX = PV_NOTE_KEY_HASH_BYTES + 8 + 64, /* of a signature line */
};

bool pv_note_name_ok(const char *name, size_t len);
/* First bytes of SHA-256(name || "\n" || alg || public key). */
void pv_note_hash_key(const char *name, enum pv_note_alg alg, const uint8_t public_key[32],
                      uint8_t out[PV_NOTE_KEY_HASH_BYTES]);

/* One line "NAME+HASH+BASE64(alg || key)", without a newline. */
void pv_note_put_key(const char *name, enum pv_note_alg alg, const uint8_t public_key[32],
                     struct pv_buf *out);
/* The reverse; -EBADMSG also when the hash is not that of name and key. name has room for
 * PV_NOTE_NAME_MAX + 1. */
PV_MUST_CHECK int pv_note_get_key(const char *line, size_t len, enum pv_note_alg alg,
                                  char *ret_name, uint8_t ret_key[32], struct pv_err *err);
/* "PRIVATE+KEY+NAME+HASH+BASE64(alg || seed)" and a newline. */
void pv_note_put_secret(const char *name, enum pv_note_alg alg,
                        const uint8_t hash[PV_NOTE_KEY_HASH_BYTES],
                        const uint8_t seed[PV_NOTE_SEED_BYTES], struct pv_buf *out);
/* The reverse; false when it is malformed. */
bool pv_note_get_secret(const char *text, size_t len, enum pv_note_alg alg,
                        char ret_name[PV_NOTE_NAME_MAX + 1], uint8_t ret_seed[PV_NOTE_SEED_BYTES]);

/* One signature line. */
struct pv_note_signature {
    const char *name; /* borrowed from the note */
    size_t name_len;
    uint8_t raw[PV_NOTE_RAW_MAX];
    size_t raw_len; /* 0: it holds something longer, of a kind not known here */
};
void pv_note_put_signature(const char *name, const uint8_t *raw, size_t raw_len,
                           struct pv_buf *out);
/* Takes a note apart: its text, which ends in a newline, and where the signature lines begin.
 * -EBADMSG. All is borrowed. */
PV_MUST_CHECK int pv_note_split(const void *note, size_t len, const char **ret_text,
                                size_t *ret_len, const char **ret_lines, struct pv_err *err);
/* 1 = the next signature line, at moves on; 0 = none is left, -EBADMSG. n counts them from 0. */
PV_MUST_CHECK int pv_note_next_signature(const char **at, const char *end, unsigned n,
                                         struct pv_note_signature *ret, struct pv_err *err);
