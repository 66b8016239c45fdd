#include "snapshot/snapshot.h"

#include "pv/clock.h"
#include "pv/own.h"
#include "thread/threads.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static bool is_used(const struct pv_memory *m, uint64_t i)
{
    return m->used[i / 64] >> (i % 64) & 1;
}

/* Frames that are free hold nothing in the image: a clone finds zeros there. */
static int punch(struct pv_memory *m, uint64_t first, uint64_t n, struct pv_err *err)
{
    if (fallocate(m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)(m->frames_at + first * PV_PAGE), (off_t)(n * PV_PAGE)) < 0)
        return pv_fail(err, errno, "clear the image's free memory");
    return 0;
}

static int clear_free(struct pv_memory *m, struct pv_err *err)
{
    uint64_t first = 0;

    for (uint64_t i = 0; i <= m->n_frames; i++) {
        if (i < m->n_frames && !is_used(m, i))
            continue;
        if (i > first)
            PV_TRY(punch(m, first, i - first, err));
        first = i + 1;
    }
    return 0;
}

/* Pages of the monitor that are the machine's own business start from zero. */
static void clear_monitor(struct pv_memory *m)
{
    memset(pv_memory_at(m, PV_AT_KSTACK), 0, PV_PAGE);
}

static int seal(struct pv_vm *vm, struct pv_vm_image *image, struct pv_err *err)
{
    struct pv_memory *m = &vm->memory;

    (void)munmap(m->base, m->bytes);
    m->base = NULL;
    if (fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
        return pv_fail(err, errno, "seal the image");
    image->fd = PV_TAKE_FD(m->fd);
    void *p = mmap(NULL, m->bytes, PROT_READ, MAP_SHARED, image->fd, 0);
    if (p == MAP_FAILED)
        return pv_fail(err, errno, "map the image");
    image->base = p;
    return 0;
}

static int save_registers(struct pv_vm *vm, struct pv_err *err)
{
    if (vm->loaded)
        PV_TRY(pv_machine_xsave_get(&vm->machine, vm->loaded->xsave, err));
    vm->loaded = NULL;
    pv_machine_done(&vm->machine);
    vm->has_machine = false;
    return 0;
}

static int fill(struct pv_vm *vm, struct pv_vm_image *image, struct pv_err *err)
{
    PV_TRY(save_registers(vm, err));
    PV_TRY(clear_free(&vm->memory, err));
    clear_monitor(&vm->memory);
    PV_TRY(pv_memory_state_take(&vm->memory, &image->memory, err));
    PV_TRY(pv_space_init(&image->space, NULL, err));
    PV_TRY(pv_space_copy(&image->space, &vm->space, err));
    PV_TRY(pv_threads_copy(&image->process, &vm->process, err));
    PV_TRY(pv_files_seal(vm->files, err));
    image->files = PV_TAKE_PTR(vm->files);
    image->program = vm->program;
    image->limits = vm->limits;
    image->finish = vm->finish;
    image->shim = vm->shim;
    image->frozen_ns = pv_now_mono_ns();
    return seal(vm, image, err);
}

int pv_snapshot_take(struct pv_vm *vm, struct pv_vm_image **ret, struct pv_err *err)
{
    struct pv_vm_image *image = calloc(1, sizeof *image);

    if (!image)
        return pv_fail(err, ENOMEM, "make an image");
    image->fd = -1;
    (void)pthread_mutex_init(&image->lock, NULL);
    int rc = fill(vm, image, err);
    if (rc < 0) {
        pv_vm_image_free(image);
        return pv_wrap(err, rc, "make the snapshot");
    }
    *ret = image;
    return 0;
}

void pv_vm_image_free(struct pv_vm_image *image)
{
    if (!image)
        return;
    if (image->base)
        (void)munmap(image->base, image->memory.bytes);
    if (image->fd >= 0)
        (void)close(image->fd);
    pv_memory_state_done(&image->memory);
    pv_space_done(&image->space);
    pv_threads_done(&image->process);
    pv_files_free(image->files);
    (void)pthread_mutex_destroy(&image->lock);
    free(image);
}
