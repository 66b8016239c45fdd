/* Proofs out of a log, and checking them with a public key alone. */
#pragma once
#include "pv/checkpoint.h"
#include "pv/log_reader.h"
#include "pv/proof.h"
#include "pv/published.h"

/* Appends a c2sp.org/tlog-proof@v1 of entry seq to ret_proof and, unless NULL, the entry itself to
 * ret_entry. The proof was checked against the entry. -ESTALE: that checkpoint does not cover it;
 * -EBADMSG: the log does not give it ('provost verify' says why). */
PV_MUST_CHECK int pv_log_prove(int dir_fd, const struct pv_signed_checkpoint *under, uint64_t seq,
                               struct pv_buf *ret_proof, struct pv_buf *ret_entry,
                               struct pv_err *err);
/* Whether the proof shows that entry to be in the log of that key. ret_checkpoint is what it rests
 * on. -EBADMSG, -ENOKEY, -EKEYREJECTED. */
PV_MUST_CHECK int pv_proof_check(const struct pv_note_key *key, const void *proof, size_t proof_len,
                                 const void *entry, size_t entry_len, uint64_t *ret_seq,
                                 struct pv_checkpoint *ret_checkpoint, struct pv_err *err);
