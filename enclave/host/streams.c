#include "host.h"

#include "pv/clock.h"
#include "pv/own.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* Of each a bounded amount at once: a function that floods must not keep the loop from enforcing
 * its time limit. A chunk of newlines is 65536 lines to write. */
#define LATE_NS (3 * PV_NS_PER_MS)
enum { CHUNK = 65536, CHUNKS_AT_ONCE = 8, ERROR_CHUNKS_AT_ONCE = 1, ACCEPTS_AT_ONCE = 128 };

int pv_watch(struct pv_host *h, int fd, enum pv_seat_event what, unsigned slot, uint32_t events,
             struct pv_err *err)
{
    struct epoll_event e = {.events = events, .data.u64 = (uint64_t)slot << 8 | (uint64_t)what};

    if (epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
        return pv_fail(err, errno, "watch a descriptor");
    return 0;
}

int pv_streams_watch(struct pv_host *h, struct pv_seat *s, struct pv_err *err)
{
    PV_TRY(pv_watch(h, s->instance->stdout_fd, PV_EV_STDOUT, s->slot, EPOLLIN, err));
    PV_TRY(pv_watch(h, s->instance->stderr_fd, PV_EV_STDERR, s->slot, EPOLLIN, err));
    s->watched = true;
    return 0;
}

uint64_t pv_streams_late_ns(const struct pv_seat *s)
{
    bool late = s->state == PV_SEAT_RUNNING && !s->watched && s->instance->exit_fd >= 0;

    return late ? s->begun_ns + LATE_NS : UINT64_MAX;
}

void pv_streams_watch_late(struct pv_host *h, uint64_t now_ns)
{
    struct pv_err err = PV_ERR_INIT;

    for (unsigned i = 0; i < h->n_seats; i++)
        if (pv_streams_late_ns(&h->seats[i]) <= now_ns &&
            pv_streams_watch(h, &h->seats[i], &err) < 0)
            pv_invoke_stop(&h->seats[i], PV_OUT_FAULT);
}

static void end_of_body(struct pv_host *h, struct pv_seat *s)
{
    (void)epoll_ctl(h->epoll, EPOLL_CTL_DEL, s->instance->stdin_fd, NULL);
    pv_instance_close_stdin(s->instance);
}

void pv_streams_write_body(struct pv_host *h, struct pv_seat *s)
{
    const struct pv_payload *body = &s->request->body;
    int fd = s->instance->stdin_fd;

    while (fd >= 0 && s->written < body->len) {
        ssize_t n = write(fd, body->data + s->written, body->len - s->written);

        if (n > 0) {
            s->written += (size_t)n;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno == EAGAIN) {
            struct pv_err err = PV_ERR_INIT;
            int rc = pv_watch(h, fd, PV_EV_STDIN, s->slot, EPOLLOUT, &err);

            if (rc < 0 && rc != -EEXIST)
                pv_invoke_stop(s, PV_OUT_FAULT);
            return;
        }
        break; /* EPIPE: it does not want the rest */
    }
    if (fd >= 0)
        end_of_body(h, s);
}

static void forget(struct pv_host *h, const struct pv_seat *s, int *fd)
{
    if (s->watched)
        (void)epoll_ctl(h->epoll, EPOLL_CTL_DEL, *fd, NULL);
    (void)close(PV_TAKE_FD(*fd));
}

void pv_streams_read_output(struct pv_host *h, struct pv_seat *s)
{
    static uint8_t chunk[CHUNK];
    int *fd = &s->instance->stdout_fd;

    for (unsigned i = 0; *fd >= 0 && i < CHUNKS_AT_ONCE; i++) {
        ssize_t n = read(*fd, chunk, sizeof chunk);

        if (n < 0)
            return;
        if (n == 0) {
            forget(h, s, fd);
            return;
        }
        if (s->output.len + (size_t)n > h->spec.output_bytes) {
            pv_invoke_stop(s, PV_OUT_OUTPUT);
            forget(h, s, fd);
            return;
        }
        pv_buf_raw(&s->output, chunk, (size_t)n);
        if (s->output.failed) { /* memory */
            pv_invoke_stop(s, PV_OUT_FAULT);
            return;
        }
        if ((size_t)n < sizeof chunk)
            return;
    }
}

void pv_streams_read_errors(struct pv_host *h, struct pv_seat *s)
{
    static char chunk[CHUNK];
    int *fd = &s->instance->stderr_fd;

    for (unsigned i = 0; *fd >= 0 && i < ERROR_CHUNKS_AT_ONCE; i++) {
        ssize_t n = read(*fd, chunk, sizeof chunk);

        if (n < 0)
            return;
        if (n == 0) {
            forget(h, s, fd);
            return;
        }
        pv_log_lines_add(&h->log, &s->lines, s->request ? &s->request->call : NULL, chunk,
                         (size_t)n);
    }
}

static void hand_over(struct pv_host *h, const struct pv_seat *s, enum pv_broker broker, int fd,
                      uint16_t port)
{
    pv_automsg struct pv_msg m;
    uint64_t id = ++h->connections;

    pv_record_accesses(h, s); /* they came before what leaves now */
    pv_record_connection(h, s, id, broker, port);
    pv_msg_init(&m, PV_HOST_CONNECTION);
    pv_buf_raw(&m.body, s->request->call.bytes, sizeof s->request->call.bytes);
    pv_buf_u64(&m.body, id);
    pv_buf_u8(&m.body, (uint8_t)broker);
    pv_buf_u16(&m.body, port);
    pv_msg_put_fd(&m, fd);
    pv_gateway_send(h, &m);
}

void pv_streams_accept(struct pv_host *h, struct pv_seat *s, enum pv_broker broker)
{
    struct pv_domain *d = h->domain;
    char object[64];

    /* more than the backlog, which is thus empty afterwards once the instance is dead */
    for (unsigned i = 0; i < ACCEPTS_AT_ONCE; i++) {
        uint16_t port;
        int fd = d->class->accept(d, s->slot, broker, &port);

        if (fd < 0)
            return;
        /* once it is being stopped there is nobody to answer */
        if (s->state == PV_SEAT_RUNNING && s->stopped == PV_OUT_OK && pv_record_room(h)) {
            hand_over(h, s, broker, fd, port);
            continue;
        }
        (void)close(fd);
        (void)snprintf(object, sizeof object, "127.0.0.1:%d",
                       broker == PV_BROKER_GATEWAY ? PV_BROKER_GATEWAY_PORT : PV_BROKER_PROXY_PORT);
        pv_record_denied(h, "connection", object, "no invocation is running in this slot");
    }
}
