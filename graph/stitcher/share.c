#include "stitcher.h"

#include "pv/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define LAG_NS (30 * PV_NS_PER_S)
#define PAUSE_MAX_NS (200 * PV_NS_PER_MS)

enum { SHARE = 20 /* one part of so many of a processor */ };

/* Two things give way, sched(7): the weight of the autogroup, where there is one, which anybody may
 * lower and raise again up to nice 0; and the policy, from which an unprivileged process comes back
 * only where RLIMIT_NICE permits nice 0. */
enum { RLIMIT_OF_NICE_0 = 20 };

void stitcher_share_open(struct stitcher_share *s)
{
    const struct rlimit back = {RLIMIT_OF_NICE_0, RLIMIT_OF_NICE_0};

    *s = (struct stitcher_share){
        .autogroup_fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC),
        .policy = setrlimit(RLIMIT_NICE, &back) == 0,
    };
}

void stitcher_share_close(struct stitcher_share *s)
{
    if (s->autogroup_fd >= 0)
        (void)close(s->autogroup_fd);
    s->autogroup_fd = -1;
}

static void take(struct stitcher_share *s, bool rest)
{
    const char *nice = rest ? "19" : "0";

    if (s->policy)
        (void)sched_setscheduler(0, rest ? SCHED_IDLE : SCHED_OTHER, &(struct sched_param){0});
    if (s->autogroup_fd >= 0 && write(s->autogroup_fd, nice, strlen(nice)) < 0 && errno == EAGAIN)
        return; /* not so often: with the next turn */
    s->rest = rest;
}

/* Whether keeping up with what the log has grown by since the turn before would take more than its
 * part. What is left of the past does not count: that is taken when others leave time for it. */
static bool is_busy(const struct stitcher_share *s, const struct stitcher_turn *t)
{
    uint64_t grown = t->log_size > s->last_size ? t->log_size - s->last_size : 0;

    return t->done && (double)t->worked_ns / (double)t->done * (double)grown * SHARE >
                          (double)(t->now_ns - s->last_ns);
}

uint64_t stitcher_share_turn(struct stitcher_share *s, const struct stitcher_turn *t)
{
    uint64_t pause = t->worked_ns * (SHARE - 1);

    if (t->at_end)
        s->at_end_ns = t->now_ns;
    bool rest = t->at_end || (s->rest && !t->asked && t->now_ns - s->at_end_ns < LAG_NS);
    bool busy = is_busy(s, t);
    s->last_ns = t->now_ns;
    s->last_size = t->log_size;
    if (rest != s->rest)
        take(s, rest);
    if (!s->rest || !busy)
        return 0;
    return pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS;
}

void stitcher_share_full(struct stitcher_share *s)
{
    if (s->rest)
        take(s, false);
}
