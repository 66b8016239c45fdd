/* Threads of the program. They share one vCPU; the monitor switches between them. */
#pragma once
#include "machine/machine.h"

#include <signal.h>

enum { PV_SIGNALS = 64, PV_CALL_ARGS = 6, PV_THREAD_NAME_BYTES = 16 };

enum pv_thread_state {
    PV_THREAD_READY,
    PV_THREAD_FUTEX, /* until woken, or until_ns */
    PV_THREAD_WAIT,  /* its call is made again when something has changed, or at until_ns */
};

/* A signal on its way. */
struct pv_signal_info {
    int code; /* si_code */
    int pid;          /* or the timer */
    uint64_t address; /* of a fault; of a timer, how often else it had expired */
    uint64_t value;
    unsigned vector; /* of an exception, 0 otherwise */
    uint64_t error;
};

struct pv_thread {
    int tid;
    enum pv_thread_state state;
    struct pv_registers r;
    uint8_t xsave[PV_XSAVE_BYTES]; /* while another thread's is in the vCPU */
    char name[PV_THREAD_NAME_BYTES];

    /* the call in progress */
    uint64_t nr, args[PV_CALL_ARGS];
    bool again;        /* it has been tried and waits */
    uint64_t progress; /* bytes it has moved before it had to wait */
    uint64_t until_ns; /* CLOCK_MONOTONIC; 0: for ever */
    uint64_t seen;     /* pv_files_changed at the last try */

    uint64_t futex; /* address waited for */
    uint32_t futex_bits;
    uint64_t clear_tid, robust, robust_len;

    uint64_t mask, pending; /* signal sets, bit n - 1 for signal n */
    bool restore_mask;      /* saved_mask comes back after the next handler or call */
    uint64_t saved_mask;
    uint64_t alt_stack, alt_size;
    uint32_t alt_flags;
    struct pv_signal_info info[PV_SIGNALS];
};
