#include "call_end.h"

#include "conn.h"
#include "proxy.h"
#include "record.h"

#include "pv/clock.h"
#include "pv/http_response.h"
#include "pv/log.h"
#include "pv/ring.h"
#include "pv/size.h"

#include <string.h>

enum { RESPONSE_TEXT_MAX = 1024 };

/* What a host reported, PV_HOST_RESULT. */
struct result {
    unsigned outcome;
    uint32_t exit_code;
    uint32_t signal;
    char message[512];
    struct pv_payload body;
};

static void close_brokered(struct gw_call *call)
{
    struct gw_conn *c;
    struct gw_proxy *p;
    while ((c = LIST_FIRST(&call->conns)))
        gw_conn_kill(c);
    while ((p = LIST_FIRST(&call->proxies)))
        gw_proxy_owner_ended(p);
}

static void record_end(struct gw_call *call, unsigned status, const char *outcome,
                       const struct gw_digest *body)
{
    struct gateway *gw = call->gw;
    uint64_t duration = pv_now_mono_ns() - call->arrived_ns;
    struct pv_event e;
    pv_event_init(&e, PV_K_RESPONSE, &call->id);
    pv_event_u64(&e, status);
    pv_event_bytes(&e, body->hash, sizeof body->hash);
    pv_event_u64(&e, body->len);
    pv_event_u64(&e, duration);
    pv_event_text(&e, outcome);
    gw_record(gw, &e);
    call->receipt_domain = e.domain;
    call->receipt_dseq = e.dseq;
    if (call->traced) {
        pv_event_init(&e, PV_K_CALL_RETURN, &call->caller);
        pv_event_u64(&e, call->connection);
        pv_event_bytes(&e, call->id.bytes, sizeof call->id.bytes);
        pv_event_u64(&e, status);
        pv_event_bytes(&e, body->hash, sizeof body->hash);
        pv_event_u64(&e, body->len);
        gw_record(gw, &e);
    }
    if (call->version->spec.audit == PV_AUDIT_SYNC && call->conn && gw->audit)
        call->conn->sign_dseq = pv_producer_next_dseq(gw->producer);
    gw_stats_add(&call->version->function->stats, status, duration);
}

static void begin_reply(struct gw_call *call, unsigned status)
{
    char id[PV_CALL_ID_CHARS + 1];
    char start[24], domain[2 * PV_DOMAIN_ID_BYTES + 1], receipt[80];
    pv_call_id_print(&call->id, id);
    snprintf(start, sizeof start, "%lu", call->arrived_real_ns);
    gw_reply_begin(call->conn, status);
    gw_reply_field(call->conn, "X-Call-Id", id);
    gw_reply_field(call->conn, "X-Start-Time", start);
    if (!call->gw->audit)
        return;
    pv_hex(call->receipt_domain.bytes, sizeof call->receipt_domain.bytes, domain);
    snprintf(receipt, sizeof receipt, "%s.%s.%lu", id, domain, call->receipt_dseq);
    gw_reply_field(call->conn, "Provost-Receipt", receipt);
}

/* Leaves the call without its client. */
static void answer_text(struct gw_call *call, unsigned status, const char *outcome,
                        const char *text)
{
    char body[RESPONSE_TEXT_MAX];
    struct gw_conn *c = call->conn;
    int n = c ? snprintf(body, sizeof body, "%s: %s\n", call->version->spec.name, text) : 0;
    size_t len = (size_t)n < sizeof body ? (size_t)n : sizeof body - 1;
    struct gw_digest digest = gw_digest_of(body, len);
    close_brokered(call);
    record_end(call, status, outcome, &digest);
    if (!c)
        return;
    begin_reply(call, status);
    gw_reply_field(c, "Content-Type", "text/plain; charset=utf-8");
    if (status == 503 || status == 429)
        gw_reply_field(c, "Retry-After", "1");
    call->conn = NULL;
    c->call = NULL;
    gw_reply_finish(c, body, len);
}

void gw_call_end_text(struct gw_call *call, unsigned status, const char *outcome, const char *text)
{
    /* The answer may set off the connection's next request: nothing of this call may be left. */
    call->state = GW_C_ANSWERED;
    HASH_DEL(call->gw->calls, call);
    answer_text(call, status, outcome, text);
    free(call);
}

void gw_call_answer_early(struct gw_call *call, unsigned status, const char *outcome,
                          const char *text)
{
    call->state = GW_C_ANSWERED;
    answer_text(call, status, outcome, text);
}

/* --- what the host reported --- */

static int read_result(struct pv_msg *m, struct pv_reader *r, struct pv_call_id *ret_id,
                       struct result *ret, struct pv_err *err)
{
    unsigned fd_index = 0;
    const uint8_t *id = pv_read_raw(r, sizeof ret_id->bytes);
    if (id)
        memcpy(ret_id->bytes, id, sizeof ret_id->bytes);
    ret->outcome = pv_read_u16(r);
    ret->exit_code = pv_read_u32(r);
    ret->signal = pv_read_u32(r);
    (void)pv_read_u64(r); /* duration, CPU time and peak are in the host's own event */
    (void)pv_read_u64(r);
    (void)pv_read_u64(r);
    pv_read_str(r, ret->message, sizeof ret->message);
    ret->body = (struct pv_payload){0};
    PV_TRY(pv_msg_get_payload(m, r, &fd_index, PV_RESPONSE_MAX, &ret->body, err));
    int rc = pv_reader_end(r, "the result of an invocation", err);
    if (rc == 0 && ret->outcome >= PV_OUT_MAX)
        rc = pv_refuse(err, EBADMSG, "an unknown outcome");
    if (rc < 0)
        pv_payload_done(&ret->body);
    return rc;
}

static void failure_text(const struct gw_call *call, const struct result *res, unsigned *ret_status,
                         char *out, size_t cap)
{
    const struct pv_spec *s = &call->version->spec;
    char size[PV_SIZE_TEXT], most[PV_SIZE_TEXT];
    const char *hint = res->message[0] ? res->message : "its log may say why (provost logs)";
    *ret_status = 500;
    switch ((enum pv_outcome)res->outcome) {
    case PV_OUT_EXIT:
        snprintf(out, cap, "exited with status %u: %s", res->exit_code, hint);
        break;
    case PV_OUT_SIGNAL:
        snprintf(out, cap, "was killed by signal %u (%s): %s", res->signal,
                 strsignal((int)(res->signal & 127)), hint);
        break;
    case PV_OUT_TIMEOUT:
        *ret_status = 504;
        snprintf(out, cap, "did not finish within its deadline (timeout %lu ms)", s->timeout_ms);
        break;
    case PV_OUT_MEMORY:
        snprintf(out, cap, "exceeded its memory limit of %s (deploy --memory raises it)",
                 pv_size_text(s->memory_bytes, size));
        break;
    case PV_OUT_OUTPUT:
        *ret_status = 502;
        snprintf(out, cap,
                 "exceeded its response limit of %s (deploy --output-limit raises it, to %s at "
                 "most)",
                 pv_size_text(s->output_bytes, size), pv_size_text(PV_RESPONSE_MAX, most));
        break;
    case PV_OUT_CANCELLED:
        *ret_status = 499;
        snprintf(out, cap, "was cancelled");
        break;
    case PV_OUT_OK:
    case PV_OUT_FAULT:
    case PV_OUT_MAX:
        *ret_status = 502;
        snprintf(out, cap, "its enclave host could not run it: %s", hint);
        break;
    }
}

/* As the classic watchdog: the deployment's content_type, else the request's type. */
static const char *plain_type(const struct gw_call *call)
{
    const struct pv_str_list *env = &call->version->spec.env;
    for (unsigned i = 0; i < env->n; i++)
        if (strncmp(env->v[i], "content_type=", 13) == 0 && !strpbrk(env->v[i], "\r\n"))
            return env->v[i] + 13;
    const char *type = pv_http_field(call->conn->head, "content-type");
    return type && *type ? type : "text/plain; charset=utf-8";
}

static void answer_ok(struct gw_call *call, struct result *res, const struct pv_cgi_response *cgi)
{
    struct gw_conn *c = call->conn;
    size_t from = cgi ? cgi->body_off : 0;
    unsigned status = cgi ? cgi->status : 200;
    /* The whole output is hashed, so that this digest equals the host's. */
    struct gw_digest digest = gw_digest_of(res->body.data, res->body.len);
    close_brokered(call);
    record_end(call, status, "ok", &digest);
    begin_reply(call, status);
    if (!cgi || !cgi->content_type)
        gw_reply_field(c, "Content-Type", plain_type(call));
    for (unsigned i = 0; cgi && i < cgi->n_fields; i++)
        gw_reply_field(c, cgi->fields[i].name, cgi->fields[i].value);
    HASH_DEL(call->gw->calls, call);
    free(call);
    gw_reply_finish_payload(c, &res->body, from);
}

static void answer_result(struct gw_call *call, struct result *res)
{
    char text[RESPONSE_TEXT_MAX];
    unsigned status;
    if (!call->conn) {
        gw_call_end_text(call, 499, "cancelled", "");
    } else if (res->outcome != PV_OUT_OK) {
        failure_text(call, res, &status, text, sizeof text);
        gw_call_end_text(call, status, pv_outcome_name(res->outcome), text);
    } else if (!call->version->spec.cgi) {
        answer_ok(call, res, NULL);
    } else {
        struct pv_cgi_response cgi;
        struct pv_err err = PV_ERR_INIT;
        if (pv_cgi_parse(res->body.data, res->body.len, &cgi, &err) < 0) {
            snprintf(text, sizeof text, "answered no valid CGI response: %s", err.text);
            gw_call_end_text(call, 502, "fault", text);
        } else {
            answer_ok(call, res, &cgi);
            pv_cgi_done(&cgi);
        }
    }
}

void gw_call_result(struct gw_version *v, struct pv_msg *m, struct pv_reader *r)
{
    struct pv_call_id id;
    struct result res;
    struct pv_err err = PV_ERR_INIT;
    if (read_result(m, r, &id, &res, &err) < 0) {
        pv_log(PV_LOG_ERROR, "host of %s: %s", v->spec.name, err.text);
        return;
    }
    struct gw_call *call = gw_call_find(v->gw, &id);
    if (call && call->version == v && call->state != GW_C_QUEUED) {
        v->in_flight--;
        if (call->state == GW_C_ANSWERED)
            gw_call_free(call);
        else
            answer_result(call, &res);
    }
    pv_payload_done(&res.body);
}

/* --- what a lost or failed host leaves --- */

void gw_calls_fail_queued(struct gw_version *v, unsigned status, const char *why)
{
    struct gw_call *call;
    while ((call = TAILQ_FIRST(&v->queue))) {
        gw_call_unqueue(call);
        gw_call_end_text(call, status, "fault", why);
    }
}

static struct gw_call *running_call(const struct gw_version *v)
{
    for (struct gw_call *call = v->gw->calls; call; call = call->hh.next)
        if (call->version == v && call->state != GW_C_QUEUED)
            return call;
    return NULL;
}

void gw_calls_fail_running(struct gw_version *v, const char *why)
{
    struct gw_call *call;
    while ((call = running_call(v))) {
        v->in_flight--;
        if (call->state == GW_C_ANSWERED)
            gw_call_free(call);
        else
            gw_call_end_text(call, 502, "fault", why);
    }
}
