/* One virtual machine with one vCPU: set-up, entry and exit. It belongs to the thread that made it.
 */
#pragma once
#include "machine/kvm.h"
#include "memory/memory.h"

#include <stdbool.h>

enum { PV_XSAVE_BYTES = 4096, PV_VECTORS = 32, PV_VECTOR_PAGE_FAULT = 14 };

/* What a guest thread's registers are between two entries. */
struct pv_registers {
    struct kvm_regs general;
    uint64_t fs_base, gs_base;
};

enum pv_exit_kind {
    PV_EXIT_CALL,   /* syscall: registers as the program's, rip behind the instruction */
    PV_EXIT_FAULT,  /* exception: registers as they were at the instruction */
    PV_EXIT_SIGNAL, /* a timer rang, or somebody wrote immediate_exit */
    PV_EXIT_BROKEN, /* something a program cannot cause: reason in words */
};
struct pv_exit {
    enum pv_exit_kind kind;
    unsigned vector;
    uint64_t error, address; /* of a page fault: error code and the address touched */
    char reason[128];
};

struct pv_machine {
    const struct pv_kvm *kvm;
    const struct pv_memory *memory; /* borrowed */
    int vm_fd, cpu_fd;
    struct kvm_run *run;
    struct kvm_sregs user;       /* segments and tables as the program has them */
    bool started;                /* the vCPU holds the sregs above */
    bool at_kernel;              /* the last exit was at ring 0: the segments must be set again */
    uint64_t gap_start, gap_end; /* physical memory the machine does not have yet; equal: none */
    uint64_t exits;
};

/* Memory must hold the pages of pv_machine_pages_write. */
PV_MUST_CHECK int pv_machine_new(struct pv_machine *m, const struct pv_memory *memory,
                                 struct pv_err *err);
/* Accepts a zeroed or half-built one. */
void pv_machine_done(struct pv_machine *m);
/* Writes and maps the descriptor tables, gates and the entry code into fresh memory. */
PV_MUST_CHECK int pv_machine_pages_write(struct pv_memory *memory, enum pv_ring ring,
                                         struct pv_err *err);

/* Runs the guest with these registers until it leaves; r is what it left with. */
PV_MUST_CHECK int pv_machine_enter(struct pv_machine *m, struct pv_registers *r,
                                   struct pv_exit *ret, struct pv_err *err);
/* Lets the vCPU finish the instruction it left by, without running the guest: else KVM may do so at
 * the next entry and go on two bytes behind where that one is to begin. */
PV_MUST_CHECK int pv_machine_settle(struct pv_machine *m, struct pv_err *err);
/* x87, SSE, AVX state in XSAVE's standard format. */
PV_MUST_CHECK int pv_machine_xsave_get(struct pv_machine *m, uint8_t to[PV_XSAVE_BYTES],
                                       struct pv_err *err);
/* -EINVAL where the processor does not take it. */
PV_MUST_CHECK int pv_machine_xsave_set(struct pv_machine *m, const uint8_t from[PV_XSAVE_BYTES],
                                       struct pv_err *err);
/* The exception's name, as the manuals have it. */
const char *pv_machine_vector_name(unsigned vector);
