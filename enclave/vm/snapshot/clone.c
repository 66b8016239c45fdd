#include "snapshot/snapshot.h"

#include "calls/host.h"
#include "pv/clock.h"
#include "snapshot/pagemap.h"
#include "thread/threads.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum {
    POPULATE_WRITE = 23,    /* MADV_POPULATE_WRITE, Linux 5.14 */
    GAP_BYTES = PV_PAGE,    /* ranges so near are prefaulted as one */
    KEPT_PAGES_MAX = 16384, /* a clone with more written pages gives the others back */
};

/* Everything a clone may have written lies below this: high frames never are. */
static uint64_t written_end(const struct pv_memory *m)
{
    return (uint64_t)(uintptr_t)m->base + m->frames_at + m->low_end * PV_PAGE;
}

/* Prefaults what earlier clones wrote (REAP, Ustiugov et al., ASPLOS '21), as far as this one may
 * have written: a page beyond would become its own without a fault. Not needed for being right, so
 * errors do not matter. */
static void prefault(struct pv_vm *vm, struct pv_vm_image *image)
{
    uint64_t top = written_end(&vm->memory) - (uint64_t)(uintptr_t)vm->memory.base;
    struct pv_ranges hot;

    (void)pthread_mutex_lock(&image->lock);
    hot = image->hot;
    (void)pthread_mutex_unlock(&image->lock);
    for (unsigned i = 0; i < hot.n && !hot.all; i++) {
        uint64_t start = hot.v[i].start, end = hot.v[i].end - GAP_BYTES;

        end = end < top ? end : top;
        if (start < end)
            (void)madvise(vm->memory.base + start, end - start, POPULATE_WRITE);
    }
}

static bool wants_hot(struct pv_vm_image *image)
{
    (void)pthread_mutex_lock(&image->lock);
    bool wants = !image->hot_known;
    image->hot_known = true;
    (void)pthread_mutex_unlock(&image->lock);
    return wants;
}

void pv_snapshot_learn(struct pv_vm *vm)
{
    struct pv_vm_image *image = vm->image;
    uint64_t base = (uint64_t)(uintptr_t)vm->memory.base;
    struct pv_ranges hot = {.n = 0};
    struct pv_err err = PV_ERR_INIT;
    struct pv_pages written;
    uint64_t next;

    if (vm->learnt)
        return;
    vm->learnt = true;
    if (!wants_hot(image) ||
        pv_pagemap_look(base, written_end(&vm->memory), &written, &next, &err) < 0)
        return;
    for (unsigned i = 0; i < written.n; i++)
        pv_ranges_add(&hot, written.v[i].start - base, written.v[i].end - base + GAP_BYTES);
    (void)pthread_mutex_lock(&image->lock);
    image->hot = hot;
    (void)pthread_mutex_unlock(&image->lock);
}

/* What a clone begins with, and what a reset puts back, besides memory. */
static int restore_state(struct pv_vm *vm, struct pv_err *err)
{
    const struct pv_vm_image *image = vm->image;

    if (vm->space.changed || !vm->space.n_areas)
        PV_TRY(pv_space_copy(&vm->space, &image->space, err));
    vm->space.brk = image->space.brk;
    vm->space.brk_mapped = image->space.brk_mapped;
    vm->space.out_of_memory = false;
    vm->shim = image->shim;
    PV_TRY(pv_threads_copy(&vm->process, &image->process, err));
    /* segments and extended registers are set at the next entry, whatever they are now */
    vm->machine.started = false;
    vm->loaded = NULL;
    return 0;
}

int pv_snapshot_clone(struct pv_vm *vm, struct pv_vm_image *image, struct pv_err *err)
{
    struct pv_files_spec files = {.host = &vm->files_host, .ctx = vm};

    vm->image = image;
    vm->limits = image->limits;
    vm->finish = image->finish;
    vm->program = image->program;
    PV_TRY(pv_memory_clone(&vm->memory, image->fd, &image->memory, err));
    PV_TRY(pv_space_init(&vm->space, &vm->memory, err));
    PV_TRY(restore_state(vm, err));
    pv_host_callbacks(vm);
    PV_TRY(pv_files_clone(image->files, &files, &vm->files, err));
    prefault(vm, image);
    PV_TRY(pv_machine_new(&vm->machine, &vm->memory, err));
    vm->has_machine = true;
    return pv_alarm_new(&vm->alarm, err);
}

/* Copies one range back from the image. */
static void copy_back(struct pv_vm *vm, uint64_t start, uint64_t end)
{
    uint64_t off = start - (uint64_t)(uintptr_t)vm->memory.base;

    memcpy(vm->memory.base + off, vm->image->base + off, end - start);
}

/* The file's page comes back at the next touch, and the memory is free. */
static int give_back(struct pv_vm *vm, uint64_t start, uint64_t end, struct pv_err *err)
{
    uint64_t off = start - (uint64_t)(uintptr_t)vm->memory.base;

    if (madvise(vm->memory.base + off, end - start, MADV_DONTNEED) < 0)
        return pv_fail(err, errno, "give memory back");
    return 0;
}

static int put_back(struct pv_vm *vm, const struct pv_pages *written, uint64_t *pages,
                    struct pv_err *err)
{
    for (unsigned i = 0; i < written->n; i++) {
        const struct pv_pages_region *r = &written->v[i];

        if (*pages < KEPT_PAGES_MAX)
            copy_back(vm, r->start, r->end);
        else
            PV_TRY(give_back(vm, r->start, r->end, err));
        *pages += (r->end - r->start) / PV_PAGE;
    }
    return 0;
}

/* Looks for the written pages and puts them back; keeps what was found if that is all. */
static int scan_pages(struct pv_vm *vm, uint64_t *pages, struct pv_err *err)
{
    uint64_t base = (uint64_t)(uintptr_t)vm->memory.base;
    uint64_t end = written_end(&vm->memory);
    uint64_t faults;
    bool counted = pv_pagemap_faults(&faults);

    for (uint64_t at = base; at < end;) {
        uint64_t start = pv_now_mono_ns();
        bool first = at == base;

        PV_TRY(pv_pagemap_look(at, end, &vm->written, &at, err));
        vm->stats.scan_ns += pv_now_mono_ns() - start;
        PV_TRY(put_back(vm, &vm->written, pages, err));
        vm->written_end = end;
        vm->written_known = counted && first && at >= end && *pages < KEPT_PAGES_MAX;
    }
    vm->faults = faults;
    return 0;
}

/* A page becomes the clone's own by a fault that is counted for the thread to which the VM belongs:
 * as long as there was none, and nothing was used beyond where the last look ended, what was found
 * then is still all. */
static int restore_pages(struct pv_vm *vm, struct pv_err *err)
{
    uint64_t faults;
    uint64_t pages = 0;

    vm->stats.scan_ns = 0;
    if (vm->written_known && written_end(&vm->memory) <= vm->written_end &&
        pv_pagemap_faults(&faults) && faults == vm->faults)
        PV_TRY(put_back(vm, &vm->written, &pages, err));
    else
        PV_TRY(scan_pages(vm, &pages, err));
    vm->stats.dirty_pages = pages;
    return 0;
}

int pv_snapshot_reset(struct pv_vm *vm, struct pv_err *err)
{
    uint64_t start = pv_now_mono_ns();

    if (!pv_memory_can_rewind(&vm->memory))
        return pv_refuse(err, ESTALE, "the VM has made too many page tables to be reset");
    PV_TRY(pv_machine_settle(&vm->machine, err));
    PV_TRY(restore_pages(vm, err));
    PV_TRY(pv_memory_forget(&vm->memory, &vm->memory.now, err));
    PV_TRY(pv_memory_forget(&vm->memory, &vm->memory.reset, err));
    pv_memory_rewind(&vm->memory);
    PV_TRY(restore_state(vm, err));
    pv_files_reset(vm->files);
    vm->stats.reset_ns = pv_now_mono_ns() - start;
    return 0;
}

/* Compares what a clone has written anywhere, whatever the reset looks at: the other pages are the
 * file's own. */
int pv_snapshot_compare(const struct pv_vm *vm, struct pv_err *err)
{
    uint64_t base = (uint64_t)(uintptr_t)vm->memory.base;
    uint64_t end = base + vm->memory.bytes;
    struct pv_pages written;

    for (uint64_t at = base; at < end;) {
        PV_TRY(pv_pagemap_look(at, end, &written, &at, err));
        for (unsigned i = 0; i < written.n; i++) {
            for (uint64_t page = written.v[i].start; page < written.v[i].end; page += PV_PAGE) {
                uint64_t off = page - base;

                if (memcmp(vm->memory.base + off, vm->image->base + off, PV_PAGE) != 0)
                    return pv_refuse(err, EBADMSG, "the page at %#llx differs from the snapshot",
                                     (unsigned long long)off);
            }
        }
    }
    return 0;
}
