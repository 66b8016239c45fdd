#include "env.h"

#include "auth.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

static void put_var(struct pv_buf *b, const char *name, const char *value, size_t len)
{
    pv_buf_raw(b, name, strlen(name));
    pv_buf_u8(b, '=');
    pv_buf_raw(b, value, len);
    pv_buf_u8(b, 0);
}

static void put_str(struct pv_buf *b, const char *name, const char *value)
{
    put_var(b, name, value, strlen(value));
}

static void put_u64(struct pv_buf *b, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lu", value);
    put_str(b, name, text);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* PATH_INFO is decoded (RFC 3875 4.1.5). */
static int put_path_info(struct pv_buf *b, const char *path, size_t len, struct pv_err *err)
{
    pv_buf_raw(b, "PATH_INFO=", 10);
    for (size_t i = 0; i < len; i++) {
        if (path[i] != '%') {
            pv_buf_u8(b, (uint8_t)path[i]);
            continue;
        }
        int high = i + 2 < len ? hex(path[i + 1]) : -1;
        int low = i + 2 < len ? hex(path[i + 2]) : -1;
        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return pv_refuse(err, EINVAL, "the path has an escape that stands for no character");
        pv_buf_u8(b, (uint8_t)(high << 4 | low));
        i += 2;
    }
    pv_buf_u8(b, 0);
    return 0;
}

/* "Http_" and the name as Go's net/http would spell it, '-' as '_': what the classic watchdog does.
 * False for names that could be mistaken for another's spelling. */
static bool field_variable(const char *name, char *out, size_t cap)
{
    size_t len = strlen(name);
    if (len + 6 > cap)
        return false;
    memcpy(out, "Http_", 5);
    bool start = true;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool lower = c >= 'a' && c <= 'z';
        bool upper = c >= 'A' && c <= 'Z';
        if (!lower && !upper && c != '-' && !(c >= '0' && c <= '9'))
            return false;
        if (start && lower)
            c = (char)(c - 'a' + 'A');
        else if (!start && upper)
            c = (char)(c - 'A' + 'a');
        out[5 + i] = c == '-' ? '_' : c;
        start = c == '-';
    }
    out[5 + len] = 0;
    return true;
}

/* Fields that the gateway sets itself, or that must not become variables ("Proxy": httpoxy). */
static bool is_skipped(const char *name)
{
    static const char *const skipped[] = {"host", "x-call-id", "x-start-time", "proxy",
                                          "transfer-encoding"};
    for (size_t i = 0; i < sizeof skipped / sizeof skipped[0]; i++)
        if (strcasecmp(name, skipped[i]) == 0)
            return true;
    return false;
}

static void put_fields(struct pv_buf *b, const struct gw_env_request *q)
{
    const struct pv_http_head *h = q->head;
    char variable[256];
    for (unsigned i = 0; i < h->n_fields; i++) {
        const struct pv_http_field *f = &h->fields[i];
        if (is_skipped(f->name) || pv_http_is_hop_field(h, f->name) ||
            !field_variable(f->name, variable, sizeof variable))
            continue;
        if (strcasecmp(f->name, "authorization") == 0 && gw_auth_ok(f->value, q->token))
            continue;
        if (pv_http_field(h, f->name) == f->value) /* the first of that name */
            put_str(b, variable, f->value);
    }
}

/* Of "address:port". */
static size_t address_len(const char *remote)
{
    const char *colon = strrchr(remote, ':');
    return colon ? (size_t)(colon - remote) : strlen(remote);
}

static void put_cgi(struct pv_buf *b, const struct gw_env_request *q)
{
    const char *type = pv_http_field(q->head, "content-type");
    char script[PV_NAME_MAX + 16];
    snprintf(script, sizeof script, "/function/%s", q->function);
    put_str(b, "GATEWAY_INTERFACE", "CGI/1.1");
    put_str(b, "REQUEST_METHOD", q->head->method);
    put_str(b, "QUERY_STRING", q->query);
    put_u64(b, "CONTENT_LENGTH", q->body_len);
    put_str(b, "CONTENT_TYPE", type ? type : "");
    put_str(b, "SCRIPT_NAME", script);
    put_str(b, "SERVER_PROTOCOL", q->head->minor ? "HTTP/1.1" : "HTTP/1.0");
    put_str(b, "SERVER_SOFTWARE", "provost/" PV_VERSION);
    put_var(b, "REMOTE_ADDR", q->remote, address_len(q->remote));
}

static void put_watchdog(struct pv_buf *b, const struct gw_env_request *q)
{
    put_str(b, "Http_Method", q->head->method);
    put_str(b, "Http_Query", q->query);
    if (q->path_len)
        put_var(b, "Http_Path", q->path, q->path_len);
    else
        put_str(b, "Http_Path", "/");
    put_u64(b, "Http_ContentLength", q->body_len);
    put_str(b, "Http_Host", q->head->host);
    put_str(b, "Http_X_Call_Id", q->call_id);
    put_u64(b, "Http_X_Start_Time", q->start_ns);
    /* As OpenFaaS's gateway: only where the client, or a proxy before us, gave none. They are
     * claims; REMOTE_ADDR is what was seen. */
    if (!pv_http_field(q->head, "x-forwarded-for"))
        put_var(b, "Http_X_Forwarded_For", q->remote, address_len(q->remote));
    if (!pv_http_field(q->head, "x-forwarded-host"))
        put_str(b, "Http_X_Forwarded_Host", q->head->host);
}

int gw_env_build(struct pv_buf *b, const struct gw_env_request *q, struct pv_err *err)
{
    pv_buf_reset(b);
    put_cgi(b, q);
    PV_TRY(put_path_info(b, q->path, q->path_len, err));
    put_watchdog(b, q);
    put_fields(b, q);
    return pv_buf_check(b, "the request's variables", err);
}
