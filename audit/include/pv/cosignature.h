/* Cosignatures (c2sp.org/tlog-cosignature, cosignature/v1): a witness states that, as of a time, a
 * checkpoint is the largest consistent one it has seen of its log. Ed25519 with the time in front.
 */
#pragma once
#include "pv/note.h"

/* A witness as a verifier knows it. */
struct pv_cosigner_key {
    char name[PV_NOTE_NAME_MAX + 1];
    uint8_t hash[PV_NOTE_KEY_HASH_BYTES];
    uint8_t public_key[32];
};
struct pv_cosigner {
    struct pv_cosigner_key key;
    uint8_t secret[64]; /* libsodium's form; erase with pv_cosigner_done */
};

/* Verifier key text "NAME+HASH+BASE64(0x04 || key)", without a newline. */
void pv_cosigner_key_print(const struct pv_cosigner_key *k, struct pv_buf *out);
/* Parses what print wrote; one newline at the end is allowed. -EBADMSG. */
PV_MUST_CHECK int pv_cosigner_key_parse(const char *text, size_t len, struct pv_cosigner_key *ret,
                                        struct pv_err *err);

/* A signer from a 32-byte seed. -EINVAL: that name cannot be. */
PV_MUST_CHECK int pv_cosigner_init(struct pv_cosigner *c, const char *name, const uint8_t seed[32],
                                   struct pv_err *err);
void pv_cosigner_done(struct pv_cosigner *c);
/* Draws a key and writes it into the file (0600) under dir_fd; -EEXIST when there is one. */
PV_MUST_CHECK int pv_cosigner_create(struct pv_cosigner *ret, int dir_fd, const char *file,
                                     const char *name, struct pv_err *err);
PV_MUST_CHECK int pv_cosigner_load(struct pv_cosigner *ret, int dir_fd, const char *file,
                                   struct pv_err *err);
/* Appends the signature line for the text of a note (which ends in a newline), made at time_s
 * (seconds since 1970). */
PV_MUST_CHECK int pv_cosign(const struct pv_cosigner *c, uint64_t time_s, const char *text,
                            size_t len, struct pv_buf *out, struct pv_err *err);
/* The newest time at which that witness signed this note. -EBADMSG: not a note, -ENOKEY: no line by
 * this witness, -EKEYREJECTED: one that does not verify. */
PV_MUST_CHECK int pv_cosignature_check(const struct pv_cosigner_key *k, const void *note,
                                       size_t len, uint64_t *ret_time_s, struct pv_err *err);
