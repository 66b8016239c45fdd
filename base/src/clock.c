#include "pv/clock.h"

#include <time.h>

static uint64_t now_ns(clockid_t id)
{
    struct timespec ts = {0};
    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * PV_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t pv_now_real_ns(void)
{
    return now_ns(CLOCK_REALTIME);
}

uint64_t pv_now_mono_ns(void)
{
    return now_ns(CLOCK_MONOTONIC);
}

uint64_t pv_now_boot_ns(void)
{
    return now_ns(CLOCK_BOOTTIME);
}
