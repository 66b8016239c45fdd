#include "files/pipe.h"

#include <sys/ioctl.h>

enum { SLOTS = 16, SLOTS_MAX = 128 };

struct slot {
    pv_ref page;
    uint16_t off, len;
};

struct pipe {
    uint32_t readers, writers, opens;
    uint32_t head, count, size; /* of the ring */
    uint32_t in_wakes, out_wakes;
    struct slot ring[SLOTS_MAX];
};

static const struct pipe *look(const struct pv_files *f, pv_ref file)
{
    return pv_at(&f->arena, pv_node(f, pv_file_node(f, file))->object);
}

static struct pipe *edit(struct pv_files *f, pv_ref file)
{
    return pv_edit(&f->arena, pv_node(f, pv_file_node(f, file))->object, 0, sizeof(struct pipe));
}

int pv_pipe_join(struct pv_files *f, pv_ref file)
{
    struct pipe *p = edit(f, file);
    uint32_t access = pv_file(f, file)->flags & O_ACCMODE;

    p->opens++;
    p->readers += access != O_WRONLY;
    p->writers += access != O_RDONLY;
    return 0;
}

static pv_ref page_take(struct pv_files *f)
{
    pv_ref ref = 0;

    if (pv_state(f)->pipe_pages < pv_state(f)->pipe_pages_max)
        ref = pv_arena_new(&f->arena, PV_PAGE);
    if (ref)
        pv_state_edit(f)->pipe_pages++;
    return ref;
}

static void page_give(struct pv_files *f, pv_ref page)
{
    pv_arena_drop(&f->arena, page, PV_PAGE);
    pv_state_edit(f)->pipe_pages--;
}

static int64_t pipe_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    struct pipe *p;
    bool full;
    int64_t done = 0;

    (void)off;
    if (io->left == 0)
        return 0;
    if (look(f, file)->count == 0)
        return look(f, file)->writers ? -EAGAIN : 0;
    p = edit(f, file);
    full = p->count >= p->size;
    while (io->left > 0 && p->count > 0) {
        struct slot *s = &p->ring[p->head];
        size_t n = pv_io_put(io, (const uint8_t *)pv_at(&f->arena, s->page) + s->off, s->len);

        s->off = (uint16_t)(s->off + n);
        s->len = (uint16_t)(s->len - n);
        done += (int64_t)n;
        if (s->len > 0)
            break;
        page_give(f, s->page);
        p->head = (p->head + 1) % SLOTS_MAX;
        p->count--;
    }
    p->out_wakes += full && p->count < p->size;
    f->changed++;
    return done;
}

/* What is left over a multiple of a page joins the last page when all of it fits. */
static size_t merge(struct pv_files *f, struct pipe *p, struct pv_io *io)
{
    size_t rest = io->left % PV_PAGE;
    struct slot *last = &p->ring[(p->head + p->count + SLOTS_MAX - 1) % SLOTS_MAX];

    if (rest == 0 || p->count == 0 || (size_t)last->off + last->len + rest > PV_PAGE)
        return 0;
    pv_io_get(io, pv_edit(&f->arena, last->page, (size_t)last->off + last->len, rest), rest);
    last->len = (uint16_t)(last->len + rest);
    return rest;
}

static int64_t pipe_write(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    struct pipe *p;
    int64_t done;

    (void)off;
    if (io->left == 0)
        return 0;
    if (!look(f, file)->readers)
        return -EPIPE;
    p = edit(f, file);
    done = (int64_t)merge(f, p, io);
    while (io->left > 0 && p->count < p->size) {
        pv_ref page = page_take(f);
        size_t n;

        if (!page)
            return done ? done : -ENOMEM;
        n = pv_io_get(io, pv_edit(&f->arena, page, 0, PV_PAGE), PV_PAGE);
        p->ring[(p->head + p->count) % SLOTS_MAX] = (struct slot){page, 0, (uint16_t)n};
        p->count++;
        done += (int64_t)n;
    }
    p->in_wakes++;
    f->changed++;
    return done ? done : -EAGAIN;
}

static short pipe_poll(struct pv_files *f, pv_ref file)
{
    const struct pipe *p = look(f, file);
    uint32_t access = pv_file(f, file)->flags & O_ACCMODE;
    short mask = 0;

    if (access != O_WRONLY) {
        mask = (short)(mask | (p->count ? POLLIN | POLLRDNORM : 0));
        mask = (short)(mask | (p->writers ? 0 : POLLHUP));
    }
    if (access != O_RDONLY) {
        mask = (short)(mask | (p->count < p->size ? POLLOUT | POLLWRNORM : 0));
        mask = (short)(mask | (p->readers ? 0 : POLLERR));
    }
    return mask;
}

static uint64_t pipe_wakes(struct pv_files *f, pv_ref file)
{
    const struct pipe *p = look(f, file);
    uint32_t access = pv_file(f, file)->flags & O_ACCMODE;

    return (access == O_WRONLY ? 0 : (uint64_t)p->in_wakes << 32) |
           (access == O_RDONLY ? 0 : p->out_wakes);
}

static int64_t pipe_ioctl(struct pv_files *f, pv_ref file, unsigned long request, int *value)
{
    const struct pipe *p = look(f, file);

    if (request != FIONREAD)
        return -ENOTTY;
    *value = 0;
    for (uint32_t i = 0; i < p->count; i++)
        *value += p->ring[(p->head + i) % SLOTS_MAX].len;
    return 0;
}

static void drop(struct pv_files *f, pv_ref node)
{
    pv_ref object = pv_node(f, node)->object;
    const struct pipe *p = pv_at(&f->arena, object);

    for (uint32_t i = 0; i < p->count; i++)
        page_give(f, p->ring[(p->head + i) % SLOTS_MAX].page);
    pv_arena_drop(&f->arena, object, sizeof *p);
    pv_node_edit(f, node)->object = 0;
    pv_node_edit(f, node)->special = PV_SPECIAL_NO_OPEN;
}

static void pipe_release(struct pv_files *f, pv_ref file)
{
    struct pipe *p = edit(f, file);
    uint32_t access = pv_file(f, file)->flags & O_ACCMODE;

    p->readers -= access != O_WRONLY;
    p->writers -= access != O_RDONLY;
    p->in_wakes++;
    p->out_wakes++;
    if (--p->opens == 0)
        drop(f, pv_file_node(f, file));
}

int64_t pv_pipe_size(struct pv_files *f, pv_ref file, bool set, unsigned bytes)
{
    unsigned slots = 1;

    if (pv_file(f, file)->kind != PV_FILE_PIPE)
        return -EBADF;
    if (!set)
        return (int64_t)look(f, file)->size * PV_PAGE;
    if (bytes > SLOTS_MAX * PV_PAGE) /* half of what Linux gives a user */
        return bytes > 1u << 31 ? -EINVAL : -EPERM;
    while (slots * PV_PAGE < bytes)
        slots *= 2;
    if (slots < look(f, file)->count)
        return -EBUSY;
    edit(f, file)->size = slots;
    return (int64_t)slots * PV_PAGE;
}

/* The writer's file on the same node as the reader's. */
static pv_ref other_end(struct pv_files *f, pv_ref reader, uint32_t flags)
{
    pv_ref dentry = pv_file(f, reader)->dentry;
    pv_ref writer = pv_file_new(f, PV_FILE_PIPE, dentry, flags);

    if (writer)
        pv_dentry_get(f, dentry);
    return writer;
}

static int64_t make(struct pv_files *f, uint32_t flags, pv_ref ret[2])
{
    pv_ref object = pv_arena_new(&f->arena, sizeof(struct pipe));
    struct pv_node *node;

    if (!object)
        return -ENFILE;
    ret[0] = pv_file_new_anonymous(f, PV_FILE_PIPE, PV_FS_PIPE, S_IFIFO | 0600, "pipe",
                                   O_RDONLY | flags);
    if (!ret[0]) {
        pv_arena_drop(&f->arena, object, sizeof(struct pipe));
        return -ENFILE;
    }
    ((struct pipe *)pv_edit(&f->arena, object, 0, sizeof(struct pipe)))->size = SLOTS;
    node = pv_node_edit(f, pv_file_node(f, ret[0]));
    node->special = PV_SPECIAL_PIPE;
    node->object = object;
    PV_TRY(pv_pipe_join(f, ret[0]));
    ret[1] = other_end(f, ret[0], O_WRONLY | flags);
    if (!ret[1]) {
        pv_file_put(f, ret[0]);
        return -ENFILE;
    }
    return pv_pipe_join(f, ret[1]);
}

int64_t pv_files_pipe2(struct pv_files *f, int ret_fds[2], int flags)
{
    pv_ref ends[2] = {0};
    int first = pv_fd_free(f, 0);
    int second = first < 0 ? first : pv_fd_free(f, first + 1);
    uint32_t fd_flags = flags & O_CLOEXEC ? FD_CLOEXEC : 0;

    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    if (flags & O_DIRECT)
        return -EINVAL; /* no packets */
    if (second < 0)
        return second;
    PV_TRY((int)make(f, (uint32_t)flags & O_NONBLOCK, ends));
    pv_fd_put(f, first, ends[0], fd_flags);
    pv_fd_put(f, second, ends[1], fd_flags);
    ret_fds[0] = first;
    ret_fds[1] = second;
    return 0;
}

const struct pv_file_ops pv_pipe_ops = {
    .name = "pipe",
    .whole = true,
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .wakes = pipe_wakes,
    .ioctl = pipe_ioctl,
    .release = pipe_release,
};
