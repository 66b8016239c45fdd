#include "files/timerfd.h"

enum { NS = 1000000000 };

struct timer {
    pv_ref next; /* chain of armed timers */
    uint32_t wakes;
    int32_t clock;
    bool armed;
    int64_t expires;  /* ns on its clock */
    int64_t interval; /* ns; 0: once */
    uint64_t ticks;   /* not yet read */
};

static const struct timer *look(const struct pv_files *f, pv_ref object)
{
    return pv_at(&f->arena, object);
}

static struct timer *edit(struct pv_files *f, pv_ref object)
{
    return pv_edit(&f->arena, object, 0, sizeof(struct timer));
}

static void disarm(struct pv_files *f, pv_ref object)
{
    pv_ref at = pv_state(f)->timers;

    if (!look(f, object)->armed)
        return;
    edit(f, object)->armed = false;
    if (at == object) {
        pv_state_edit(f)->timers = look(f, object)->next;
        return;
    }
    while (look(f, at)->next != object)
        at = look(f, at)->next;
    edit(f, at)->next = look(f, object)->next;
}

static void arm(struct pv_files *f, pv_ref object)
{
    edit(f, object)->armed = true;
    edit(f, object)->next = pv_state(f)->timers;
    pv_state_edit(f)->timers = object;
}

/* Counts what has expired by now. */
static void refresh(struct pv_files *f, pv_ref object)
{
    int64_t now = pv_domain_now_ns(f, look(f, object)->clock);
    struct timer *t;
    int64_t n = 1;

    if (!look(f, object)->armed || look(f, object)->expires > now)
        return;
    t = edit(f, object);
    if (t->interval > 0)
        n += (now - t->expires) / t->interval;
    t->ticks += (uint64_t)n;
    t->wakes++;
    if (t->interval > 0)
        t->expires += n * t->interval;
    else
        disarm(f, object);
}

static int64_t timer_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    pv_ref object = pv_file(f, file)->object;
    uint64_t ticks;

    (void)off;
    if (io->left < sizeof ticks)
        return -EINVAL;
    refresh(f, object);
    ticks = look(f, object)->ticks;
    if (ticks == 0)
        return -EAGAIN;
    edit(f, object)->ticks = 0;
    f->changed++;
    return (int64_t)pv_io_put(io, &ticks, sizeof ticks);
}

static short timer_poll(struct pv_files *f, pv_ref file)
{
    refresh(f, pv_file(f, file)->object);
    return look(f, pv_file(f, file)->object)->ticks ? POLLIN : 0;
}

static uint64_t timer_wakes(struct pv_files *f, pv_ref file)
{
    refresh(f, pv_file(f, file)->object);
    return (uint64_t)look(f, pv_file(f, file)->object)->wakes << 32;
}

static void timer_release(struct pv_files *f, pv_ref file)
{
    disarm(f, pv_file(f, file)->object);
    pv_arena_drop(&f->arena, pv_file(f, file)->object, sizeof(struct timer));
}

int64_t pv_files_timerfd_create(struct pv_files *f, int clock, int flags)
{
    pv_ref object;
    pv_ref file;

    if (flags & ~(TFD_CLOEXEC | TFD_NONBLOCK))
        return -EINVAL;
    if (clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM)
        return -EPERM;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
        return -EINVAL;
    PV_TRY(pv_fd_free(f, 0));
    object = pv_arena_new(&f->arena, sizeof(struct timer));
    file = object
               ? pv_file_new_anonymous(f, PV_FILE_TIMER, PV_FS_ANON, 0600, "anon_inode:[timerfd]",
                                       O_RDWR | ((uint32_t)flags & O_NONBLOCK))
               : 0;
    if (!file) {
        if (object)
            pv_arena_drop(&f->arena, object, sizeof(struct timer));
        return -ENFILE;
    }
    pv_file_edit(f, file)->object = object;
    edit(f, object)->clock = clock;
    return pv_fd_install(f, file, flags & TFD_CLOEXEC);
}

static bool valid(const struct timespec *t)
{
    return t->tv_sec >= 0 && t->tv_nsec >= 0 && t->tv_nsec < NS;
}

/* Far times count as the end of time. */
static int64_t ns_of(const struct timespec *t)
{
    return t->tv_sec > INT64_MAX / NS / 4 ? INT64_MAX / 4 : t->tv_sec * NS + t->tv_nsec;
}

static struct timespec spec_of(int64_t ns)
{
    return (struct timespec){ns / NS, ns % NS};
}

static void get(struct pv_files *f, pv_ref object, struct itimerspec *ret)
{
    const struct timer *t;
    int64_t left = 0;

    refresh(f, object);
    t = look(f, object);
    if (t->armed)
        left = t->expires - pv_domain_now_ns(f, t->clock);
    *ret = (struct itimerspec){spec_of(t->interval), spec_of(t->armed && left < 1 ? 1 : left)};
}

/* The timer behind a descriptor; 0 or -errno. */
static int find(const struct pv_files *f, int fd, pv_ref *ret)
{
    pv_ref file = pv_fd_file(f, fd);

    if (!file)
        return -EBADF;
    if (pv_file(f, file)->kind != PV_FILE_TIMER)
        return -EINVAL;
    *ret = pv_file(f, file)->object;
    return 0;
}

int64_t pv_files_timerfd_settime(struct pv_files *f, int fd, int flags,
                                 const struct itimerspec *value, struct itimerspec *old)
{
    pv_ref object = 0;
    int64_t start = ns_of(&value->it_value);
    struct timer *t;

    if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET) || !valid(&value->it_value) ||
        !valid(&value->it_interval))
        return -EINVAL;
    PV_TRY(find(f, fd, &object));
    if (old)
        get(f, object, old);
    disarm(f, object);
    t = edit(f, object);
    t->ticks = 0;
    t->interval = ns_of(&value->it_interval);
    t->expires = flags & TFD_TIMER_ABSTIME ? start : start + pv_domain_now_ns(f, t->clock);
    if (start > 0)
        arm(f, object);
    f->changed++;
    return 0;
}

int64_t pv_files_timerfd_gettime(struct pv_files *f, int fd, struct itimerspec *ret)
{
    pv_ref object = 0;

    PV_TRY(find(f, fd, &object));
    get(f, object, ret);
    return 0;
}

int64_t pv_files_next_timer_ns(struct pv_files *f)
{
    int64_t best = -1;

    for (pv_ref at = pv_state(f)->timers, next; at; at = next) {
        int64_t left;

        next = look(f, at)->next;
        refresh(f, at);
        if (!look(f, at)->armed)
            continue;
        left = look(f, at)->expires - pv_domain_now_ns(f, look(f, at)->clock);
        left = left < 0 ? 0 : left;
        if (best < 0 || left < best)
            best = left;
    }
    return best;
}

const struct pv_file_ops pv_timer_ops = {
    .name = "timerfd",
    .read = timer_read,
    .poll = timer_poll,
    .wakes = timer_wakes,
    .release = timer_release,
};
