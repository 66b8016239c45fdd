/* Trust domains (the term of Tyche): what runs a function, behind one interface for all classes.
 * A domain belongs to one function version and has slots; a slot holds at most one instance at a
 * time; an instance serves exactly one request. The class "process" stands in enclave/process/,
 * the class "microvm" in enclave/microvm/. One thread. */
#pragma once
#include "pv/host.h"
#include "pv/role.h"
#include "pv/spec.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

enum pv_mode { PV_MODE_FIRST_READ, PV_MODE_EXEC, PV_MODE_ZYGOTE, PV_MODE_MICROVM };
/* "first-read", "exec", "zygote", "microvm". */
const char *pv_mode_name(enum pv_mode mode);

/* A slot's cgroup directories; absolute, "" where there is none; the same path thrice under v2. */
struct pv_slot_paths {
    char memory[PV_PATH_MAX];
    char pids[PV_PATH_MAX];
    char cpu[PV_PATH_MAX];
};

struct pv_domain_config {
    const struct pv_spec *spec; /* borrowed for the domain's life */
    uint32_t uid, gid;          /* whom the calling process becomes */
    unsigned n_slots;
    enum pv_cgroup_mode cgroup_mode;
    const struct pv_slot_paths *slots; /* n_slots; borrowed during create */
    int package_fd;                    /* directory; borrowed during create */
    int secrets_fd;                    /* directory of secrets; borrowed during create */
    /* Told once for each secret that the function will find mounted. */
    int (*secret_mounted)(void *ctx, const char *name, const void *content, size_t len,
                          struct pv_err *err);
    void *ctx;
};

/* What a first-read instance has room for; a larger request takes an exec instance. The kernel
 * copies the room at every exec, so it holds the usual request and not the largest. */
enum { PV_FIRST_READ_ENV_BYTES = 8192, PV_FIRST_READ_ENV_COUNT = 96 };

struct pv_domain;

/* A process of which instances are forked. */
struct pv_zygote_facts {
    int64_t pid;
    uint64_t start_ticks;
    int listener; /* readable when one of its instances is about to end; for pv_domain_class.ending.
                     Belongs to who takes it out of the instance; -1: taken */
    bool gone;    /* the slot has no zygote any more */
};

/* What an instance is to do. */
struct pv_invocation {
    const void *env; /* the request's variables, "K=V" NUL each */
    size_t env_len;
    const void *body; /* a process's is the caller's to write to its stdin */
    size_t body_len;
    uint64_t deadline_ns; /* monotonic */
    struct pv_call_id call;
};

/* Something an instance did that a monitor saw: an object was named, or data crossed the border. */
struct pv_access {
    char what[24]; /* "open", "read", "write", "denied", "fault", … */
    char *path;    /* owned; never NULL */
    uint64_t dev, ino, size, flags;
    int64_t result;
    uint64_t time_ns; /* real time */
};

/* What instances are made of, where it is a snapshot. */
struct pv_snapshot_facts {
    uint8_t measurement[32]; /* SHA-256 over program, root, arguments, limits, memory, registers */
    uint64_t bytes, threads, start_ns;
    bool without_variables; /* a request's do not reach the program, which has copied its
                               environment */
    bool without_programs;  /* it tried to start another one, in vain */
    char unknown[512];      /* names of system calls that it tried in vain, with spaces between */
    const struct pv_access *accesses; /* what its program did up to then; borrowed */
    unsigned n_accesses;
};

/* The part of an instance that every class has. */
struct pv_instance {
    struct pv_domain *domain;
    unsigned slot;
    enum pv_mode mode;
    /* -1 where the class has no such thing */
    int stdin_fd, stdout_fd, stderr_fd; /* non-blocking pipe ends; stdin_fd may be closed early
                                           through pv_instance_close_stdin */
    int exit_fd;                        /* readable once every process of the instance is dead */
    int64_t pid;                        /* first process, in the domain owner's pid namespace */
    uint64_t start_ticks;               /* its start time, /proc/PID/stat field 22 */
    uint64_t inode[3];                  /* of its stdin, stdout, stderr */
    struct pv_zygote_facts zygote;      /* of one that was started for it; pid 0: none was */
};

/* How an instance ended. */
struct pv_instance_end {
    bool exited; /* false: killed by the signal */
    uint32_t exit_code, signal;
    uint64_t cpu_ns, peak_bytes;
    uint64_t oom_kills;      /* kills by the memory limit during its life */
    uint64_t pids_denied;    /* forks refused by the process limit during its life */
    enum pv_outcome stopped; /* a limit that the class enforces itself; PV_OUT_OK: none */
    /* of a class without pipes, borrowed until the instance is destroyed */
    const void *output, *errors;
    size_t output_len, errors_len;
    char misfit[16];   /* a system call it tried that its class has not, and another has; or "" */
    bool start_failed; /* it never became the function's program; start_error says why */
    char start_error[256];
};

struct pv_domain_class {
    const char *name;
    /* Makes the calling process the owner of a domain: it becomes config's uid, enters namespaces
     * of its own and gives up everything else, irrevocably. Needs root. On failure the process
     * must exit. */
    int (*create)(struct pv_domain **ret, const struct pv_domain_config *config,
                  struct pv_err *err);
    /* An eventfd, owned by the domain: rings when an instance is made or a slot becomes vacant. */
    int (*bell)(struct pv_domain *d);
    /* Whether an instance can be prepared in the slot: nothing is left of the last one. */
    bool (*vacant)(struct pv_domain *d, unsigned slot);
    /* Begins to make an instance in a free slot, waiting for it to be vacant. A probe carries
     * canaries in its environment and is good for examine only. Until it is made, only made, kill
     * and destroy may be called. */
    int (*prepare)(struct pv_domain *d, unsigned slot, enum pv_mode mode, bool probe,
                   struct pv_instance **ret, struct pv_err *err);
    /* 1, once: it is made, its descriptors and its pid are set; 0: not yet; negative: it could not
     * be made and is to be reaped (which names the reason again) and destroyed. */
    int (*made)(struct pv_instance *i, struct pv_err *err);
    /* Waits until made would not say 0. NULL: what is not made can be destroyed untold. */
    void (*await)(struct pv_instance *i);
    /* 1: waits for its request; 0: not yet; negative: it could not be started. */
    int (*ready)(struct pv_instance *i, struct pv_err *err);
    /* Whether its first process sleeps for something other than its request; why says for what. */
    bool (*asleep)(struct pv_instance *i, struct pv_err *why);
    /* Whether a sleeping probe has already made use of its environment: 1 yes (err says what was
     * found), 0 no. */
    int (*examine)(struct pv_instance *i, struct pv_err *why);
    /* Hands over a request to an instance that is ready and lets it run; what is borrowed must last
     * until it is destroyed. -ESTALE when it has spoilt its environment. */
    int (*begin)(struct pv_instance *i, const struct pv_invocation *v, struct pv_err *err);
    /* NULL, or whether its machine is a new one and not that of the slot's instance before it,
     * brought back to the snapshot. Once it is made. */
    bool (*fresh)(struct pv_instance *i);
    /* Without exit_fd: whether it has ended; the bell rings when it has. */
    bool (*finished)(struct pv_instance *i);
    /* Shows and forgets what the instance did since the last time; NULL: other witnesses do. */
    void (*accesses)(struct pv_instance *i, void (*visit)(void *ctx, const struct pv_access *a),
                     void *ctx);
    /* NULL: its instances are not made of one. Once an instance is made. */
    const struct pv_snapshot_facts *(*snapshot)(struct pv_domain *d);
    /* Takes a notice from a zygote's listener: 1: the instance is about to end and has done all it
     * will, as ret says; it waits for let_end. 0: nobody's end that matters. -EPIPE: the listener
     * has become useless. i: the slot's instance, NULL when there is none. */
    int (*ending)(struct pv_instance *i, int listener, struct pv_instance_end *ret,
                  struct pv_err *err);
    void (*let_end)(struct pv_instance *i, int listener);
    /* Kills every process of the instance; exit_fd tells when they are dead. */
    void (*kill)(struct pv_instance *i);
    /* Collects the end once exit_fd is readable. */
    int (*reap)(struct pv_instance *i, struct pv_instance_end *ret, struct pv_err *err);
    /* NULL, or gives back what a vacant slot keeps for its next instance; whether there was any. */
    bool (*trim)(struct pv_domain *d, unsigned slot);
    /* Frees the instance, killing and reaping it first where that has not happened. */
    void (*destroy)(struct pv_instance *i);
    /* A slot's listening socket, owned by the domain; -1: the bell rings for connections. */
    int (*listener)(struct pv_domain *d, unsigned slot, enum pv_broker broker);
    /* The next connection that a slot's instance has made, which is the caller's; -1: none. */
    int (*accept)(struct pv_domain *d, unsigned slot, enum pv_broker broker, uint16_t *ret_port);
    void (*free)(struct pv_domain *d);
};

/* What every class puts first in its own domain. */
struct pv_domain {
    const struct pv_domain_class *class;
    /* Accesses that instances have made and the owner has not been shown yet, for whoever outlives
     * both; borrowed for the domain's life. NULL: nobody counts. */
    _Atomic uint64_t *unrecorded;
};

extern const struct pv_domain_class pv_process_class;
/* After pv_microvm_open. Looks at no cgroups. */
extern const struct pv_domain_class pv_microvm_class;

/* Takes hold of what the sandbox will hide. machine: a word of pv_vm_stand_by, or 0. */
PV_MUST_CHECK int pv_microvm_open(uint8_t machine, struct pv_err *err);
/* From now on the calling process runs micro-VMs and nothing else: a system call list for all its
 * threads. */
PV_MUST_CHECK int pv_microvm_seal(struct pv_err *err);
/* Where each thread's claim stands, counted from its list of robust locks (PV_HOST_SEALED). Before
 * the seal. */
PV_MUST_CHECK int pv_microvm_claim_place(int64_t *ret, struct pv_err *err);

/* Closes the instance's stdin: the function reads its end. */
void pv_instance_close_stdin(struct pv_instance *i);
