#include "host_link.h"

#include "broker.h"
#include "call_end.h"
#include "conn.h"
#include "deploy.h"

#include "pv/clock.h"
#include "pv/log.h"

#include <event2/event.h>
#include <fcntl.h>
#include <jansson.h>

enum { MESSAGES_PER_TURN = 64 };

static void on_readable(evutil_socket_t fd, short what, void *arg);
static void on_writable(evutil_socket_t fd, short what, void *arg);

void gw_link_open(struct gw_version *v, int fd)
{
    int flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    v->fd = fd;
    (void)event_assign(&v->read_event, v->gw->base, fd, EV_READ | EV_PERSIST, on_readable, v);
    (void)event_assign(&v->write_event, v->gw->base, fd, EV_WRITE, on_writable, v);
    (void)event_add(&v->read_event, NULL);
}

void gw_link_lost(struct gw_version *v, const char *why)
{
    if (v->fd < 0)
        return;
    gw_version_close(v);
    if (v->state == GW_V_STARTING || v->state == GW_V_READY)
        gw_version_move(v, GW_V_DOWN);
    gw_calls_fail_running(v, why);
    if (v->state == GW_V_RETIRED)
        gw_calls_fail_queued(v, 503, why);
}

/* A late host is welcome; one that is stopping may say what it likes. */
static bool may_become_ready(const struct gw_version *v)
{
    return v->state == GW_V_STARTING || v->state == GW_V_FAILED || v->state == GW_V_READY;
}

static void on_ready(struct gw_version *v, struct pv_reader *r)
{
    char mode[sizeof v->mode], reason[sizeof v->reason], unknown[sizeof v->unknown_calls];
    pv_read_str(r, mode, sizeof mode);
    pv_read_str(r, reason, sizeof reason);
    pv_read_str(r, unknown, sizeof unknown);
    if (pv_reader_end(r, "ready", NULL) < 0 || !may_become_ready(v))
        return;
    gw_make_printable(mode);
    gw_make_printable(reason);
    gw_make_printable(unknown);
    snprintf(v->mode, sizeof v->mode, "%s", mode);
    snprintf(v->reason, sizeof v->reason, "%s", reason);
    snprintf(v->unknown_calls, sizeof v->unknown_calls, "%s", unknown);
    v->ready_deadline_ns = 0;
    if (v->state != GW_V_READY)
        gw_version_move(v, GW_V_READY);
    if (v->replicas != v->spec.prepared)
        gw_link_scale(v, v->replicas);
    gw_version_settle(v, NULL);
    gw_link_dispatch(v);
}

static void on_failed(struct gw_version *v, struct pv_reader *r)
{
    pv_read_str(r, v->reason, sizeof v->reason);
    gw_make_printable(v->reason);
    v->ready_deadline_ns = 0;
    if (v->state == GW_V_STARTING || v->state == GW_V_READY)
        gw_version_move(v, GW_V_FAILED);
    gw_calls_fail_queued(v, 503, v->reason);
    gw_version_settle(v, v->reason[0] ? v->reason : "no instance could be prepared");
}

/* It is started again unless a deployment waits for it; until it is ready, this is why it is not.
 */
static void on_fault(struct gw_version *v, struct pv_reader *r)
{
    char reason[sizeof v->reason];
    pv_read_str(r, reason, sizeof reason);
    if (pv_reader_end(r, "fault", NULL) < 0 || !reason[0])
        return;
    gw_make_printable(reason);
    snprintf(v->reason, sizeof v->reason, "%s", reason);
    gw_version_settle(v, v->reason);
}

/* The host only names the call: the sentence goes into an event that the gateway signs. */
static void on_misfit(struct gw_version *v, struct pv_reader *r)
{
    char call[16], reason[128];
    pv_read_str(r, call, sizeof call);
    if (pv_reader_end(r, "misfit", NULL) < 0)
        return;
    if (!pv_starts_program(call)) {
        pv_log(PV_LOG_WARN, "the host of %s names a call that starts no program", v->spec.name);
        return;
    }
    snprintf(reason, sizeof reason,
             "its program tried to start another one (%s) after its first read", call);
    gw_deploy_as_process(v, reason);
}

static void handle(struct gw_version *v, struct pv_msg *m)
{
    struct pv_reader r = pv_msg_reader(m);
    switch (m->type) {
    case PV_HOST_READY:
        on_ready(v, &r);
        break;
    case PV_HOST_FAILED:
        on_failed(v, &r);
        break;
    case PV_HOST_RESULT:
        gw_call_result(v, m, &r);
        break;
    case PV_HOST_CONNECTION:
        gw_broker_connection(v, m, &r);
        break;
    case PV_HOST_COUNTS:
        v->prepared = pv_read_u32(&r);
        v->running = pv_read_u32(&r);
        break;
    case PV_HOST_MISFIT:
        on_misfit(v, &r);
        break;
    case PV_HOST_FAULT:
        on_fault(v, &r);
        break;
    default:
        pv_log(PV_LOG_WARN, "unknown message of type %u from the host of %s", m->type,
               v->spec.name);
    }
}

/* Handles a turn's messages. False: there are no more of them at present. */
static bool hear(struct gw_version *v)
{
    int fd = v->fd;
    for (int i = 0; i < MESSAGES_PER_TURN && v->fd == fd && fd >= 0; i++) {
        pv_automsg struct pv_msg m;
        struct pv_err err = PV_ERR_INIT;
        int rc = pv_msg_recv(fd, &m, &err);
        if (rc == -EAGAIN)
            return false;
        if (rc <= 0) {
            gw_link_lost(v, "its enclave host died");
            return false;
        }
        handle(v, &m);
    }
    return v->fd >= 0;
}

void gw_link_ended(struct gw_version *v)
{
    while (hear(v))
        ;
    gw_link_lost(v, "its enclave host died");
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct gw_version *v = arg;
    (void)fd;
    (void)what;
    (void)hear(v);
    if (v->fd >= 0)
        gw_link_dispatch(v);
    gw_version_idle_check(v);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    gw_link_dispatch(arg);
}

static int put_invoke(struct gw_call *call, struct pv_msg *m, uint64_t timeout_ms,
                      struct pv_err *err)
{
    struct gw_conn *c = call->conn;
    pv_buf_raw(&m->body, call->id.bytes, sizeof call->id.bytes);
    pv_buf_u64(&m->body, timeout_ms);
    pv_buf_bytes(&m->body, c->env.data, c->env.len);
    PV_TRY(pv_msg_put_payload(m, c->body.data, c->body.len, err));
    return pv_msg_send(call->version->fd, m, err);
}

/* 0 sent or ended, -EAGAIN socket full, -EPIPE host gone. */
static int send_call(struct gw_call *call)
{
    struct gw_version *v = call->version;
    uint64_t now = pv_now_mono_ns();
    if (now + PV_NS_PER_MS > call->deadline_ns) {
        gw_call_unqueue(call);
        gw_call_end_text(call, 504, "timeout", "no instance was free before the deadline");
        return 0;
    }
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;
    pv_msg_init(&m, PV_HOST_INVOKE);
    int rc = put_invoke(call, &m, (call->deadline_ns - now) / PV_NS_PER_MS, &err);
    if (rc == -EAGAIN)
        return rc;
    if (rc == -EPIPE || rc == -ECONNRESET)
        return -EPIPE;
    gw_call_unqueue(call);
    if (rc < 0) {
        gw_call_end_text(call, 500, "fault", err.text);
        return 0;
    }
    call->state = GW_C_RUNNING;
    v->in_flight++;
    gw_conn_drop_body(call->conn);
    return 0;
}

void gw_link_cancel(struct gw_call *call)
{
    struct gw_version *v = call->version;
    if (v->fd < 0)
        return;
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;
    pv_msg_init(&m, PV_HOST_CANCEL);
    pv_buf_raw(&m.body, call->id.bytes, sizeof call->id.bytes);
    if (pv_msg_send(v->fd, &m, &err) < 0)
        pv_log(PV_LOG_WARN, "cancel a call of %s: %s", v->spec.name, err.text);
}

void gw_link_dispatch(struct gw_version *v)
{
    bool serves = v->state == GW_V_READY || v->state == GW_V_RETIRED;
    while (serves && v->fd >= 0 && v->in_flight < v->spec.concurrency && !TAILQ_EMPTY(&v->queue)) {
        int rc = send_call(TAILQ_FIRST(&v->queue));
        if (rc == -EAGAIN) {
            (void)event_add(&v->write_event, NULL);
            return;
        }
        if (rc == -EPIPE) {
            gw_link_lost(v, "its enclave host died");
            return;
        }
    }
}

void gw_link_scale(struct gw_version *v, uint32_t replicas)
{
    v->replicas = replicas;
    if (v->fd < 0)
        return;
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;
    pv_msg_init(&m, PV_HOST_SCALE);
    pv_buf_u32(&m.body, replicas);
    if (pv_msg_send(v->fd, &m, &err) < 0)
        pv_log(PV_LOG_WARN, "scale %s: %s", v->spec.name, err.text);
}
