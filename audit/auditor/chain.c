#include "chain.h"

#include <string.h>

void chain_init(struct chain *c, const uint8_t seed[PV_KEY_BYTES])
{
    memset(c, 0, sizeof *c);
    pv_ratchet_init(&c->now, seed);
    memcpy(c->start, c->now.key, sizeof c->start);
}

static void keep_ended(struct chain *c)
{
    c->ended = (struct epoch_key){
        .first = c->now.first, .count = c->now.index - c->now.first, .epoch = c->now.epoch};
    memcpy(c->ended.key, c->start, sizeof c->ended.key);
}

void chain_take(struct chain *c, const void *event, size_t len, bool ends_epoch,
                uint8_t ret_tag[PV_TAG_BYTES])
{
    pv_ratchet_tag(&c->now, event, len, ret_tag);
    if (!ends_epoch)
        return;
    keep_ended(c);
    pv_ratchet_next_epoch(&c->now);
    memcpy(c->start, c->now.key, sizeof c->start);
}

void chain_finish(struct chain *c)
{
    keep_ended(c);
    pv_ratchet_done(&c->now);
    explicit_bzero(c->start, sizeof c->start);
}

void chain_forget(struct chain *c, uint32_t epoch)
{
    if (c->ended.count && c->ended.epoch == epoch)
        explicit_bzero(&c->ended, sizeof c->ended);
}

void chain_done(struct chain *c)
{
    explicit_bzero(c, sizeof *c);
}
