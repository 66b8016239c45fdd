#include "stats.h"

#include "pv/clock.h"

#include <math.h>
#include <stddef.h>

/* Prometheus's default buckets, which OpenFaaS uses. */
static const double bounds[GW_BUCKETS - 1] = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10};

void gw_stats_add(struct gw_stats *s, unsigned code, uint64_t duration_ns)
{
    struct gw_code_stats *c = NULL;
    for (unsigned i = 0; i < s->n && !c; i++)
        if (s->codes[i].code == code || i == GW_CODES_MAX - 1)
            c = &s->codes[i];
    if (!c) {
        c = &s->codes[s->n++];
        c->code = s->n == GW_CODES_MAX ? 0 : code;
    }
    unsigned b = 0;
    while (b < GW_BUCKETS - 1 && (double)duration_ns > bounds[b] * (double)PV_NS_PER_S)
        b++;
    c->count++;
    c->sum_ns += duration_ns;
    c->buckets[b]++;
}

uint64_t gw_stats_total(const struct gw_stats *s)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < s->n; i++)
        total += s->codes[i].count;
    return total;
}

double gw_stats_bound(unsigned bucket)
{
    return bucket < GW_BUCKETS - 1 ? bounds[bucket] : HUGE_VAL;
}
