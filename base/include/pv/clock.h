/* Clocks, all in nanoseconds. */
#pragma once
#include <stdint.h>

#define PV_NS_PER_MS 1000000ull
#define PV_NS_PER_S 1000000000ull

/* CLOCK_REALTIME since the epoch: what events carry. */
uint64_t pv_now_real_ns(void);
/* CLOCK_MONOTONIC: for deadlines and durations. */
uint64_t pv_now_mono_ns(void);
/* CLOCK_BOOTTIME: what eBPF records carry. */
uint64_t pv_now_boot_ns(void);
