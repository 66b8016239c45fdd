/* Micro-VMs: an unmodified Linux program at ring 3 of a KVM virtual machine without a guest kernel.
 * Every system call of the program reaches the monitor (this library), which answers it itself.
 *
 *   spec ──pv_vm_image_make──▶ image (sealed snapshot at the first read of stdin)
 *   image ──pv_vm_new──▶ vm ──pv_vm_run──▶ result ──pv_vm_reset──▶ vm as new ──▶ …
 *
 * An image may be shared by threads; its life must enclose that of its VMs. A VM belongs to the
 * thread that made it (its vCPU does: after a fork, in the child, every call fails). A VM whose run
 * ended in anything but PV_VM_EXITED or PV_VM_FINISHED is to be freed, never reset: pv_vm_reset
 * refuses. The process's signal PV_VM_SIGNAL is taken for timers and must not be blocked. */
#pragma once
#include "pv/err.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <time.h>

/* The signal by which timers end a run; its handler is installed by the first VM. */
#define PV_VM_SIGNAL (SIGRTMIN + 3)
enum { PV_VM_HASH_BYTES = 32, PV_VM_UNKNOWN_MAX = 64, PV_VM_TEXT_MAX = 1024 };

struct pv_vm;
struct pv_vm_image;

/* 0 when this machine can run micro-VMs (a probe guest ran), else -ENOTSUP or what /dev/kvm said,
 * with the reason in err. Cheap after the first time; any thread. Takes hold of what a process that
 * gives up its rights could not open later. */
PV_MUST_CHECK int pv_vm_available(struct pv_err *err);

/* As pv_vm_available, for a process that starts others: its probe guest stays, so that the kernel
 * does not switch its code between "there are machines" and "there are none" (a millisecond each
 * way) at every machine of theirs. ret: a word about this machine for pv_vm_believe, 0 for none. */
PV_MUST_CHECK int pv_vm_stand_by(uint8_t *ret, struct pv_err *err);
/* Before pv_vm_available, which then runs no probe guest of its own unless word is 0. */
void pv_vm_believe(uint8_t word);

/* When a response is complete. */
enum pv_vm_finish {
    PV_VM_FINISH_EXIT,    /* when the program exits */
    PV_VM_FINISH_NEWLINE, /* or when its output ends in a newline after a write */
    PV_VM_FINISH_LENGTH,  /* or when the bytes its Content-Length header announced are there */
};

/* 0 stands for the default given in brackets. */
struct pv_vm_limits {
    uint64_t memory_bytes; /* guest memory, file pages included [256 MiB] */
    uint64_t tmp_bytes;    /* what /tmp may hold [16 MiB] */
    uint64_t output_bytes; /* stdout of one run [16 MiB] */
    uint64_t stderr_bytes; /* stderr of one run; more is dropped [1 MiB] */
    uint64_t cpu_ns;       /* CPU time of one run [none] */
    unsigned cpu_millis;   /* thousandths of a CPU, after the first read of stdin [no limit] */
    uint64_t calls;        /* mediated system calls of one run [none] */
    unsigned threads;      /* [256] */
    unsigned descriptors;  /* [256] */
};

/* Something the program did, or tried, that names an object or moves data. */
enum pv_vm_event_kind {
    PV_VM_EVENT_OPEN,    /* path, device, inode, size, flags */
    PV_VM_EVENT_READ,    /* first read of an object */
    PV_VM_EVENT_WRITE,   /* first write of an object */
    PV_VM_EVENT_CHANGE,  /* unlink, rename, mkdir …: name of the call in what, path */
    PV_VM_EVENT_CONNECT, /* path holds "address:port" */
    PV_VM_EVENT_DENIED,  /* what: the call, path: the object, result: the errno */
    PV_VM_EVENT_RANDOM,  /* the first randomness taken in a run */
    PV_VM_EVENT_CLOCK,   /* the first time of day taken in a run */
    PV_VM_EVENT_FAULT,   /* what: the fault in words */
    PV_VM_EVENT_UNKNOWN, /* result: number of a system call the monitor does not know */
};
struct pv_vm_event {
    enum pv_vm_event_kind kind;
    const char *what; /* "" where there is none; borrowed during the callback */
    const char *path;
    uint64_t device, inode, size, flags;
    int64_t result;
};

/* What the monitor asks of its user. Each may be NULL. Called on the VM's thread, during
 * pv_vm_image_make, pv_vm_run. */
struct pv_vm_hooks {
    void *ctx;
    /* stdout, as it is written; 0, or a negative errno that the program gets. NULL: the output is
     * collected and handed over in the result. */
    int (*output)(void *ctx, const void *p, size_t len);
    /* stderr, as it is written, at most limits.stderr_bytes. */
    void (*diagnostic)(void *ctx, const void *p, size_t len);
    /* A connected host socket (the VM's from then on) or a negative errno; address is text.
     * NULL: every connection is refused with EACCES. */
    int (*connect)(void *ctx, int family, const char *address, uint16_t port);
    void (*event)(void *ctx, const struct pv_vm_event *e);
    /* Each mediated call after it was answered: for people. */
    void (*trace)(void *ctx, int tid, const char *text);
};

struct pv_vm_spec {
    int root_fd; /* read-only tree the program sees as /; borrowed during the call */
    const uint8_t
        *root_hash;      /* of that tree, PV_VM_HASH_BYTES, for the measurement; NULL: left out */
    const char *program; /* path in that tree; a "#!" line is followed */
    const char *const *argv; /* NULL-terminated, argv[0] included */
    const char *const *env;  /* NULL-terminated */
    const char *cwd;         /* NULL: "/" */
    size_t env_bytes;        /* room for a run's variables; 0: none */
    unsigned env_count;
    /* Names a program is likely to look up before its first read, NULL-terminated; NULL: none.
     * Their placeholders are in the environment until the run's variables take their place: what
     * the program finds there counts as use (report.env_taken). Of env_numbers the value is a
     * number. */
    const char *const *env_names, *const *env_numbers;
    uint32_t uid, gid; /* the program's, for its rights to files and for getuid */
    struct pv_vm_limits limits;
    enum pv_vm_finish finish;
    uint64_t start_ns; /* time to come to the first read; 0: 10 s */
};

struct pv_vm_stats {
    uint64_t calls;      /* system calls that left the guest */
    uint64_t shim_calls; /* answered inside the guest, as the guest counts them */
    uint64_t exits;      /* all exits of the vCPU */
    uint64_t switches;   /* of guest threads */
    uint64_t faults;     /* page faults that gave a page */
    uint64_t cpu_ns, wall_ns;
    uint64_t frames;      /* pages of guest memory assigned */
    uint64_t dirty_pages; /* of the last reset: pages copied back */
    uint64_t reset_ns;    /* of the last reset */
    uint64_t scan_ns;     /* of it: looking for the pages that were written */
};

enum pv_vm_end {
    PV_VM_EXITED,   /* code */
    PV_VM_FINISHED, /* the declared end of the response was there */
    PV_VM_SIGNALED, /* killed by signal, as a process would be; text names the fault */
    PV_VM_DEADLINE, /* wall clock */
    PV_VM_CPU,      /* limits.cpu_ns */
    PV_VM_MEMORY,   /* limits.memory_bytes, or the host's for the output */
    PV_VM_OUTPUT,   /* limits.output_bytes */
    PV_VM_CALLS,    /* limits.calls */
    PV_VM_STUCK,    /* every thread waits, and for nothing that can happen */
    PV_VM_STOPPED,  /* by pv_vm_stop */
    PV_VM_BROKEN,   /* the machine did what it must not: text says what */
};
/* "exited", "finished", "signal", "deadline", "cpu", "memory", "output", "calls", "stuck",
 * "stopped", "broken". */
const char *pv_vm_end_name(enum pv_vm_end end);

struct pv_vm_result {
    enum pv_vm_end end;
    int code, signal;
    const uint8_t *out; /* collected output; borrowed until the VM's next run or free */
    size_t out_len;
    struct pv_vm_stats stats;
    char text[PV_VM_TEXT_MAX]; /* what happened, for a log; "" after an ordinary exit */
};

struct pv_vm_call {
    uint64_t id;     /* the call; for claims and events */
    const char *env; /* "K=V" NUL each, env_len bytes; replaces the room's placeholders */
    size_t env_len;
    const struct iovec *body; /* n_body spans of the request, borrowed during the run */
    size_t n_body;
    /* Instead of a body: reads of stdin ask here. 0: end, or a negative errno. */
    ssize_t (*input)(void *ctx, void *p, size_t len);
    void *input_ctx;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
};

/* What an image is, whether or not it could be made. */
struct pv_vm_report {
    uint8_t measurement[PV_VM_HASH_BYTES]; /* SHA-256 over root hash, program, limits, files, memory
                                              (arguments and environment in it), registers */
    unsigned n_unknown;
    uint16_t unknown[PV_VM_UNKNOWN_MAX]; /* system calls that it tried in vain: there are none
                                            such, or no program may; each once */
    bool wanted_process;                 /* among them one that starts another program */
    bool env_taken;          /* the program has copied or looked up its environment before its first
                                read: variables of a run may not reach it */
    unsigned threads;        /* at the snapshot */
    uint64_t image_bytes;    /* memory the snapshot holds */
    uint64_t start_ns;       /* from the first instruction to the first read */
    struct pv_vm_result end; /* when the program ended before it read: how */
    char
        why_not[PV_VM_TEXT_MAX]; /* "" when the image was made; else why the program does not fit */
};

/* Runs the program up to its first read of stdin and seals what is there. -ENOEXEC and the like:
 * the program cannot be loaded; -ECANCELED: it ended, failed or was refused something it needs
 * before it read stdin (report->why_not). hooks: borrowed during the call; may be NULL. */
PV_MUST_CHECK int pv_vm_image_make(const struct pv_vm_spec *spec, const struct pv_vm_hooks *hooks,
                                   struct pv_vm_image **ret, struct pv_vm_report *report,
                                   struct pv_err *err);
/* Accepts NULL. Every VM of it must have been freed. */
void pv_vm_image_free(struct pv_vm_image *image);

/* A VM that stands at the snapshot. hooks: borrowed for the VM's life; may be NULL. */
PV_MUST_CHECK int pv_vm_new(struct pv_vm_image *image, const struct pv_vm_hooks *hooks,
                            struct pv_vm **ret, struct pv_err *err);
/* A VM at the program's first instruction, without a snapshot: for one run, no reset. */
PV_MUST_CHECK int pv_vm_boot(const struct pv_vm_spec *spec, const struct pv_vm_hooks *hooks,
                             struct pv_vm **ret, struct pv_err *err);
/* Serves one call. 0 whenever the result says how it ended; negative only when it could not be
 * started (-ESTALE: the VM has not been reset since its last run; -EPERM: another thread made it;
 * -E2BIG: the variables do not fit the room). */
PV_MUST_CHECK int pv_vm_run(struct pv_vm *vm, const struct pv_vm_call *call,
                            struct pv_vm_result *ret, struct pv_err *err);
/* Ends its present run, or its next one at its beginning, from any thread; until it is reset. */
void pv_vm_stop(struct pv_vm *vm);
/* Takes back a pv_vm_stop that came after the run it was meant for; not while one is under way. */
void pv_vm_go_on(struct pv_vm *vm);
/* Brings the VM back to the snapshot: memory, registers, threads, files. -ESTALE: it must be freed
 * instead (it failed, has no snapshot, or has made page tables for more than about 128 MiB of new
 * addresses: a later run would have fewer). -EPERM: another thread made it. */
PV_MUST_CHECK int pv_vm_reset(struct pv_vm *vm, struct pv_err *err);
/* Compares all guest memory with the snapshot: 0 equal, -EBADMSG with the first difference. For
 * tests and audits; takes milliseconds. Call after a reset. */
PV_MUST_CHECK int pv_vm_compare(struct pv_vm *vm, struct pv_err *err);
/* Accepts NULL. */
void pv_vm_free(struct pv_vm *vm);

/* The system call's name, or NULL. */
const char *pv_vm_call_name(uint64_t nr);
