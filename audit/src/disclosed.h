/* The keys that a log discloses, by domain and epoch: read before the events that they are of. */
#pragma once
#include "pv/event.h"
#include "pv/ratchet.h"

struct pv_disclosed;
struct pv_disclosed_key {
    uint8_t domain[PV_DOMAIN_ID_BYTES];
    uint32_t epoch;
    uint8_t key[PV_KEY_BYTES];
};

struct pv_disclosed *pv_disclosed_new(void);
/* Takes a key-disclosed event; the first one of an epoch counts. Any other event, and one that is
 * malformed, is passed over. */
PV_MUST_CHECK int pv_disclosed_take(struct pv_disclosed *d, const struct pv_event *e,
                                    struct pv_err *err);
/* Takes all that the log in dir_fd discloses from entry from on, up to where it can be read. */
PV_MUST_CHECK int pv_disclosed_read(struct pv_disclosed *d, int dir_fd, uint64_t from,
                                    struct pv_err *err);
/* NULL when that epoch's key is not disclosed. */
const struct pv_disclosed_key *pv_disclosed_find(const struct pv_disclosed *d,
                                                 const struct pv_domain_id *domain, uint32_t epoch);
void pv_disclosed_free(struct pv_disclosed *d);
