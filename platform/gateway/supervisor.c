#include "supervisor.h"

#include "gateway.h"
#include "lifecycle.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"
#include "pv/role.h"

#include <event2/event.h>
#include <fcntl.h>

enum { PENDING_MAX = 256 };

struct pending {
    uint64_t tag; /* 0: free */
    uint16_t answer_type;
    gw_answer_fn *fn;
    void *ctx;
    uint64_t deadline_ns;
};

struct gw_supervisor {
    const struct gw_supervisor_upward *upward;
    struct event *event;
    uint64_t next_tag;
    struct pending pending[PENDING_MAX];
};

/* Copying a package takes its time. */
static const uint64_t answer_timeout_ns = 120 * PV_NS_PER_S;

void gw_supervisor_init(struct gateway *gw, struct pv_msg *m, uint16_t type, uint64_t *ret_tag)
{
    pv_msg_init(m, type);
    *ret_tag = ++gw->supervisor->next_tag;
    pv_buf_u64(&m->body, *ret_tag);
}

int gw_supervisor_ask(struct gateway *gw, const struct pv_msg *m, uint64_t tag,
                      uint16_t answer_type, gw_answer_fn *fn, void *ctx, struct pv_err *err)
{
    struct gw_supervisor *s = gw->supervisor;
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        struct pending *p = &s->pending[i];
        if (p->tag)
            continue;
        PV_TRY(pv_msg_send(PV_ROLE_CONTROL_FD, m, err));
        *p = (struct pending){tag, answer_type, fn, ctx, pv_now_mono_ns() + answer_timeout_ns};
        return 0;
    }
    return pv_refuse(err, EBUSY, "too many control operations are under way; try again later");
}

bool gw_supervisor_busy(int rc)
{
    return rc == -EBUSY || rc == -EAGAIN;
}

void gw_supervisor_forget(struct gateway *gw, const void *ctx)
{
    for (unsigned i = 0; i < PENDING_MAX; i++)
        if (gw->supervisor->pending[i].ctx == ctx)
            gw->supervisor->pending[i].tag = 0;
}

void gw_supervisor_tick(struct gateway *gw, uint64_t now_ns)
{
    for (unsigned i = 0; i < PENDING_MAX; i++) {
        struct pending p = gw->supervisor->pending[i];
        if (!p.tag || now_ns < p.deadline_ns)
            continue;
        gw->supervisor->pending[i].tag = 0;
        struct gw_answer late = {ETIMEDOUT, "the supervisor did not answer in time", NULL, NULL};
        p.fn(gw, p.ctx, &late);
    }
}

static bool take_pending(struct gateway *gw, uint64_t tag, uint16_t type, struct pending *ret)
{
    for (unsigned i = 0; tag && i < PENDING_MAX; i++) {
        struct pending *p = &gw->supervisor->pending[i];
        if (p->tag != tag || p->answer_type != type)
            continue;
        *ret = *p;
        p->tag = 0;
        return true;
    }
    return false;
}

static void answer(struct gateway *gw, struct pv_msg *m)
{
    struct pv_reader r = pv_msg_reader(m);
    struct pending p;
    char error[512] = "";
    uint64_t tag = pv_read_u64(&r);
    struct gw_answer a = {0, error, m, &r};
    if (m->type != PV_SUP_SECRETS) {
        a.rc = pv_read_u32(&r);
        pv_read_str(&r, error, sizeof error);
    }
    if (r.failed)
        pv_log(PV_LOG_ERROR, "the supervisor's answer of type %u is malformed", m->type);
    else if (m->type == PV_SUP_HOST_STARTED && tag == 0)
        gw->supervisor->upward->restarted(gw, &a);
    else if (take_pending(gw, tag, m->type, &p))
        p.fn(gw, p.ctx, &a);
    else
        pv_log(PV_LOG_WARN, "the supervisor answered what was not asked (type %u)", m->type);
}

static void dispatch(struct gateway *gw, struct pv_msg *m)
{
    switch (m->type) {
    case PV_ROLE_DRAIN:
        gw_drain(gw);
        break;
    case PV_SUP_HOST_EXITED:
        gw->supervisor->upward->exited(gw, m);
        break;
    case PV_SUP_IMPORTED:
    case PV_SUP_HOST_STARTED:
    case PV_SUP_DONE:
    case PV_SUP_SECRETS:
        answer(gw, m);
        break;
    default:
        pv_log(PV_LOG_WARN, "unknown message of type %u from the supervisor", m->type);
    }
}

static void on_control(evutil_socket_t fd, short what, void *arg)
{
    struct gateway *gw = arg;
    (void)what;
    for (;;) {
        pv_automsg struct pv_msg m = {0};
        struct pv_err err = PV_ERR_INIT;
        int rc = pv_msg_recv(fd, &m, &err);
        if (rc == -EAGAIN)
            return;
        if (rc <= 0) {
            /* Nothing outlives the supervisor. */
            pv_log(PV_LOG_INFO, "the supervisor is gone: %s", rc ? err.text : "socket closed");
            (void)event_base_loopbreak(gw->base);
            return;
        }
        dispatch(gw, &m);
    }
}

int gw_supervisor_start(struct gateway *gw, const struct gw_supervisor_upward *upward,
                        struct pv_err *err)
{
    int flags = fcntl(PV_ROLE_CONTROL_FD, F_GETFL);
    if (flags < 0 || fcntl(PV_ROLE_CONTROL_FD, F_SETFL, flags | O_NONBLOCK) < 0)
        return pv_fail(err, errno, "make the control socket non-blocking");
    struct gw_supervisor *s = calloc(1, sizeof *s);
    if (!s)
        return pv_fail(err, ENOMEM, "watch the control socket");
    s->upward = upward;
    gw->supervisor = s;
    s->event = event_new(gw->base, PV_ROLE_CONTROL_FD, EV_READ | EV_PERSIST, on_control, gw);
    if (!s->event || event_add(s->event, NULL) < 0)
        return pv_refuse(err, ENOMEM, "watch the control socket");
    return 0;
}
