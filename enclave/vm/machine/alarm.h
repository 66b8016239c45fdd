/* A timer that makes the guest leave: a signal to the thread whose handler asks the vCPU to exit.
 */
#pragma once
#include "pv/err.h"

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct pv_alarm {
    timer_t timer;
    bool made;
    bool ticking;   /* armed in the kernel: rings at at_ns and again every few ms */
    uint64_t at_ns; /* CLOCK_MONOTONIC of the armed ring; 0: none */
};

/* For the calling thread. Installs the process's handler the first time. */
PV_MUST_CHECK int pv_alarm_new(struct pv_alarm *a, struct pv_err *err);
void pv_alarm_done(struct pv_alarm *a);
/* Rings at at_ns or before; 0: never. Cheap when it is armed early enough already. */
void pv_alarm_set(struct pv_alarm *a, uint64_t at_ns);
/* It has rung, or the time has passed otherwise. */
void pv_alarm_rang(struct pv_alarm *a);
/* Names the run area that the thread enters with from now on; NULL: none. A ring at any time in
 * between ends the next entry at once. */
void pv_alarm_target(struct kvm_run *run);
