/* Counters: of one function, and of the gateway. */
#pragma once
#include <stdint.h>

enum { GW_BUCKETS = 12, GW_CODES_MAX = 32 };

struct gw_code_stats {
    unsigned code; /* 0: every code past GW_CODES_MAX */
    uint64_t count;
    uint64_t sum_ns;
    uint64_t buckets[GW_BUCKETS]; /* not cumulative; the last is +Inf */
};
struct gw_stats {
    unsigned n;
    struct gw_code_stats codes[GW_CODES_MAX];
    uint64_t started;
};
struct gw_metrics {
    uint64_t http_requests;
    uint64_t http_refused;
    uint64_t auth_failures;
    uint64_t queue_full;
    uint64_t turned_away;
    uint64_t calls_denied;
    uint64_t egress_allowed;
    uint64_t egress_denied;
};

void gw_stats_add(struct gw_stats *s, unsigned code, uint64_t duration_ns);
uint64_t gw_stats_total(const struct gw_stats *s);
/* Upper bound in seconds of a bucket; the last has none (infinity). */
double gw_stats_bound(unsigned bucket);
