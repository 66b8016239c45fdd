/* The invocations: table `inv`, where each has the one row that both answers and stitching go by,
 * cached in memory and written back with each commit. */
#pragma once
#include "state.h"

#include "pv/id.h"

struct pv_s_inv {
    uint64_t id;
    struct pv_call_id call;
    uint64_t function, version, caller, begin_ns, end_ns, status, outcome, grp;
    struct pv_s_versions unit;
    uint64_t request, response, log; /* objects; 0: none yet */
    uint64_t events_end;             /* seq of its newest event, plus 1 */
};

struct pv_invs;
PV_MUST_CHECK int pv_invs_new(struct pv_invs **ret, sqlite3 *db, struct pv_err *err);
void pv_invs_free(struct pv_invs *t);
/* The invocation of a call, or a new one with its number and call id (*ret_new tells). What is
 * handed out counts as changed; it is borrowed until the next flush. */
PV_MUST_CHECK int pv_invs_get(struct pv_invs *t, const struct pv_call_id *call,
                              struct pv_s_inv **ret, bool *ret_new, struct pv_err *err);
/* The same by its number; NULL when there is none. */
PV_MUST_CHECK int pv_invs_by_id(struct pv_invs *t, uint64_t id, struct pv_s_inv **ret,
                                struct pv_err *err);
/* Writes what has changed. */
PV_MUST_CHECK int pv_invs_flush(struct pv_invs *t, struct pv_err *err);
/* Forgets what is cached when there is much of it; only right after a flush. */
void pv_invs_trim(struct pv_invs *t);
