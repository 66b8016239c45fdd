/* The class "process": what its files share. */
#pragma once
#include "cgroup.h"
#include "environment.h"
#include "network.h"
#include "patience.h"
#include "pipes.h"
#include "sandbox.h"
#include "worker.h"

#include <stdatomic.h>

struct pv_zygote;

/* One bears an instance at a time and mostly waits for it meanwhile. */
enum { PV_BREEDERS_MAX = 4 };

/* A thread that makes zygotes and traces them and what they bear. */
struct pv_breeder {
    struct pv_worker *worker;
    struct pv_patience patience;
};

struct pv_process_slot {
    struct pv_breeder *breeder;
    struct pv_slot_network network;
    struct pv_slot_cgroup cgroup;
    struct pv_zygote *zygote; /* the breeder's; NULL: none yet */
    bool taken;
    int mounts_fd;      /* mount namespace of its instance, -1: none */
    struct pv_job drop; /* closes that; the slot is vacant when it is done */
};

struct pv_process_domain {
    struct pv_domain base;
    const struct pv_spec *spec; /* borrowed */
    struct pv_process_slot *slots;
    unsigned n_slots;
    struct pv_worker *maker, *closer;
    struct pv_breeder breeders[PV_BREEDERS_MAX];
    unsigned n_breeders;
    int bell;             /* eventfd of all */
    bool ends_early;      /* the kernel keeps a process whose exit was noticed from running again */
    atomic_bool stopping; /* no breeder need wait for anything any more */
    int landlock_abi;
    char tmp_options[96];
    char *argv[PV_ARGV_MAX + 1];              /* into spec */
    struct pv_environment at_gate;            /* static variables only */
    struct pv_environment reserved;           /* for first-read instances and zygotes */
    struct pv_environment probe;              /* of the last probe */
    char request_env[PV_REQUEST_ENV_MAX + 1]; /* written in the child's copy only */
};

struct pv_process_instance {
    struct pv_instance base;
    const struct pv_environment *env;
    int control;                        /* SEQPACKET; the child's end is close-on-exec */
    bool at_gate, waits, begun, reaped; /* waits: in its first read, with env where place says */
    struct pv_environment_place place;
    struct pv_worker *worker;
    struct pv_job
        job; /* the worker's part; child, child_fd, why and, of a zygote's, place are its results */
    struct pv_sandbox_plan plan;
    struct pv_pipes pipes; /* until it is settled */
    pid_t child;
    int child_fd;
    struct pv_err why;    /* there is no child */
    bool settled, ending; /* ending: let_end is due, or was called */
    uint64_t ending_id;
    struct pv_sandbox_report report; /* step AT_GATE and error 0 until a failure was reported */
};

/* Instance operations of pv_process_class. */
PV_MUST_CHECK int pv_process_prepare(struct pv_domain *d, unsigned slot, enum pv_mode mode,
                                     bool probe, struct pv_instance **ret, struct pv_err *err);
PV_MUST_CHECK int pv_process_made(struct pv_instance *i, struct pv_err *err);
void pv_process_await(struct pv_instance *i);
bool pv_process_vacant(struct pv_domain *d, unsigned slot);
PV_MUST_CHECK int pv_process_ready(struct pv_instance *i, struct pv_err *err);
bool pv_process_asleep(struct pv_instance *i, struct pv_err *why);
PV_MUST_CHECK int pv_process_begin(struct pv_instance *i, const struct pv_invocation *v,
                                   struct pv_err *err);
PV_MUST_CHECK int pv_process_examine(struct pv_instance *i, struct pv_err *why);
PV_MUST_CHECK int pv_process_ending(struct pv_instance *i, int listener,
                                    struct pv_instance_end *ret, struct pv_err *err);
void pv_process_let_end(struct pv_instance *i, int listener);
void pv_process_kill(struct pv_instance *i);
PV_MUST_CHECK int pv_process_reap(struct pv_instance *i, struct pv_instance_end *ret,
                                  struct pv_err *err);
/* Job of a slot. */
void pv_process_drop_mounts(struct pv_job *job);
void pv_process_destroy(struct pv_instance *i);
