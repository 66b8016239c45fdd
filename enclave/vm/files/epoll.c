#include "files/epoll.h"

enum {
    NESTS_MAX = 1, /* a set may watch sets, but no deeper: looking stays cheap */
    PRIVATE_BITS = (int)(EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE),
    EVENTS_MAX = INT32_MAX / 12,
};

/* One watched descriptor. */
struct item {
    pv_ref next;         /* in the set */
    pv_ref set;          /* the set's file */
    pv_ref file;         /* watched; the item goes with it */
    pv_ref next_watcher; /* of the file */
    int32_t fd;
    uint32_t events;
    uint64_t data;
    uint64_t seen; /* wakes of the file at the last look */
    bool fresh;    /* not looked at since it was set */
};

static const struct item *look(const struct pv_files *f, pv_ref ref)
{
    return pv_at(&f->arena, ref);
}

static struct item *edit(struct pv_files *f, pv_ref ref)
{
    return pv_edit(&f->arena, ref, 0, sizeof(struct item));
}

static pv_ref find_item(const struct pv_files *f, pv_ref set, pv_ref file, int fd)
{
    pv_ref at = pv_file(f, set)->object;

    while (at && (look(f, at)->file != file || look(f, at)->fd != fd))
        at = look(f, at)->next;
    return at;
}

static void leave_set(struct pv_files *f, pv_ref ref)
{
    pv_ref set = look(f, ref)->set;
    pv_ref at = pv_file(f, set)->object;

    if (at == ref) {
        pv_file_edit(f, set)->object = look(f, ref)->next;
        return;
    }
    while (look(f, at)->next != ref)
        at = look(f, at)->next;
    edit(f, at)->next = look(f, ref)->next;
}

static void leave_file(struct pv_files *f, pv_ref ref)
{
    pv_ref file = look(f, ref)->file;
    pv_ref at = pv_file(f, file)->watchers;

    if (at == ref) {
        pv_file_edit(f, file)->watchers = look(f, ref)->next_watcher;
        return;
    }
    while (look(f, at)->next_watcher != ref)
        at = look(f, at)->next_watcher;
    edit(f, at)->next_watcher = look(f, ref)->next_watcher;
}

static void remove_item(struct pv_files *f, pv_ref ref)
{
    leave_set(f, ref);
    leave_file(f, ref);
    pv_arena_drop(&f->arena, ref, sizeof(struct item));
}

void pv_epoll_forget_file(struct pv_files *f, pv_ref file)
{
    while (pv_file(f, file)->watchers)
        remove_item(f, pv_file(f, file)->watchers);
}

static void epoll_release(struct pv_files *f, pv_ref set)
{
    while (pv_file(f, set)->object)
        remove_item(f, pv_file(f, set)->object);
}

short pv_poll_file(struct pv_files *f, pv_ref file)
{
    const struct pv_file_ops *ops = pv_file_ops_of(f, file);

    return ops->poll ? ops->poll(f, file) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

static uint32_t ready(struct pv_files *f, const struct item *item)
{
    if (!(item->events & ~(uint32_t)PRIVATE_BITS))
        return 0;
    return (uint32_t)(uint16_t)pv_poll_file(f, item->file) & item->events;
}

/* Has the file woken this item since the last look? A wake that it does not ask for is none. */
static bool edge(const struct item *item, uint64_t wakes)
{
    bool in = wakes >> 32 != item->seen >> 32;
    bool out = (uint32_t)wakes != (uint32_t)item->seen;

    return item->fresh || (in && item->events & (EPOLLIN | EPOLLRDNORM)) ||
           (out && item->events & (EPOLLOUT | EPOLLWRNORM));
}

static bool has_edges(const struct pv_files *f, const struct item *item)
{
    return item->events & EPOLLET && pv_file_ops_of(f, item->file)->wakes;
}

static uint32_t item_ready(struct pv_files *f, pv_ref ref)
{
    const struct item *item = look(f, ref);
    uint64_t wakes;

    if (!has_edges(f, item))
        return ready(f, item);
    wakes = pv_file_ops_of(f, item->file)->wakes(f, item->file);
    if (!edge(item, wakes) &&
        (wakes == item->seen || !(ready(f, item) & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))))
        return 0;
    return ready(f, item);
}

/* An item was looked at: edges up to now are used up, one shot is fired. */
static void used_up(struct pv_files *f, pv_ref ref, bool reported)
{
    uint32_t events = look(f, ref)->events;
    uint64_t wakes;

    if (reported && events & EPOLLONESHOT)
        edit(f, ref)->events &= (uint32_t)PRIVATE_BITS;
    if (!has_edges(f, look(f, ref)))
        return;
    wakes = pv_file_ops_of(f, look(f, ref)->file)->wakes(f, look(f, ref)->file);
    if (wakes == look(f, ref)->seen && !look(f, ref)->fresh)
        return;
    edit(f, ref)->seen = wakes;
    edit(f, ref)->fresh = false;
}

/* What was reported last goes behind what was not looked at. */
static void rotate(struct pv_files *f, pv_ref set, pv_ref last)
{
    pv_ref first = pv_file(f, set)->object;
    pv_ref tail = last;

    if (!look(f, last)->next)
        return;
    while (look(f, tail)->next)
        tail = look(f, tail)->next;
    edit(f, tail)->next = first;
    pv_file_edit(f, set)->object = look(f, last)->next;
    edit(f, last)->next = 0;
}

static int find_set(const struct pv_files *f, int epfd, pv_ref *ret)
{
    *ret = pv_fd_file(f, epfd);
    if (!*ret)
        return -EBADF;
    return pv_file(f, *ret)->kind == PV_FILE_EPOLL ? 0 : -EINVAL;
}

int64_t pv_files_epoll_wait(struct pv_files *f, int epfd, struct epoll_event *ret, int max)
{
    pv_ref set = 0;
    int n = 0;

    if (max <= 0 || max > EVENTS_MAX)
        return -EINVAL;
    PV_TRY(find_set(f, epfd, &set));
    for (pv_ref at = pv_file(f, set)->object; at; at = look(f, at)->next) {
        uint32_t events = item_ready(f, at);

        if (events) {
            ret[n].events = events;
            ret[n++].data.u64 = look(f, at)->data;
        }
        used_up(f, at, events != 0);
        if (n == max) {
            rotate(f, set, at);
            break;
        }
    }
    return n;
}

static short epoll_poll(struct pv_files *f, pv_ref set)
{
    for (pv_ref at = pv_file(f, set)->object; at; at = look(f, at)->next)
        if (item_ready(f, at))
            return POLLIN | POLLRDNORM;
    return 0;
}

static uint64_t epoll_wakes(struct pv_files *f, pv_ref set)
{
    (void)set;
    return f->changed << 32;
}

/* Longest chain of sets from here; more than NESTS_MAX + 1 counts as endless. */
static int depth(const struct pv_files *f, pv_ref set, pv_ref target, int level)
{
    int most = 0;

    if (set == target || level > NESTS_MAX)
        return NESTS_MAX + 1;
    for (pv_ref at = pv_file(f, set)->object; at && most <= NESTS_MAX; at = look(f, at)->next)
        if (pv_file(f, look(f, at)->file)->kind == PV_FILE_EPOLL) {
            int below = depth(f, look(f, at)->file, target, level + 1);

            most = below > most ? below : most;
        }
    return most + 1;
}

/* Sets above this one, itself included. */
static int height(const struct pv_files *f, pv_ref set, int level)
{
    int most = 0;

    for (pv_ref at = pv_file(f, set)->watchers; at && level <= NESTS_MAX;
         at = look(f, at)->next_watcher) {
        int above = height(f, look(f, at)->set, level + 1);

        most = above > most ? above : most;
    }
    return most + 1;
}

static int64_t add(struct pv_files *f, pv_ref set, pv_ref file, int fd,
                   const struct epoll_event *event)
{
    struct item *item;
    pv_ref ref;

    if (pv_file(f, file)->kind == PV_FILE_EPOLL &&
        depth(f, file, set, 0) + height(f, set, 0) > NESTS_MAX + 1)
        return -ELOOP;
    ref = pv_arena_new(&f->arena, sizeof *item);
    if (!ref)
        return -ENOMEM;
    item = edit(f, ref);
    item->set = set;
    item->file = file;
    item->fd = fd;
    item->events = event->events | EPOLLERR | EPOLLHUP;
    item->data = event->data.u64;
    item->fresh = true;
    item->next = pv_file(f, set)->object;
    item->next_watcher = pv_file(f, file)->watchers;
    pv_file_edit(f, set)->object = ref;
    pv_file_edit(f, file)->watchers = ref;
    return 0;
}

static int64_t modify(struct pv_files *f, pv_ref ref, const struct epoll_event *event)
{
    struct item *item;

    if ((event->events | look(f, ref)->events) & EPOLLEXCLUSIVE)
        return -EINVAL;
    item = edit(f, ref);
    item->events = event->events | EPOLLERR | EPOLLHUP;
    item->data = event->data.u64;
    item->fresh = true;
    return 0;
}

static int64_t control(struct pv_files *f, pv_ref set, int op, pv_ref file, int fd,
                       const struct epoll_event *event)
{
    pv_ref item = find_item(f, set, file, fd);

    switch (op) {
    case EPOLL_CTL_ADD:
        return item ? -EEXIST : add(f, set, file, fd, event);
    case EPOLL_CTL_MOD:
        return item ? modify(f, item, event) : -ENOENT;
    case EPOLL_CTL_DEL:
        if (!item)
            return -ENOENT;
        remove_item(f, item);
        return 0;
    default:
        return -EINVAL;
    }
}

int64_t pv_files_epoll_ctl(struct pv_files *f, int epfd, int op, int fd,
                           const struct epoll_event *event)
{
    pv_ref set = pv_fd_file(f, epfd);
    pv_ref file = pv_fd_file(f, fd);

    if (!set || !file)
        return -EBADF;
    if (!pv_file_ops_of(f, file)->poll)
        return -EPERM;
    if (set == file || pv_file(f, set)->kind != PV_FILE_EPOLL || (op != EPOLL_CTL_DEL && !event))
        return -EINVAL;
    if (op == EPOLL_CTL_MOD && event->events & EPOLLEXCLUSIVE)
        return -EINVAL;
    if (op == EPOLL_CTL_ADD && event->events & EPOLLEXCLUSIVE &&
        pv_file(f, file)->kind == PV_FILE_EPOLL)
        return -EINVAL;
    f->changed++;
    return control(f, set, op, file, fd, event);
}

int64_t pv_files_epoll_create1(struct pv_files *f, int flags)
{
    pv_ref file;

    if (flags & ~EPOLL_CLOEXEC)
        return -EINVAL;
    PV_TRY(pv_fd_free(f, 0));
    file =
        pv_file_new_anonymous(f, PV_FILE_EPOLL, PV_FS_ANON, 0600, "anon_inode:[eventpoll]", O_RDWR);
    return file ? pv_fd_install(f, file, flags & EPOLL_CLOEXEC) : -ENFILE;
}

const struct pv_file_ops pv_epoll_ops = {
    .name = "epoll",
    .poll = epoll_poll,
    .wakes = epoll_wakes,
    .release = epoll_release,
};
