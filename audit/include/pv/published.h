/* The checkpoint that evidence is made under: the one that the log publishes, or an older one that
 * witnesses have cosigned. */
#pragma once
#include "pv/checkpoint.h"

struct pv_signed_checkpoint {
    struct pv_checkpoint at;
    unsigned cosignatures;
    size_t len;
    uint8_t note[PV_NOTE_MAX];
};

/* The log's published checkpoint. -ENOENT when there is none. Errors else as pv_checkpoint_open. */
PV_MUST_CHECK int pv_log_latest(int dir_fd, const struct pv_note_key *key,
                                struct pv_signed_checkpoint *ret, struct pv_err *err);
/* Of notes by the log's key that lie above entry seq, takes the one with the most cosignatures
 * (those of all notes of its text together), among equals the largest; leaves inout as it is when
 * that has as many and is larger. Whose cosignatures those are is for the verifier to judge. Errors
 * as pv_checkpoint_open, of the first note that is none. */
PV_MUST_CHECK int pv_checkpoint_cosigned(const struct pv_note_key *key, const struct pv_buf *notes,
                                         size_t n, uint64_t seq, struct pv_signed_checkpoint *inout,
                                         struct pv_err *err);
