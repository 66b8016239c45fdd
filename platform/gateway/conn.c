#include "conn.h"

#include "call.h"
#include "lifecycle.h"
#include "record.h"

#include "pv/clock.h"
#include "pv/own.h"
#include "pv/ring.h"

#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

static void on_read(evutil_socket_t fd, short what, void *arg);
static void on_write(evutil_socket_t fd, short what, void *arg);
static void answered(struct gw_conn *c);

static void set_deadline(struct gw_conn *c, uint64_t ms)
{
    c->deadline_ns = ms ? pv_now_mono_ns() + ms * PV_NS_PER_MS : 0;
}

static void free_conn(struct gw_conn *c)
{
    pv_http_parser_free(c->parser);
    pv_buf_done(&c->pending);
    pv_buf_done(&c->body);
    pv_buf_done(&c->env);
    pv_buf_done(&c->out);
    pv_payload_done(&c->tail);
    free(c);
}

void gw_conn_open(struct gateway *gw, int fd, const char *remote, struct gw_call *owner,
                  uint64_t connection)
{
    pv_autoclose int guarded = fd;
    struct gw_conn *c = calloc(1, sizeof *c);
    if (!c)
        return;
    if (pv_http_parser_new(&c->parser, PV_HTTP_ORIGIN, PV_HTTP_BODY_MAX, NULL) < 0) {
        free(c);
        return;
    }
    c->gw = gw;
    c->answered = answered;
    c->fd = PV_TAKE_FD(guarded);
    c->owner = owner;
    c->connection = connection;
    snprintf(c->remote, sizeof c->remote, "%s", remote);
    pv_buf_init(&c->pending, PV_HTTP_PENDING_MAX + GW_READ_BYTES);
    pv_buf_init(&c->body, PV_HTTP_BODY_MAX);
    pv_buf_init(&c->env, PV_REQUEST_ENV_MAX);
    pv_buf_init(&c->out, PV_HTTP_REPLY_MAX);
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)event_assign(&c->read_event, gw->base, fd, EV_READ | EV_PERSIST, on_read, c);
    (void)event_assign(&c->write_event, gw->base, fd, EV_WRITE, on_write, c);
    c->reading = event_add(&c->read_event, NULL) == 0;
    set_deadline(c, PV_HTTP_HEAD_TIMEOUT_MS);
    LIST_INSERT_HEAD(&gw->conns, c, link);
    gw->n_conns++;
    if (owner)
        gw_call_own_conn(owner, c);
}

static void uncount_body(struct gw_conn *c)
{
    c->gw->held_bytes -= c->counted;
    c->counted = 0;
}

void gw_conn_kill(struct gw_conn *c)
{
    struct gateway *gw = c->gw;
    if (c->state == GW_DEAD)
        return;
    c->state = GW_DEAD;
    (void)event_del(&c->read_event);
    (void)event_del(&c->write_event);
    (void)close(c->fd);
    c->fd = -1;
    if (c->held)
        TAILQ_REMOVE(&gw->held, c, held_link);
    if (c->awaiting_signature)
        TAILQ_REMOVE(&gw->unsigned_, c, held_link);
    c->held = c->awaiting_signature = false;
    if (c->waiter)
        *c->waiter = NULL;
    if (c->call)
        gw->conn_upward->client_gone(PV_TAKE_PTR(c->call));
    if (c->owner)
        gw_call_disown_conn(c->owner, c);
    uncount_body(c);
    LIST_REMOVE(c, link);
    LIST_INSERT_HEAD(&gw->dead_conns, c, link);
    gw->n_conns--;
    event_active(gw->reap_event, EV_TIMEOUT, 1);
}

void gw_conn_reap(struct gateway *gw)
{
    struct gw_conn *c = LIST_FIRST(&gw->dead_conns);
    while (c) {
        struct gw_conn *next = LIST_NEXT(c, link);
        LIST_REMOVE(c, link);
        free_conn(c);
        c = next;
    }
}

static void stop_reading(struct gw_conn *c)
{
    if (c->reading)
        (void)event_del(&c->read_event);
    c->reading = false;
}

static void resume_reading(struct gw_conn *c)
{
    if (!c->reading && !c->eof && c->state != GW_DEAD && c->pending.len < PV_HTTP_PENDING_MAX)
        c->reading = event_add(&c->read_event, NULL) == 0;
}

/* --- writing --- */

/* Writes what there is. 1: all written, 0: the socket is full, -1: the peer is gone. */
static int write_some(struct gw_conn *c)
{
    for (;;) {
        size_t head = c->out.len - c->out_off;
        size_t tail = c->tail.len - c->tail_off;
        if (head + tail == 0)
            return 1;
        struct iovec iov[2];
        int n_iov = 0;
        if (head)
            iov[n_iov++] = (struct iovec){c->out.data + c->out_off, head};
        if (tail) {
            iov[n_iov++] = (struct iovec){(uint8_t *)c->tail.map + c->tail_off, tail};
        }
        struct msghdr h = {.msg_iov = iov, .msg_iovlen = (size_t)n_iov};
        ssize_t n = sendmsg(c->fd, &h, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        size_t from_head = (size_t)n < head ? (size_t)n : head;
        c->out_off += from_head;
        c->tail_off += (size_t)n - from_head;
    }
}

static void drop_output(struct gw_conn *c)
{
    pv_buf_reset(&c->out);
    c->out_off = 0;
    pv_payload_done(&c->tail);
    c->tail_off = 0;
    if (c->out.cap > GW_READ_BYTES)
        pv_buf_done(&c->out);
}

static void linger(struct gw_conn *c)
{
    if (c->eof || shutdown(c->fd, SHUT_WR) < 0) {
        gw_conn_kill(c);
        return;
    }
    c->state = GW_LINGER;
    set_deadline(c, PV_HTTP_LINGER_MS);
    resume_reading(c);
}

static void feed(struct gw_conn *c, const uint8_t *p, size_t len);

/* Nothing is busy and nothing will come. Who sent half a body still listens and is told. */
static void end_of_input(struct gw_conn *c)
{
    if (!c->handler) {
        gw_conn_kill(c);
        return;
    }
    c->gw->metrics.http_refused++;
    c->keep_alive = false;
    if (c->head->chunked)
        gw_conn_text(c, 400, "the body ended before its last chunk");
    else
        gw_conn_text(c, 400, "the body ended after %zu of the %llu bytes that Content-Length named",
                     c->body.len, (unsigned long long)c->head->content_length);
}

/* Goes on after an answer was written: the next request, or the end. */
static void written(struct gw_conn *c)
{
    drop_output(c);
    if (c->state == GW_CLOSING) {
        linger(c);
        return;
    }
    c->state = GW_READING;
    set_deadline(c, PV_HTTP_IDLE_TIMEOUT_MS);
    if (c->feeding)
        return;
    if (c->pending.len) {
        struct pv_buf input = c->pending;
        pv_buf_init(&c->pending, PV_HTTP_PENDING_MAX + GW_READ_BYTES);
        feed(c, input.data, input.len);
        pv_buf_done(&input);
    }
    if (c->state == GW_READING && c->eof && c->pending.len == 0)
        end_of_input(c);
    else
        resume_reading(c);
}

static void flush(struct gw_conn *c)
{
    int rc = write_some(c);
    if (rc < 0) {
        gw_conn_kill(c);
    } else if (rc > 0) {
        written(c);
    } else {
        (void)event_add(&c->write_event, NULL);
    }
}

static void on_write(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    flush(arg);
}

void gw_conn_drop_body(struct gw_conn *c)
{
    pv_buf_reset(&c->body);
    if (c->body.cap > GW_READ_BYTES)
        pv_buf_done(&c->body);
    uncount_body(c);
}

static void await_signature(struct gw_conn *c)
{
    c->awaiting_signature = true;
    c->sign_until_ns = pv_now_mono_ns() + PV_SIGN_WAIT_MS * PV_NS_PER_MS;
    TAILQ_INSERT_TAIL(&c->gw->unsigned_, c, held_link);
    gw_tick_soon(c->gw);
}

static void tick_unsigned(struct gateway *gw, uint64_t now_ns)
{
    uint64_t signed_dseq = pv_producer_signed_dseq(gw->producer);
    struct gw_conn *c;
    while ((c = TAILQ_FIRST(&gw->unsigned_)) &&
           (signed_dseq >= c->sign_dseq || now_ns > c->sign_until_ns)) {
        TAILQ_REMOVE(&gw->unsigned_, c, held_link);
        c->awaiting_signature = false;
        if (signed_dseq < c->sign_dseq) {
            /* No checkpoint, no answer: the deployment asked for audit "sync". */
            gw_conn_kill(c);
            continue;
        }
        c->sign_dseq = 0;
        flush(c);
    }
}

void gw_conn_hold(struct gw_conn *c)
{
    uint64_t now = pv_now_mono_ns();
    if (c->hold_until_ns == 0)
        c->hold_until_ns = now + PV_RING_WAIT_MS * PV_NS_PER_MS;
    if (now >= c->hold_until_ns) {
        c->hold_until_ns = 0;
        gw_conn_text(c, 503, "the auditor is behind, and nothing runs unrecorded; try again soon");
        return;
    }
    c->held = true;
    TAILQ_INSERT_TAIL(&c->gw->held, c, held_link);
    gw_tick_soon(c->gw);
}

static void tick_held(struct gateway *gw, uint64_t now_ns)
{
    size_t n = 0;
    struct gw_conn *c;
    TAILQ_FOREACH(c, &gw->held, held_link)
    n++;
    /* A handler may kill other connections, held ones too: nothing is kept across its call. */
    while (n-- && (c = TAILQ_FIRST(&gw->held))) {
        TAILQ_REMOVE(&gw->held, c, held_link);
        c->held = gw_record_room(gw) ? false : now_ns < c->hold_until_ns;
        if (c->held)
            TAILQ_INSERT_TAIL(&gw->held, c, held_link);
        else
            c->handler(c);
    }
}

static void answered(struct gw_conn *c)
{
    c->call = NULL;
    c->waiter = NULL;
    c->handler = NULL;
    gw_conn_drop_body(c);
    if (c->out.failed) {
        gw_conn_kill(c);
        return;
    }
    if (c->keep_alive && c->state == GW_BUSY)
        pv_http_parser_reset(c->parser);
    else
        c->state = GW_CLOSING;
    c->head = NULL;
    /* For the whole answer: a client that takes it drop by drop is not waited for. */
    set_deadline(c, PV_HTTP_IDLE_TIMEOUT_MS + ((c->out.len + c->tail.len) >> 16) * 1000);
    if (c->sign_dseq)
        await_signature(c);
    else
        flush(c);
}

/* --- reading --- */

static void refuse(struct gw_conn *c)
{
    c->gw->metrics.http_refused++;
    c->keep_alive = c->head_only = false;
    gw_conn_text(c, pv_http_parser_status(c->parser), "%s", pv_http_parser_reason(c->parser));
}

static bool too_much_held(struct gw_conn *c)
{
    if (c->gw->held_bytes <= PV_HTTP_HELD_MAX)
        return false;
    c->keep_alive = false;
    gw_conn_text(c, 503, "too many request bodies are being held; try again soon");
    return true;
}

static void on_head(struct gw_conn *c, bool more_input)
{
    const struct pv_http_head *h = pv_http_parser_head(c->parser);
    bool has_body = h->chunked || h->content_length > 0;
    c->gw->metrics.http_requests++;
    c->head = h;
    c->keep_alive = h->keep_alive && !c->gw->draining;
    c->head_only = strcmp(h->method, "HEAD") == 0;
    c->old_peer = h->minor == 0;
    bool keep_alive = c->keep_alive;
    if (has_body)
        c->keep_alive = false; /* an answer before the body was read ends the connection */
    else
        c->state = GW_BUSY;
    if (too_much_held(c))
        return;
    gw_handler *handler = c->gw->conn_upward->route(c);
    if (!handler)
        return;
    c->handler = handler;
    c->state = GW_READING;
    c->keep_alive = keep_alive;
    if (h->expect_continue && h->minor == 1 && has_body && !more_input) {
        static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
        if (send(c->fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL) != (ssize_t)sizeof go_on - 1) {
            gw_conn_kill(c);
            return;
        }
    }
    set_deadline(c, PV_HTTP_BODY_TIMEOUT_MS + (h->content_length >> 16) * 1000);
}

static void on_body(struct gw_conn *c, struct pv_http_span span)
{
    pv_buf_raw(&c->body, span.data, span.len);
    c->counted += span.len;
    c->gw->held_bytes += span.len;
    if (c->head->chunked)
        c->deadline_ns += (span.len * PV_NS_PER_S) >> 16;
    if (too_much_held(c))
        return;
    if (c->body.failed) {
        c->keep_alive = false;
        gw_conn_text(c, 503, "there is no memory for the body; try again soon");
    }
}

static void on_complete(struct gw_conn *c)
{
    c->state = GW_BUSY;
    c->deadline_ns = 0;
    c->arrived_ns = pv_now_mono_ns();
    c->hold_until_ns = 0;
    c->handler(c);
}

static void step(struct gw_conn *c, enum pv_http_step s, struct pv_http_span span, bool more_input)
{
    switch (s) {
    case PV_HTTP_HEAD:
        on_head(c, more_input);
        break;
    case PV_HTTP_BODY:
        on_body(c, span);
        break;
    case PV_HTTP_DONE:
        on_complete(c);
        break;
    case PV_HTTP_ERROR:
        refuse(c);
        break;
    case PV_HTTP_MORE:
        break;
    }
}

static void keep_pending(struct gw_conn *c, const uint8_t *p, size_t len)
{
    pv_buf_raw(&c->pending, p, len);
    if (c->pending.failed) /* out of memory: a request with a hole must never be served */
        gw_conn_kill(c);
    else if (c->pending.len >= PV_HTTP_PENDING_MAX)
        stop_reading(c);
}

static void feed(struct gw_conn *c, const uint8_t *p, size_t len)
{
    c->feeding = true;
    for (;;) {
        if (c->state != GW_READING)
            break;
        bool fresh = !pv_http_parser_started(c->parser);
        struct pv_http_span span;
        size_t used;
        enum pv_http_step s = pv_http_parse(c->parser, p, len, &used, &span);
        p += used;
        len -= used;
        if (fresh && used)
            set_deadline(c, PV_HTTP_HEAD_TIMEOUT_MS);
        if (s == PV_HTTP_MORE)
            break;
        step(c, s, span, len > 0);
    }
    c->feeding = false;
    if (len && c->state == GW_BUSY)
        keep_pending(c, p, len);
}

static void at_eof(struct gw_conn *c)
{
    c->eof = true;
    stop_reading(c);
    /* A client may close its side after the request and still read the answer. One that is gone
     * looks the same until it resets the connection: see gw_conn_tick. */
    if (c->state != GW_CLOSING && c->state != GW_BUSY)
        end_of_input(c);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
    struct gw_conn *c = arg;
    struct gateway *gw = c->gw;
    (void)what;
    ssize_t n = recv(fd, gw->scratch, sizeof gw->scratch, 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR)
            gw_conn_kill(c);
        return;
    }
    if (n == 0) {
        at_eof(c);
        return;
    }
    if (c->state == GW_READING && c->out.len == 0)
        feed(c, gw->scratch, (size_t)n);
    else if (c->state == GW_BUSY || c->state == GW_READING)
        keep_pending(c, gw->scratch, (size_t)n);
    if (c->state == GW_DEAD)
        event_active(gw->reap_event, EV_TIMEOUT, 1);
}

/* --- time --- */

/* Nobody reads a half-closed connection's descriptor any more, so its end must be asked for. */
static bool was_reset(const struct gw_conn *c)
{
    int error = 0;
    socklen_t len = sizeof error;
    return c->eof && getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error != 0;
}

static void overdue(struct gw_conn *c)
{
    bool in_request = c->state == GW_READING && pv_http_parser_started(c->parser);
    if (!in_request) {
        gw_conn_kill(c);
        return;
    }
    c->keep_alive = c->head_only = false;
    gw_conn_text(c, 408, "the request did not arrive in time");
}

void gw_conn_tick(struct gateway *gw, uint64_t now_ns)
{
    if (!TAILQ_EMPTY(&gw->held))
        tick_held(gw, now_ns);
    if (!TAILQ_EMPTY(&gw->unsigned_))
        tick_unsigned(gw, now_ns);
    struct gw_conn *c = LIST_FIRST(&gw->conns);
    while (c) {
        struct gw_conn *next = LIST_NEXT(c, link);
        if (c->state == GW_DEAD)
            break; /* killed with the one before: next now leads through the dead */
        if (c->deadline_ns && now_ns >= c->deadline_ns)
            overdue(c);
        else if (was_reset(c))
            gw_conn_kill(c);
        else if (gw->draining && c->state == GW_READING && !c->owner &&
                 !pv_http_parser_started(c->parser))
            gw_conn_kill(c);
        c = next;
    }
}
