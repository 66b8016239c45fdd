/* The class "microvm": what its files share. Each slot has a thread of its own, to which its VM
 * belongs; jobs make the VM, run it, and bring it back to the snapshot. */
#pragma once
#include "../process/environment.h"
#include "../process/worker.h"
#include "pv/domain.h"
#include "pv/vm.h"

#include <pthread.h>

enum { PV_MICROVM_CONNECTIONS = 64, PV_MICROVM_ACCESSES = 4096 };

struct pv_microvm_domain;

struct pv_microvm_instance {
    struct pv_instance base;
    struct pv_job job; /* makes the slot's VM, then runs it */
    bool begun, fresh;
    struct pv_vm_call call;
    struct pv_call_id request; /* whom the run is for */
    struct iovec body;
    struct pv_vm_result result;
    int rc; /* the job's, and why it failed */
    struct pv_err why;
};

struct pv_accesses {
    struct pv_access *v; /* owned */
    unsigned n, cap;
    uint64_t lost;    /* more than are kept */
    size_t run_bytes; /* of all paths of the present run */
};

struct pv_microvm_slot {
    struct pv_microvm_domain *domain;
    struct pv_worker *worker;
    struct pv_vm *vm;    /* the worker's; NULL: none yet */
    struct pv_job reset; /* follows each run by itself; also frees the VM */
    bool spent;          /* the reset's: the VM can only be freed */
    struct pv_vm_hooks hooks;
    struct pv_microvm_instance instance;
    bool taken;
    char misfit[16];      /* the call by which the running instance tried to start a program; or "" */
    struct pv_buf errors; /* the running instance's; the worker's until it has ended */
    pthread_mutex_t lock; /* of what follows, in which the worker puts what the owner takes */
    struct pv_accesses noted;
    struct pv_accesses shown; /* the owner's: what it took, for its memory to be used again */
    struct {
        int fd;
        enum pv_broker broker;
    } connections[PV_MICROVM_CONNECTIONS];
    unsigned n_connections;
};

struct pv_microvm_domain {
    struct pv_domain base;
    const struct pv_spec *spec; /* borrowed */
    struct pv_microvm_slot *slots;
    unsigned n_slots;
    int bell, root;
    char *argv[PV_ARGV_MAX + 1]; /* into spec */
    struct pv_environment environment;
    struct pv_vm_image *image; /* the first instance's job makes it */
    struct pv_vm_report report;
    struct pv_accesses start; /* the program's, up to the snapshot */
    struct pv_snapshot_facts facts;
};

/* instance.c: operations of the class. */
PV_MUST_CHECK int pv_microvm_prepare(struct pv_domain *d, unsigned slot, enum pv_mode mode,
                                     bool probe, struct pv_instance **ret, struct pv_err *err);
PV_MUST_CHECK int pv_microvm_made(struct pv_instance *i, struct pv_err *err);
bool pv_microvm_trim(struct pv_domain *d, unsigned slot);
bool pv_microvm_vacant(struct pv_domain *d, unsigned slot);
PV_MUST_CHECK int pv_microvm_begin(struct pv_instance *i, const struct pv_invocation *v,
                                   struct pv_err *err);
bool pv_microvm_fresh(struct pv_instance *i);
bool pv_microvm_finished(struct pv_instance *i);
void pv_microvm_kill(struct pv_instance *i);
PV_MUST_CHECK int pv_microvm_reap(struct pv_instance *i, struct pv_instance_end *ret,
                                  struct pv_err *err);
void pv_microvm_destroy(struct pv_instance *i);
/* The slot's last job. */
void pv_microvm_free_job(struct pv_job *job);

/* hooks.c: what a running VM asks of the domain. */
void pv_microvm_hooks(struct pv_microvm_slot *slot);
void pv_microvm_accesses(struct pv_instance *i, void (*visit)(void *ctx, const struct pv_access *a),
                         void *ctx);
int pv_microvm_accept(struct pv_domain *d, unsigned slot, enum pv_broker broker,
                      uint16_t *ret_port);
/* Forgets what nobody has taken. */
void pv_microvm_forget(struct pv_microvm_slot *slot);
/* What a program that comes to its snapshot asks of the domain: nothing, but it is noted. */
void pv_microvm_start_hooks(struct pv_microvm_domain *d, struct pv_vm_hooks *ret);
void pv_microvm_start_forget(struct pv_microvm_domain *d);

/* imports.c: whether an executable names a function that starts other programs, of which a micro-VM
 * has none. */
bool pv_microvm_starts_programs(int root, const char *path);

/* image.c: the snapshot of the function, made once. */
PV_MUST_CHECK int pv_microvm_image(struct pv_microvm_domain *d, struct pv_err *err);
