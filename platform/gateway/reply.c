#include "reply.h"

#include "pv/clock.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

static const char *date_now(void)
{
    static char text[40];
    static time_t at;
    time_t now = (time_t)(pv_now_real_ns() / PV_NS_PER_S);
    if (now != at) {
        struct tm tm;
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
        at = now;
    }
    return text;
}

static void put(struct pv_buf *b, const char *s)
{
    pv_buf_raw(b, s, strlen(s));
}

void gw_reply_begin(struct gw_conn *c, unsigned status)
{
    char line[128];
    int n = snprintf(line, sizeof line, "HTTP/1.1 %u %s\r\nDate: %s\r\n", status,
                     pv_http_status_text(status), date_now());
    pv_buf_raw(&c->out, line, (size_t)n);
    /* RFC 9110 section 6.4.1: what followed such a head would be read as the next answer. */
    c->bodyless = status == 204 || status == 304;
}

void gw_reply_field(struct gw_conn *c, const char *name, const char *value)
{
    put(&c->out, name);
    put(&c->out, ": ");
    put(&c->out, value);
    put(&c->out, "\r\n");
}

static void end_head(struct gw_conn *c, size_t body_len)
{
    char text[80];
    const char *connection = !c->keep_alive ? "Connection: close\r\n"
                             : c->old_peer  ? "Connection: keep-alive\r\n"
                                            : "";
    int n = 0;
    if (!c->bodyless)
        n = snprintf(text, sizeof text, "Content-Length: %zu\r\n", body_len);
    n += snprintf(text + n, sizeof text - (size_t)n, "%s\r\n", connection);
    pv_buf_raw(&c->out, text, (size_t)n);
}

void gw_reply_finish(struct gw_conn *c, const void *p, size_t len)
{
    end_head(c, len);
    if (!c->head_only && !c->bodyless)
        pv_buf_raw(&c->out, p, len);
    c->answered(c);
}

void gw_reply_finish_payload(struct gw_conn *c, struct pv_payload *p, size_t from)
{
    if (!p->map || c->head_only || c->bodyless) {
        gw_reply_finish(c, p->data + from, p->len - from);
        pv_payload_done(p);
        return;
    }
    end_head(c, p->len - from);
    c->tail = *p;
    c->tail_off = from;
    *p = (struct pv_payload){0};
    c->answered(c);
}

void gw_conn_reply(struct gw_conn *c, unsigned status, const char *type, const void *p, size_t len)
{
    gw_reply_begin(c, status);
    gw_reply_field(c, "Content-Type", type);
    gw_reply_finish(c, p, len);
}

void gw_conn_text(struct gw_conn *c, unsigned status, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text - 1, fmt, ap);
    va_end(ap);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof text - 2 ? (size_t)n : sizeof text - 2;
    text[len++] = '\n';
    gw_reply_begin(c, status);
    gw_reply_field(c, "Content-Type", "text/plain; charset=utf-8");
    if (status == 401)
        gw_reply_field(c, "WWW-Authenticate", "Basic realm=\"Restricted\"");
    if (status == 429 || status == 503)
        gw_reply_field(c, "Retry-After", "1");
    gw_reply_finish(c, text, len);
}

void gw_conn_json(struct gw_conn *c, unsigned status, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text) {
        gw_conn_text(c, 500, "not enough memory for the answer");
        return;
    }
    gw_conn_reply(c, status, "application/json", text, strlen(text));
    free(text);
}

unsigned gw_status_of_errno(int rc)
{
    switch (rc < 0 ? -rc : rc) {
    case ENOSPC:
    case EDQUOT:
        return 507;
    case EIO:
    case EROFS:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
        return 500;
    case EAGAIN:
    case EBUSY:
    case ETIMEDOUT:
        return 503;
    default:
        return 400;
    }
}
