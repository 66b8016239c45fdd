#include "host.h"

#include "pv/clock.h"
#include "pv/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { MESSAGES_AT_ONCE = 64 };
#define COUNTS_GAP_NS (100 * PV_NS_PER_MS)

static int send_now(struct pv_host *h, const struct pv_msg *m)
{
    struct pv_err err = PV_ERR_INIT;
    int rc = pv_msg_send(h->data, m, &err);

    if (rc < 0 && rc != -EAGAIN) {
        pv_log(PV_LOG_WARN, "the gateway is gone: %s", err.text);
        h->lost = true;
    }
    return rc;
}

static void watch_writable(struct pv_host *h, bool writable)
{
    struct epoll_event e = {.events = EPOLLIN | (writable ? EPOLLOUT : 0u), .data.u64 = PV_EV_DATA};

    (void)epoll_ctl(h->epoll, EPOLL_CTL_MOD, h->data, &e);
}

void pv_gateway_send(struct pv_host *h, struct pv_msg *m)
{
    struct pv_outgoing *o;

    if (h->lost || (!h->out && send_now(h, m) != -EAGAIN))
        return;
    /* bounded by what is admitted: one result a seat and the queue, connections by record room */
    o = calloc(1, sizeof *o);
    if (!o) {
        h->lost = true;
        return;
    }
    o->msg = *m;
    pv_msg_init(m, m->type);
    *h->out_end = o;
    h->out_end = &o->next;
    watch_writable(h, true);
}

void pv_gateway_flush(struct pv_host *h)
{
    while (h->out) {
        struct pv_outgoing *o = h->out;

        if (!h->lost && send_now(h, &o->msg) == -EAGAIN)
            return;
        h->out = o->next;
        pv_msg_done(&o->msg);
        free(o);
    }
    h->out_end = &h->out;
    watch_writable(h, false);
}

static int read_call(struct pv_reader *r, struct pv_call_id *ret)
{
    const uint8_t *p = pv_read_raw(r, sizeof ret->bytes);

    if (!p)
        return -EBADMSG;
    memcpy(ret->bytes, p, sizeof ret->bytes);
    return 0;
}

/* Takes the message's content on success; NULL when it is malformed. */
static struct pv_request *read_invoke(struct pv_msg *m, struct pv_err *err)
{
    struct pv_request *q = calloc(1, sizeof *q);
    struct pv_reader r = pv_msg_reader(m);
    unsigned fd_index = 0;

    if (!q) {
        (void)pv_fail(err, ENOMEM, "take a request");
        return NULL;
    }
    pv_msg_init(&q->msg, m->type);
    (void)read_call(&r, &q->call);
    q->timeout_ms = pv_read_u64(&r);
    q->env = pv_read_bytes(&r, PV_REQUEST_ENV_MAX, &q->env_len);
    if (pv_msg_get_payload(m, &r, &fd_index, PV_HTTP_BODY_MAX, &q->body, err) < 0 ||
        pv_reader_end(&r, "a request", err) < 0) {
        pv_request_free(q);
        return NULL;
    }
    q->msg = *m;
    pv_msg_init(m, m->type);
    q->arrived_ns = pv_now_mono_ns();
    return q;
}

static int on_invoke(struct pv_host *h, struct pv_msg *m, struct pv_err *err)
{
    struct pv_request *r = read_invoke(m, err);

    if (!r)
        return -EBADMSG;
    if (r->timeout_ms == 0 || r->timeout_ms > h->spec.timeout_ms)
        r->timeout_ms = h->spec.timeout_ms;
    pv_invoke_queue(h, r);
    return 0;
}

static int on_message(struct pv_host *h, struct pv_msg *m, struct pv_err *err)
{
    struct pv_reader r = pv_msg_reader(m);
    struct pv_call_id call;

    switch (m->type) {
    case PV_HOST_INVOKE:
        return on_invoke(h, m, err);
    case PV_HOST_CANCEL:
        if (read_call(&r, &call) == 0)
            pv_invoke_cancel(h, &call);
        return pv_reader_end(&r, "a cancellation", err);
    case PV_HOST_DRAIN:
        h->draining = true;
        return pv_reader_end(&r, "a drain message", err);
    case PV_HOST_SCALE: {
        uint32_t wanted = pv_read_u32(&r);

        PV_TRY(pv_reader_end(&r, "a scale message", err));
        h->wanted = wanted < h->n_seats ? wanted : h->n_seats;
        return 0;
    }
    default:
        return pv_refuse(err, EPROTO, "the gateway sent an unknown message %u", m->type);
    }
}

void pv_gateway_receive(struct pv_host *h)
{
    struct pv_err err = PV_ERR_INIT;

    for (unsigned i = 0; i < MESSAGES_AT_ONCE && !h->lost; i++) {
        struct pv_msg m = {0};
        int rc = pv_msg_recv(h->data, &m, &err);

        if (rc == -EAGAIN)
            return;
        if (rc > 0)
            rc = on_message(h, &m, &err) < 0 ? -1 : 1;
        pv_msg_done(&m);
        if (rc <= 0) {
            pv_log(PV_LOG_INFO, "the gateway closed: %s", err.text);
            h->lost = true;
        }
    }
}

void pv_gateway_ready(struct pv_host *h, const char *reason, const char *unknown)
{
    pv_automsg struct pv_msg m;

    pv_msg_init(&m, PV_HOST_READY);
    pv_buf_str(&m.body, pv_mode_name(h->mode));
    pv_buf_str(&m.body, reason);
    pv_buf_str(&m.body, unknown);
    pv_gateway_send(h, &m);
}

void pv_gateway_failed(struct pv_host *h, const char *reason)
{
    pv_automsg struct pv_msg m;

    pv_msg_init(&m, PV_HOST_FAILED);
    pv_buf_str(&m.body, reason);
    pv_gateway_send(h, &m);
}

void pv_gateway_misfit(struct pv_host *h, const char *call)
{
    pv_automsg struct pv_msg m;

    pv_msg_init(&m, PV_HOST_MISFIT);
    pv_buf_str(&m.body, call);
    pv_gateway_send(h, &m);
}

void pv_gateway_counts(struct pv_host *h, uint64_t now_ns)
{
    pv_automsg struct pv_msg m = {0};

    if (now_ns < h->counts_ns ||
        (h->told_waiting == h->n_waiting && h->told_running == h->n_running))
        return;
    h->counts_ns = now_ns + COUNTS_GAP_NS;
    h->told_waiting = h->n_waiting;
    h->told_running = h->n_running;
    pv_msg_init(&m, PV_HOST_COUNTS);
    pv_buf_u32(&m.body, h->n_waiting);
    pv_buf_u32(&m.body, h->n_running);
    pv_gateway_send(h, &m);
}
