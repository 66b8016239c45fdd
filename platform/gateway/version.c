#include "version.h"

#include "call_end.h"
#include "host_link.h"
#include "lifecycle.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/role.h"

#include <unistd.h>

static void fail_version(struct gw_version *v, const char *why)
{
    pv_log(PV_LOG_ERROR, "function %s version %lu failed: %s", v->spec.name, v->spec.version, why);
    snprintf(v->reason, sizeof v->reason, "%s", why);
    if (v->state != GW_V_RETIRED)
        gw_version_move(v, GW_V_FAILED);
    gw_calls_fail_queued(v, 503, why);
    gw_version_settle(v, v->reason);
}

static void attach_host(struct gw_version *v, struct gw_answer *a)
{
    char name[PV_NAME_MAX + 1];
    pv_read_str(a->body, name, sizeof name);
    uint64_t version = pv_read_u64(a->body);
    v->pid = pv_read_u64(a->body);
    int fd = pv_msg_take_fd(a->msg, 0);
    struct pv_err err = PV_ERR_INIT;
    if (pv_reader_end(a->body, "the supervisor's answer", &err) < 0 || fd < 0 ||
        version != v->spec.version) {
        if (fd >= 0)
            (void)close(fd);
        fail_version(v, "the supervisor's answer about its host is malformed");
        return;
    }
    v->ready_deadline_ns = pv_now_mono_ns() + PV_HOST_READY_MS * PV_NS_PER_MS;
    gw_link_open(v, fd);
    gw_tick_soon(v->gw);
}

static void on_started(struct gateway *gw, void *ctx, struct gw_answer *a)
{
    struct gw_version *v = ctx;
    (void)gw;
    v->start_rc = (int)a->rc;
    if (a->rc)
        fail_version(v, a->error);
    else if (v->state == GW_V_STARTING)
        attach_host(v, a);
    gw_version_idle_check(v);
}

static int ask_start(struct gw_version *v, struct pv_err *err)
{
    pv_automsg struct pv_msg m;
    uint64_t tag;
    gw_supervisor_init(v->gw, &m, PV_SUP_HOST_START, &tag);
    pv_buf_bytes(&m.body, v->encoded.data, v->encoded.len);
    return gw_supervisor_ask(v->gw, &m, tag, PV_SUP_HOST_STARTED, on_started, v, err);
}

int gw_version_start(struct gw_version *v, struct pv_err *err)
{
    int rc = ask_start(v, err);
    v->ask_again = gw_supervisor_busy(rc);
    v->asked_ns = rc == 0 ? pv_now_mono_ns() : 0;
    return v->ask_again ? 0 : rc;
}

void gw_version_restarted(struct gateway *gw, struct gw_answer *a)
{
    struct pv_reader ahead = *a->body;
    char name[PV_NAME_MAX + 1];
    pv_read_str(&ahead, name, sizeof name);
    uint64_t version = pv_read_u64(&ahead);
    struct gw_version *v = gw_version_find(gw, name, version);
    if (!v || v->state == GW_V_RETIRED || v->state == GW_V_STOPPED)
        return;
    if (a->rc) {
        fail_version(v, a->error);
        return;
    }
    gw_link_lost(v, "its enclave host was replaced");
    gw_version_move(v, GW_V_STARTING);
    attach_host(v, a);
}

void gw_version_exited(struct gateway *gw, struct pv_msg *m)
{
    struct pv_reader r = pv_msg_reader(m);
    char name[PV_NAME_MAX + 1];
    pv_read_str(&r, name, sizeof name);
    uint64_t version = pv_read_u64(&r);
    uint64_t status = pv_read_u64(&r);
    struct pv_err err = PV_ERR_INIT;
    if (pv_reader_end(&r, "the supervisor's message", &err) < 0) {
        pv_log(PV_LOG_ERROR, "%s", err.text);
        return;
    }
    struct gw_version *v = gw_version_find(gw, name, version);
    if (!v)
        return;
    pv_log(PV_LOG_WARN, "the host of %s version %lu ended with status %lu", name, version, status);
    gw_link_ended(v);
    /* A deployment is told at once; a function that was accepted once is tried again and again. */
    if (v->deploy) {
        char why[96];
        snprintf(why, sizeof why, "its enclave host ended with status %lu before it was ready",
                 status);
        gw_version_settle(v, why);
    }
    gw_version_idle_check(v);
}

void gw_version_install(struct gw_version *v)
{
    struct gw_version *old = v->function->current;
    v->function->current = v;
    if (old && old != v)
        gw_version_retire(old);
}

static void ask_again(struct gw_version *v)
{
    struct pv_err err = PV_ERR_INIT;
    if (v->state == GW_V_STOPPED)
        gw_version_stop(v);
    else if (v->state == GW_V_STARTING && gw_version_start(v, &err) < 0)
        fail_version(v, err.text);
}

void gw_version_retire(struct gw_version *v)
{
    if (v->function->current == v)
        v->function->current = NULL;
    v->deploy = NULL;
    if (v->fd < 0)
        gw_calls_fail_queued(v, 503, "the function was replaced while its host was down");
    gw_version_move(v, GW_V_RETIRED);
    gw_version_idle_check(v);
}

void gw_versions_tick(struct gateway *gw, uint64_t now_ns)
{
    struct gw_version *v = LIST_FIRST(&gw->versions);
    while (v) {
        struct gw_version *next = LIST_NEXT(v, link);
        if (v->state == GW_V_STARTING && v->ready_deadline_ns && now_ns > v->ready_deadline_ns) {
            v->ready_deadline_ns = 0;
            fail_version(v, "no instance became ready in time");
        }
        if (v->ask_again)
            ask_again(v);
        v = next;
    }
}
