#include "files/eventfd.h"

#include <sys/eventfd.h>

struct counter {
    uint64_t value;
    uint32_t in_wakes, out_wakes;
    bool semaphore;
};

static const struct counter *look(const struct pv_files *f, pv_ref file)
{
    return pv_at(&f->arena, pv_file(f, file)->object);
}

static struct counter *edit(struct pv_files *f, pv_ref file)
{
    return pv_edit(&f->arena, pv_file(f, file)->object, 0, sizeof(struct counter));
}

static int64_t event_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    struct counter *c;
    uint64_t value;

    (void)off;
    if (io->left < sizeof value)
        return -EINVAL;
    if (look(f, file)->value == 0)
        return -EAGAIN;
    c = edit(f, file);
    value = c->semaphore ? 1 : c->value;
    c->value -= value;
    c->out_wakes++;
    f->changed++;
    return (int64_t)pv_io_put(io, &value, sizeof value);
}

static int64_t event_write(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    struct counter *c;
    uint64_t value = 0;

    (void)off;
    if (io->left < sizeof value)
        return -EINVAL;
    pv_io_get(io, &value, sizeof value);
    if (value == UINT64_MAX)
        return -EINVAL;
    if (UINT64_MAX - 1 - look(f, file)->value < value)
        return -EAGAIN;
    c = edit(f, file);
    c->value += value;
    c->in_wakes++;
    f->changed++;
    return sizeof value;
}

static short event_poll(struct pv_files *f, pv_ref file)
{
    uint64_t value = look(f, file)->value;

    return (short)((value > 0 ? POLLIN : 0) | (value < UINT64_MAX - 1 ? POLLOUT : 0));
}

static uint64_t event_wakes(struct pv_files *f, pv_ref file)
{
    return (uint64_t)look(f, file)->in_wakes << 32 | look(f, file)->out_wakes;
}

static void event_release(struct pv_files *f, pv_ref file)
{
    pv_arena_drop(&f->arena, pv_file(f, file)->object, sizeof(struct counter));
}

int64_t pv_files_eventfd2(struct pv_files *f, unsigned initial, int flags)
{
    pv_ref object;
    pv_ref file;

    if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
        return -EINVAL;
    PV_TRY(pv_fd_free(f, 0));
    object = pv_arena_new(&f->arena, sizeof(struct counter));
    file = object
               ? pv_file_new_anonymous(f, PV_FILE_EVENT, PV_FS_ANON, 0600, "anon_inode:[eventfd]",
                                       O_RDWR | ((uint32_t)flags & O_NONBLOCK))
               : 0;
    if (!file) {
        if (object)
            pv_arena_drop(&f->arena, object, sizeof(struct counter));
        return -ENFILE;
    }
    pv_file_edit(f, file)->object = object;
    edit(f, file)->value = initial;
    edit(f, file)->semaphore = flags & EFD_SEMAPHORE;
    return pv_fd_install(f, file, flags & EFD_CLOEXEC);
}

const struct pv_file_ops pv_event_ops = {
    .name = "eventfd",
    .whole = false,
    .read = event_read,
    .write = event_write,
    .poll = event_poll,
    .wakes = event_wakes,
    .release = event_release,
};
