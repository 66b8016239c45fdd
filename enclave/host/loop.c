#include "host.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>

enum { EVENTS_AT_ONCE = 64 };
#define ROOM_LOOK_NS (2 * PV_NS_PER_MS)
#define FOREVER_NS (3600 * PV_NS_PER_S)

static void on_control(struct pv_host *h)
{
    struct pv_err err = PV_ERR_INIT;
    pv_automsg struct pv_msg m = {0};
    int rc = pv_msg_recv(h->control, &m, &err);

    if (rc == -EAGAIN)
        return;
    if (rc <= 0)
        h->lost = true; /* nothing outlives the supervisor */
    else if (m.type == PV_ROLE_DRAIN)
        h->draining = true;
    else if (m.type == PV_AUDIT_TRACING)
        h->tracing = true;
    else if (m.type == PV_AUDIT_WATCHED)
        pv_prepare_watched(h);
    else
        pv_log(PV_LOG_WARN, "the supervisor sent an unknown message %u", m.type);
}

static void on_seat(struct pv_host *h, struct pv_seat *s, enum pv_seat_event what)
{
    switch (what) {
    case PV_EV_GATEWAY:
        pv_streams_accept(h, s, PV_BROKER_GATEWAY);
        return;
    case PV_EV_PROXY:
        pv_streams_accept(h, s, PV_BROKER_PROXY);
        return;
    case PV_EV_STDIN:
    case PV_EV_STDOUT:
    case PV_EV_STDERR:
    case PV_EV_EXIT:
    case PV_EV_ENDING:
        break;
    case PV_EV_DATA:
    case PV_EV_CONTROL:
    case PV_EV_BELL:
        return;
    }
    if (what == PV_EV_ENDING)
        pv_invoke_ending(h, s);
    if (!s->instance) /* cleared by an earlier event of the same batch */
        return;
    if (what == PV_EV_STDOUT)
        pv_streams_read_output(h, s);
    else if (what == PV_EV_STDERR)
        pv_streams_read_errors(h, s);
    else if (what == PV_EV_STDIN && s->state == PV_SEAT_RUNNING)
        pv_streams_write_body(h, s);
    else if (what == PV_EV_EXIT)
        pv_invoke_exited(h, s);
}

static void on_event(struct pv_host *h, const struct epoll_event *e)
{
    enum pv_seat_event what = (enum pv_seat_event)(e->data.u64 & 0xff);

    if (what == PV_EV_CONTROL) {
        on_control(h);
    } else if (what == PV_EV_BELL) {
        pv_prepare_made(h);
    } else if (what == PV_EV_DATA) {
        if (e->events & EPOLLOUT)
            pv_gateway_flush(h);
        if (e->events & ~(uint32_t)EPOLLOUT)
            pv_gateway_receive(h);
    } else {
        on_seat(h, &h->seats[e->data.u64 >> 8], what);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When something is due although no descriptor says so. */
static uint64_t next_due(const struct pv_host *h, uint64_t now_ns)
{
    uint64_t due = now_ns + FOREVER_NS;

    for (unsigned i = 0; i < h->n_seats; i++) {
        const struct pv_seat *s = &h->seats[i];

        if (s->state == PV_SEAT_STARTING || s->state == PV_SEAT_ASSIGNED)
            due = earlier(due, s->next_look_ns);
        if (s->request && s->stopped == PV_OUT_OK)
            due = earlier(due, s->deadline_ns);
        due = earlier(due, pv_streams_late_ns(s));
    }
    for (const struct pv_request *r = h->queue; r; r = r->next)
        due = earlier(due, r->arrived_ns + r->timeout_ms * PV_NS_PER_MS);
    due = earlier(due, h->idle_ns);
    if (h->told_waiting != h->n_waiting || h->told_running != h->n_running)
        due = earlier(due, h->counts_ns);
    if (h->retry_ns > now_ns)
        due = earlier(due, h->retry_ns);
    else if (pv_prepare_may(h) && h->n_waiting < (h->decided ? h->wanted : 1) && pv_seat_vacant(h))
        due = pv_record_room(h) ? now_ns : earlier(due, now_ns + ROOM_LOOK_NS);
    if (h->queue && !pv_record_room(h))
        due = earlier(due, now_ns + ROOM_LOOK_NS);
    return due;
}

static void wait_and_handle(struct pv_host *h)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t now = pv_now_mono_ns(), due = next_due(h, now);
    uint64_t gap = due > now ? due - now : 0;
    struct timespec t = {(time_t)(gap / PV_NS_PER_S), (long)(gap % PV_NS_PER_S)};
    int n = epoll_pwait2(h->epoll, events, EVENTS_AT_ONCE, &t, NULL);

    for (int i = 0; i < n && !h->lost; i++)
        on_event(h, &events[i]);
}

/* A process that is being made is told of first: the outside witness may have seen it. */
static void drop_waiting(struct pv_host *h)
{
    for (unsigned i = 0; i < h->n_seats; i++) {
        struct pv_seat *s = &h->seats[i];
        bool is_made = s->made || h->microvm;

        if (is_made && (s->state == PV_SEAT_STARTING || s->state == PV_SEAT_WAITING))
            pv_seat_clear(h, s, "drain");
    }
}

/* Everything is killed; what ran gets its end recorded. */
static void stop_all(struct pv_host *h)
{
    struct pv_request *r;

    for (unsigned i = 0; i < h->n_seats; i++)
        if (h->seats[i].instance)
            pv_invoke_stop(&h->seats[i], PV_OUT_CANCELLED);
    for (unsigned i = 0; i < h->n_seats; i++) {
        struct pv_seat *s = &h->seats[i];

        if (!s->instance)
            continue;
        if (s->state >= PV_SEAT_RUNNING) {
            struct pollfd p = {s->instance->exit_fd, POLLIN, 0};

            while (p.fd >= 0 && poll(&p, 1, -1) < 0 && errno == EINTR)
                ;
            pv_invoke_exited(h, s);
        } else {
            pv_seat_clear(h, s, "drain");
        }
    }
    while ((r = h->queue)) {
        h->queue = r->next;
        pv_invoke_refuse(h, r, PV_OUT_CANCELLED, "the host is stopping");
    }
    pv_gateway_flush(h);
}

static int watch_all(struct pv_host *h, struct pv_err *err)
{
    const struct pv_domain_class *c = h->domain->class;

    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (h->epoll < 0)
        return pv_fail(err, errno, "make an event loop");
    if (fcntl(h->data, F_SETFL, O_NONBLOCK) < 0 || fcntl(h->control, F_SETFL, O_NONBLOCK) < 0)
        return pv_fail(err, errno, "set the host's sockets up");
    PV_TRY(pv_watch(h, h->data, PV_EV_DATA, 0, EPOLLIN, err));
    PV_TRY(pv_watch(h, c->bell(h->domain), PV_EV_BELL, 0, EPOLLIN, err));
    PV_TRY(pv_watch(h, h->control, PV_EV_CONTROL, 0, EPOLLIN, err));
    for (unsigned i = 0; !h->microvm && i < h->n_seats; i++) {
        PV_TRY(pv_watch(h, c->listener(h->domain, i, PV_BROKER_GATEWAY), PV_EV_GATEWAY, i, EPOLLIN,
                        err));
        PV_TRY(
            pv_watch(h, c->listener(h->domain, i, PV_BROKER_PROXY), PV_EV_PROXY, i, EPOLLIN, err));
    }
    return 0;
}

int pv_loop_run(struct pv_host *h, struct pv_err *err)
{
    PV_TRY(watch_all(h, err));
    while (!h->lost) {
        uint64_t now;

        wait_and_handle(h);
        now = pv_now_mono_ns();
        pv_invoke_timeouts(h, now);
        pv_streams_watch_late(h, now);
        pv_prepare_look(h, now);
        pv_invoke_dispatch(h, now);
        pv_prepare_tick(h, now);
        pv_prepare_look(h, now); /* one that only had to be reset is ready at once */
        pv_invoke_dispatch(h, now);
        pv_prepare_trim(h, now);
        pv_gateway_counts(h, now);
        if (h->draining) {
            drop_waiting(h);
            if (!h->queue && !h->n_running && !h->n_waiting && !h->out)
                break;
        }
    }
    stop_all(h);
    pv_prepare_finish(h);
    return 0;
}
