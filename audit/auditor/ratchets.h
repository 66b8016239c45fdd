/* The auditor's copies of the domains' chains, in the mapped file keys/ratchets: so that after
 * any crash both the unsigned tail of the log and what is left in the rings can be checked. Each
 * slot keeps the states at the domain's last two checkpoints, each with a checksum. The older one
 * is where a scan of the log begins, when the scan comes by there: a power failure may take the
 * last checkpoint (its own sync is part of the next commit) but leave the file of ratchets ahead of
 * it; and being killed in the middle of an update leaves one of the two whole. */
#pragma once
#include "chain.h"

#include "pv/id.h"

#include <stdbool.h>

enum { RATCHET_SLOTS = 4096 };

struct ratchets;
/* Opens or creates the file under the key directory. */
PV_MUST_CHECK int ratchets_open(struct ratchets **ret, int key_dir_fd, struct pv_err *err);
void ratchets_close(struct ratchets *r);
/* The domain and its older state in slot i; false when the slot is free (or damaged). */
bool ratchets_get(const struct ratchets *r, unsigned i, struct pv_domain_id *ret_domain,
                  struct chain *ret);
/* Its newer state, or the only one. */
bool ratchets_get_newer(const struct ratchets *r, unsigned i, struct chain *ret);
/* Puts a new domain into a free slot, durably; -ENOSPC when there is none. */
PV_MUST_CHECK int ratchets_add(struct ratchets *r, const struct pv_domain_id *domain,
                               const struct chain *state, unsigned *ret_slot, struct pv_err *err);
/* Adds the state at a new checkpoint; the one before the last is erased by it. */
void ratchets_put(struct ratchets *r, unsigned slot, const struct chain *state);
/* Makes all of them durable. */
PV_MUST_CHECK int ratchets_sync(struct ratchets *r, struct pv_err *err);
void ratchets_erase(struct ratchets *r, unsigned slot);
