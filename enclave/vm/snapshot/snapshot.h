/* Images (a VM frozen at its first read), clones of them, and the way back. */
#pragma once
#include "guest.h"

#include <pthread.h>

struct pv_vm_image {
    int fd;        /* the sealed memory file; owned */
    uint8_t *base; /* read-only mapping of it; owned */
    struct pv_memory_state memory;
    struct pv_space space;     /* areas only */
    struct pv_process process; /* with the threads' extended registers */
    struct pv_program program;
    struct pv_files *files; /* sealed */
    struct pv_vm_limits limits;
    enum pv_vm_finish finish;
    uint32_t shim;
    uint64_t frozen_ns; /* CLOCK_MONOTONIC at the snapshot: waits go on from there */
    uint8_t measurement[PV_VM_HASH_BYTES];
    /* the working set of the first run of a clone, for prefaulting; guarded by lock */
    pthread_mutex_t lock;
    struct pv_ranges hot;
    bool hot_known;
};

/* Freezes a VM that has reached its first read: takes its memory file, files and threads. The VM is
 * good for freeing only. */
PV_MUST_CHECK int pv_snapshot_take(struct pv_vm *vm, struct pv_vm_image **ret, struct pv_err *err);
/* Fills image->measurement. root_hash: of the tree the program sees (32 bytes), NULL: not measured.
 */
PV_MUST_CHECK int pv_snapshot_measure(struct pv_vm_image *image, const uint8_t *root_hash,
                                      struct pv_err *err);
/* Makes vm (zeroed but for its hooks) a clone. */
PV_MUST_CHECK int pv_snapshot_clone(struct pv_vm *vm, struct pv_vm_image *image,
                                    struct pv_err *err);
/* Brings a clone back: pages, tables, threads, files. */
PV_MUST_CHECK int pv_snapshot_reset(struct pv_vm *vm, struct pv_err *err);
/* Remembers which pages a clone's run has written, for the clones that follow. */
void pv_snapshot_learn(struct pv_vm *vm);
/* -EBADMSG: a page differs from the image's. */
PV_MUST_CHECK int pv_snapshot_compare(const struct pv_vm *vm, struct pv_err *err);
