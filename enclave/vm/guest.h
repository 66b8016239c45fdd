/* What a micro-VM consists of. The folders' functions each work on their part of it:
 *   memory/ machine/   know nothing of it
 *   thread/ calls/     run the program's threads and answer their calls
 *   program/           loads a program into a fresh one
 *   snapshot/          makes images of it, clones and resets */
#pragma once
#include "files/files.h"
#include "machine/alarm.h"
#include "machine/shared.h"
#include "memory/access.h"
#include "pv/vm.h"
#include "snapshot/pagemap.h"
#include "thread/thread.h"

#include <stdatomic.h>

enum {
    PV_PID = 1,
    PV_EXE_BYTES = 4096,
    PV_AUXV_WORDS = 48,
    PV_THREADS_MAX = 4096,
    PV_TIMERS_MAX = 64,
};

/* Where the loader put what later runs need. */
struct pv_program {
    char exe[PV_EXE_BYTES];
    char name[PV_THREAD_NAME_BYTES];
    uint64_t entry, stack;                 /* first instruction, first stack pointer */
    uint64_t random;                       /* address of AT_RANDOM's 16 bytes */
    uint64_t args, args_len, env, env_len; /* text of both, in the guest */
    uint64_t auxv[PV_AUXV_WORDS];
    unsigned n_auxv;
    uint64_t room, room_len; /* text of a run's variables; 0: none */
    uint64_t room_pointers;  /* address of their first pointer in envp */
    unsigned room_count;
    char canary[17]; /* value of the room's placeholders, but for lengths: */
    uint32_t number;
};

struct pv_signal_action {
    uint64_t handler, flags, restorer, mask;
};

struct pv_interval_timer {
    uint64_t at_ns, every_ns; /* CLOCK_MONOTONIC; 0: not armed */
};

/* timer_create(2); its id is its index. */
struct pv_posix_timer {
    bool made, quiet;       /* quiet: SIGEV_NONE */
    int clock, signal, tid; /* tid 0: the process */
    uint64_t value;
    struct pv_interval_timer due;
    uint64_t overrun; /* of its last signal */
};

/* The threads and what they share, apart from memory and files: part of a snapshot. */
struct pv_process {
    struct pv_thread **threads; /* owned, n; the first is the main one while it lives */
    unsigned n_threads, cap_threads;
    int next_tid;
    unsigned current; /* index */
    struct pv_signal_action actions[PV_SIGNALS];
    uint64_t pending; /* for any thread */
    struct pv_signal_info info[PV_SIGNALS];
    struct pv_interval_timer real;
    struct pv_posix_timer timers[PV_TIMERS_MAX];
    unsigned n_timers; /* none is made from here on */
    uint64_t stack_limit, descriptor_limit;
    uint32_t uid, gid;
};

enum pv_vm_phase {
    PV_VM_STARTING, /* on its way to the first read, for an image */
    PV_VM_READY,    /* waits for a call */
    PV_VM_RUNNING,
    PV_VM_SERVED, /* ended well: may be reset */
    PV_VM_SPENT,  /* to be freed */
};

struct pv_vm {
    struct pv_memory memory;
    struct pv_space space;
    struct pv_machine machine;
    bool has_machine; /* false: calls only, as under a fuzzer */
    struct pv_alarm alarm;
    pid_t owner; /* the thread that made it */
    struct pv_process process;
    struct pv_program program;
    struct pv_files *files; /* owned */
    struct pv_files_host files_host;
    struct pv_thread *loaded; /* whose extended registers are in the vCPU */

    struct pv_vm_limits limits; /* defaults filled in */
    enum pv_vm_finish finish;
    struct pv_vm_hooks hooks;
    enum pv_vm_phase phase;
    uint32_t shim;             /* what the shim may answer, of PV_SHIM_*; 0: there is none */
    struct pv_vm_image *image; /* borrowed; NULL: booted */
    bool learnt;               /* the image has been told, or needs not be, what a run writes */
    struct pv_pages written;   /* the clone's pages that are no longer the image's, if known */
    bool written_known;        /* below written_end, unless the thread has had a fault since */
    uint64_t written_end;
    uint64_t faults; /* page faults of the owning thread before they were looked for */

    /* of the run */
    const struct pv_vm_call *call; /* NULL between runs */
    atomic_bool stop;
    size_t span, span_at; /* where reading the body has come to */
    bool reached_read;    /* STARTING: the first read is there */
    bool ended;
    struct pv_vm_result result;
    uint8_t *out; /* owned */
    size_t out_len, out_cap;
    uint64_t out_total, err_total;
    uint64_t content_length; /* FINISH_LENGTH: where the response ends, 0: not known */
    uint64_t deadline_ns, cpu_start_ns, wall_start_ns;
    struct iovec rest; /* what the shim had not handed out when it was stopped */
    bool staged;       /* what is left of the body is in the request buffer */
    bool input_waits;  /* the last read of stdin found nothing yet */
    /* the CPU share's present period: its start, and the thread's CPU time then */
    uint64_t share_start_ns, share_cpu_ns;
    uint64_t slice_ns; /* when the running thread must let others run */
    struct pv_vm_stats stats;
    bool told_random, told_clock;
    bool wanted_process, wanted_memory; /* it was refused another process, or memory */
    unsigned n_unknown;
    uint16_t unknown[PV_VM_UNKNOWN_MAX];
};

/* Ends the run: only the first reason counts. */
void pv_vm_finish_run(struct pv_vm *vm, enum pv_vm_end end, int code, const char *fmt, ...)
    PV_PRINTF(4, 5);
/* Hands an event to the hook, if there is one. */
void pv_vm_tell(struct pv_vm *vm, enum pv_vm_event_kind kind, const char *what, const char *path,
                int64_t result);
