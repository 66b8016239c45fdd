/* What the auditor keeps of a domain's ratchet: the state after the last event, and the first keys
 * of epochs that are not disclosed yet. */
#pragma once
#include "pv/ratchet.h"

#include <stdbool.h>

struct epoch_key {
    uint64_t first, count; /* dseq of its first event, number of events; 0: there is none */
    uint8_t key[PV_KEY_BYTES];
    uint32_t epoch;
    uint32_t pad;
};
struct chain {
    struct pv_ratchet now;
    uint8_t start[PV_KEY_BYTES]; /* first key of the epoch at hand */
    struct epoch_key ended;      /* the epoch before it, until it is disclosed */
};

void chain_init(struct chain *c, const uint8_t seed[PV_KEY_BYTES]);
/* Tags the event, and, when it ends its epoch, goes on to the next. */
void chain_take(struct chain *c, const void *event, size_t len, bool ends_epoch,
                uint8_t ret_tag[PV_TAG_BYTES]);
/* Ends the epoch at hand for good: nothing can be tagged afterwards. */
void chain_finish(struct chain *c);
/* The key of that epoch stands in the log. */
void chain_forget(struct chain *c, uint32_t epoch);
void chain_done(struct chain *c);
