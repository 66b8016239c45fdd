/* Signed notes (c2sp.org/signed-note) with Ed25519: a text that ends in a newline, an empty line,
 * and signature lines "— NAME BASE64(key hash || signature)". */
#pragma once
#include "pv/buf.h"
#include "pv/limits.h"

#include <stdbool.h>

enum { PV_NOTE_KEY_HASH_BYTES = 4, PV_NOTE_NAME_MAX = 127 };

enum { PV_NOTE_OLDER_KEYS_MAX = 15 };

/* Who may sign: name, and Ed25519 public key; and, where keys were changed, those before it. */
struct pv_note_public {
    uint8_t hash[PV_NOTE_KEY_HASH_BYTES]; /* of name and key, see pv_note_key_init */
    uint8_t key[32];
    uint64_t until; /* entries of the last checkpoint it could sign; 0: not known */
};
struct pv_note_key {
    char name[PV_NOTE_NAME_MAX + 1];
    uint8_t hash[PV_NOTE_KEY_HASH_BYTES];
    uint8_t public_key[32];
    unsigned n_older;
    struct pv_note_public older[PV_NOTE_OLDER_KEYS_MAX]; /* newest first */
};
struct pv_note_signer {
    struct pv_note_key key;
    uint8_t secret[64]; /* libsodium's form; erase with pv_note_signer_done */
};

/* Fills in name, key and hash. -EINVAL when the name is empty or has spaces, newlines or '+'. */
PV_MUST_CHECK int pv_note_key_init(struct pv_note_key *k, const char *name,
                                   const uint8_t public_key[32], struct pv_err *err);
/* Another public key of the same name becomes the current one; nothing changes when it is known.
 * -E2BIG: too many. */
PV_MUST_CHECK int pv_note_key_add(struct pv_note_key *k, const uint8_t public_key[32],
                                  struct pv_err *err);
bool pv_note_key_knows(const struct pv_note_key *k, const uint8_t public_key[32]);
/* The key was given up with the checkpoint of that many entries; nothing happens when it is not
 * among k's older ones. The smallest size holds. */
void pv_note_key_retire(struct pv_note_key *k, const uint8_t public_key[32], uint64_t until);
/* The note is good and of a checkpoint of that many entries: every key of k that is older than the
 * newest among its signers was given up by then. */
void pv_note_key_retire_before(struct pv_note_key *k, const void *note, size_t len, uint64_t until);
/* Verifier key text "NAME+HASH+BASE64", one line a key, newest first; none after the last. */
void pv_note_key_print(const struct pv_note_key *k, struct pv_buf *out);
/* Parses what print wrote; one newline at the end is allowed. All lines have one name. */
PV_MUST_CHECK int pv_note_key_parse(const char *text, size_t len, struct pv_note_key *ret,
                                    struct pv_err *err);

/* A signer from a 32-byte seed. */
PV_MUST_CHECK int pv_note_signer_init(struct pv_note_signer *s, const char *name,
                                      const uint8_t seed[32], struct pv_err *err);
void pv_note_signer_done(struct pv_note_signer *s);
/* Appends the note of text (which ends in a newline) to out. */
PV_MUST_CHECK int pv_note_sign(const struct pv_note_signer *s, const char *text, size_t len,
                               struct pv_buf *out, struct pv_err *err);
/* Appends one more signature line to a note of that text. */
PV_MUST_CHECK int pv_note_add_signature(const struct pv_note_signer *s, const char *text,
                                        size_t len, struct pv_buf *out, struct pv_err *err);
/* Checks a note; the text is borrowed from it. Lines of other keys are skipped, as the
 * specification demands. -EBADMSG: not a note, -ENOKEY: no line by this key, -EKEYREJECTED: the
 * line by this key does not verify. */
PV_MUST_CHECK int pv_note_open(const struct pv_note_key *k, const void *note, size_t len,
                               const char **ret_text, size_t *ret_len, struct pv_err *err);
/* The same, and how many entries a checkpoint of those who signed may have: UINT64_MAX where one of
 * them has not been given up, as far as is known. */
PV_MUST_CHECK int pv_note_open_until(const struct pv_note_key *k, const void *note, size_t len,
                                     const char **ret_text, size_t *ret_len, uint64_t *ret_until,
                                     struct pv_err *err);
/* Appends the first signature line of each of k's keys, which must verify; no other line. */
PV_MUST_CHECK int pv_note_copy_signatures(const struct pv_note_key *k, const void *note, size_t len,
                                          struct pv_buf *out, struct pv_err *err);
