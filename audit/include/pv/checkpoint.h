/* Checkpoints (c2sp.org/tlog-checkpoint): the text "ORIGIN\nSIZE\nBASE64(ROOT)\n" in a signed note.
 */
#pragma once
#include "pv/note.h"
#include "pv/ratchet.h"

struct pv_checkpoint {
    char origin[PV_NOTE_NAME_MAX + 1];
    uint64_t size;
    uint8_t root[PV_HASH_BYTES];
};

/* Signs and appends the note to out; the origin is the signer's name. also (or NULL) signs as well.
 */
PV_MUST_CHECK int pv_checkpoint_sign(const struct pv_note_signer *s,
                                     const struct pv_note_signer *also, uint64_t size,
                                     const uint8_t root[PV_HASH_BYTES], struct pv_buf *out,
                                     struct pv_err *err);
/* What a note claims, without looking at signatures: for one that the reader kept himself. */
PV_MUST_CHECK int pv_checkpoint_claims(const void *note, size_t len, struct pv_checkpoint *ret,
                                       struct pv_err *err);
/* The size that a note claims, unchecked: for passing over what need not be looked at. */
bool pv_checkpoint_claimed_size(const void *note, size_t len, uint64_t *ret);
/* Checks signature, form and origin (the key's name). Errors as pv_note_open; -ENOKEY also when all
 * that signed it were given up at a smaller size. */
PV_MUST_CHECK int pv_checkpoint_open(const struct pv_note_key *k, const void *note, size_t len,
                                     struct pv_checkpoint *ret, struct pv_err *err);
