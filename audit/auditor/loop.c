#include "auditor.h"

#include "witness.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"
#include "pv/role.h"

#include <sys/epoll.h>

enum {
    ACTIVE_WAIT_MS = 5,  /* while rings are polled */
    IDLE_WAIT_MS = 1000, /* while producers ring the bell */
    STALL_WAIT_MS = 100, /* after a failed write */
    IDLE_TURNS = 20,     /* empty turns before going to sleep */
    COMMIT_AFTER_MS = PV_LOG_DELAY_MS - ACTIVE_WAIT_MS,
    COMMIT_SPACING_MS = 2, /* also critical events wait that long for company */
    MUCH = 128,            /* records in one turn: less waits for company, too */
    HEARTBEAT_S = 60,
    HEARTBEAT_IDLE_S = 300, /* when nothing else was logged since the last one */
};

static bool commit_due(const struct auditor *a)
{
    uint64_t now = pv_now_mono_ns();
    if (pv_log_size(a->log) == pv_log_signed_size(a->log))
        return false;
    if (pv_log_size(a->log) - pv_log_signed_size(a->log) >= PV_LOG_BATCH_MAX)
        return true;
    if (a->critical && now - a->last_commit_ns >= COMMIT_SPACING_MS * PV_NS_PER_MS)
        return true;
    return now - a->oldest_unsigned_ns >= COMMIT_AFTER_MS * PV_NS_PER_MS;
}

static unsigned budget(const struct auditor *a)
{
    uint64_t unsigned_now = pv_log_size(a->log) - pv_log_signed_size(a->log);
    return unsigned_now < PV_LOG_BATCH_MAX ? PV_LOG_BATCH_MAX - (unsigned)unsigned_now : 0;
}

int auditor_tolerate(struct auditor *a, int rc, const struct pv_err *why, struct pv_err *err)
{
    if (rc == 0 && a->full)
        pv_log(PV_LOG_WARN, "the log grows again");
    if (rc == 0)
        a->full = false;
    if (rc != -ENOSPC && rc != -EDQUOT) {
        if (rc < 0)
            *err = *why;
        return rc;
    }
    if (!a->full)
        pv_log(PV_LOG_ERROR,
               "the disk is full: the log cannot grow, events wait in their rings until there is "
               "room: %s",
               why->text);
    a->full = true;
    return 0;
}

static int write_and_commit(struct auditor *a, bool now, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    int rc = auditor_write(a, &why);
    if (rc == 0 && a->witness)
        witness_release(a->witness);
    if (rc == 0 && (now || commit_due(a)))
        rc = auditor_commit(a, &why);
    return auditor_tolerate(a, rc, &why, err);
}

static int heartbeat(struct auditor *a, struct pv_err *err)
{
    uint64_t now = pv_now_mono_ns();
    bool idle = pv_log_size(a->log) == a->heartbeat_size;
    uint64_t every_s = idle ? HEARTBEAT_IDLE_S : HEARTBEAT_S;
    if (now - a->last_heartbeat_ns < every_s * PV_NS_PER_S || !pv_log_has_room(a->log))
        return 0;
    PV_TRY(witness_emit_counters(a, err));
    a->last_heartbeat_ns = now;
    a->heartbeat_size = pv_log_size(a->log);
    return 0;
}

/* Outside first, so that what an instance did mostly stands before its end. */
static int take(struct auditor *a, unsigned *ret_work, struct pv_err *err)
{
    unsigned outside = 0, inside = 0, room = budget(a);
    if (a->witness)
        PV_TRY(witness_drain(a, room, &outside, err));
    PV_TRY(auditor_drain(a, budget(a), &inside, err));
    *ret_work = outside + inside;
    if (room > 0 && *ret_work >= room)
        *ret_work += MUCH; /* what is left waits for a commit, not for company */
    PV_TRY(auditor_end_own_epoch(a, err));
    PV_TRY(auditor_rotate_if_asked(a, err));
    PV_TRY(auditor_detach_if_asked(a, err));
    PV_TRY(auditor_finish_gone(a, err));
    return heartbeat(a, err);
}

/* One turn. Whatever adds an event does so where there is room or can be done again, so a full disk
 * interrupts anything here without harm. */
static int turn(struct auditor *a, unsigned *ret_work, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    *ret_work = 0;
    PV_TRY(auditor_control(a, err));
    if (a->rotating) {
        int rc = auditor_tolerate(a, auditor_rotate_on(a, &why), &why, err);
        *ret_work = !a->rotating;
        return rc;
    }
    if (!a->stalled) {
        int rc = take(a, ret_work, &why);
        if (rc < 0)
            return auditor_tolerate(a, rc, &why, err);
    }
    return write_and_commit(a, false, err);
}

/* Asks all producers to ring the bell; false when one has put something in meanwhile. */
static bool go_to_sleep(struct auditor *a)
{
    bool quiet = true;
    for (struct producer *p = a->producers.head; p; p = p->hh.next)
        if (p->ring && !p->condemned)
            quiet &= pv_ring_reader_sleep(p->ring);
    return quiet;
}

static void wake_up(struct auditor *a)
{
    for (struct producer *p = a->producers.head; p; p = p->hh.next)
        if (p->ring)
            pv_ring_reader_wake(p->ring);
}

static int watch(int epoll_fd, int fd, uint32_t events, struct pv_err *err)
{
    struct epoll_event ev = {.events = events, .data.fd = fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
        return pv_fail(err, errno, "watch descriptor %d", fd);
    return 0;
}

/* How many descriptors had something; 0: the time passed. */
static int wait_events(struct auditor *a, int epoll_fd, int signal_fd, int timeout_ms,
                       struct pv_err *err)
{
    struct epoll_event ev[4];
    uint8_t sink[512];
    int n = epoll_wait(epoll_fd, ev, 4, timeout_ms);
    if (n < 0 && errno != EINTR)
        return pv_fail(err, errno, "wait for events");
    for (int i = 0; i < n; i++) {
        if (ev[i].data.fd == signal_fd)
            a->draining = true;
        if (ev[i].data.fd == signal_fd || ev[i].data.fd == PV_ROLE_BELL_FD)
            (void)!read(ev[i].data.fd, sink, sizeof sink);
    }
    return n < 0 ? 0 : n;
}

/* Everything that was in a ring when this began is in the log afterwards, under a checkpoint. */
static int finish_all(struct auditor *a, struct pv_err *err)
{
    unsigned work;
    do
        PV_TRY(turn(a, &work, err));
    while (work > 0 && !a->stalled);
    if (a->rotating)
        PV_TRY(auditor_rotate_on(a, err));
    PV_TRY(witness_emit_counters(a, err));
    PV_TRY(auditor_commit(a, err));
    for (struct producer *p = a->producers.head; p; p = p->hh.next)
        p->gone |= p->closed;
    PV_TRY(auditor_finish_gone(a, err));
    PV_TRY(auditor_commit(a, err));
    PV_TRY(auditor_finish_gone(a, err)); /* discloses what was closed just now */
    PV_TRY(auditor_commit(a, err));
    PV_TRY(auditor_finish_gone(a, err)); /* and erases it */
    /* The auditor's own last key is for the next one to disclose: no event comes after this. */
    PV_TRY(auditor_emit_close(a, &a->self->id, a->draining ? "drained" : "supervisor gone", err));
    PV_TRY(auditor_commit(a, err));
    pv_log_ends(a->log);
    return pv_log_publish(a->log, true, err);
}

/* Under load rings are looked at every few milliseconds, not for each record: every look costs
 * whoever makes the records. */
static int pause_after(const struct auditor *a, unsigned work)
{
    if (a->stalled || a->rotating)
        return STALL_WAIT_MS;
    if (work >= MUCH)
        return 0;
    return a->critical ? 1 : ACTIVE_WAIT_MS;
}

int auditor_run(struct auditor *a, int signal_fd, struct pv_err *err)
{
    pv_autoclose int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        return pv_fail(err, errno, "create an epoll");
    PV_TRY(watch(epoll_fd, PV_ROLE_CONTROL_FD, EPOLLIN, err));
    PV_TRY(watch(epoll_fd, PV_ROLE_BELL_FD, EPOLLIN, err));
    PV_TRY(watch(epoll_fd, signal_fd, EPOLLIN, err));
    if (a->witness && witness_fd(a->witness) >= 0)
        PV_TRY(watch(epoll_fd, witness_fd(a->witness), EPOLLIN | EPOLLET, err));
    for (unsigned idle = 0; !a->draining && !a->control_closed;) {
        unsigned work;
        PV_TRY(turn(a, &work, err));
        bool quiet = work == 0 && !a->rotating && pv_log_size(a->log) == pv_log_signed_size(a->log);
        idle = quiet ? idle + 1 : 0;
        int timeout_ms = pause_after(a, work);
        bool asleep = idle > IDLE_TURNS && go_to_sleep(a);
        if (asleep) {
            struct pv_err why = PV_ERR_INIT;
            timeout_ms = IDLE_WAIT_MS;
            PV_TRY(auditor_tolerate(a, pv_log_publish(a->log, true, &why), &why, err));
        }
        int came = wait_events(a, epoll_fd, signal_fd, timeout_ms, err);
        PV_TRY(came);
        if (came > 0 && idle > IDLE_TURNS)
            wake_up(a);
        /* Whoever rang, or the clock, is worth a few turns of polling only when something comes. */
        if (asleep)
            idle = IDLE_TURNS;
    }
    return finish_all(a, err);
}
