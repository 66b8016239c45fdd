/* What a verifier remembers of each domain while it reads the log. */
#pragma once
#include "disclosed.h"

#include "pv/event.h"
#include "pv/log_reader.h"

#include <stdbool.h>

struct pv_domains;
/* disclosed is borrowed. from_middle: reading does not begin at the log's first entry, so a domain
 * is taken as it is met. */
struct pv_domains *pv_domains_new(const struct pv_disclosed *disclosed, bool from_middle);
void pv_domains_free(struct pv_domains *d);

enum pv_domain_fault {
    PV_DOMAIN_FINE,
    PV_DOMAIN_GAP,      /* dseq jumps ahead */
    PV_DOMAIN_REPEATED, /* dseq again, or backwards */
    PV_DOMAIN_UNOPENED, /* no domain-open with a commitment as its first event */
    PV_DOMAIN_CLOSED,   /* an event after the domain's end */
    PV_DOMAIN_WRONG_EPOCH,
    PV_DOMAIN_WRONG_KEY, /* the key disclosed for the epoch is not the one committed to */
    PV_DOMAIN_TOO_SOON,  /* discloses a key before that epoch lies under a checkpoint */
    PV_DOMAIN_NO_MEMORY,
};
/* Takes the next event; ret_expected is the dseq that was due. *ret_keyed: its key is disclosed, is
 * ret_key, and gives its tag, which is for the caller to check. signed_size: entries under the last
 * checkpoint before it. */
enum pv_domain_fault pv_domains_take(struct pv_domains *d, const struct pv_log_entry *entry,
                                     const struct pv_event *e, uint64_t signed_size,
                                     uint64_t *ret_expected, bool *ret_keyed,
                                     uint8_t ret_key[PV_KEY_BYTES]);
/* Entries are left out from here on to the next that is taken: every domain is taken as it is met.
 */
void pv_domains_lose_track(struct pv_domains *d);
void pv_domains_count(const struct pv_domains *d, uint64_t *ret_all, uint64_t *ret_open);
/* Events whose tags were rechecked with disclosed keys. */
uint64_t pv_domains_rechecked(const struct pv_domains *d);
