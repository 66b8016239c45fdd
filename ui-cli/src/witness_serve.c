#include "witness_serve.h"

#include "cli.h"
#include "http_limits.h"
#include "pv/clock.h"
#include "pv/own.h"
#include "pv/units.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <inttypes.h>
#include <string.h>

enum {
    BODY_MAX = 8192, /* 64 hashes and a note */
    HEAD_MAX = 8192,
    IDLE_S = 10, /* until a silent connection is closed */
    LIFE_S = 20, /* until any is */
};

struct cli_witness_server {
    struct evhttp *http;            /* owned */
    struct cli_http_limits *limits; /* owned */
    struct pv_witness *w;
};

void cli_witness_server_free(struct cli_witness_server *s)
{
    if (!s)
        return;
    if (s->http)
        evhttp_free(s->http);
    cli_http_limits_free(s->limits);
    free(s);
}

static void reply(struct evhttp_request *req, int status, const char *type, const void *p,
                  size_t len)
{
    struct evbuffer *body = evhttp_request_get_output_buffer(req);
    evhttp_add_header(evhttp_request_get_output_headers(req), "Content-Type", type);
    if (evbuffer_add(body, p, len) < 0)
        status = HTTP_INTERNAL;
    evhttp_send_reply(req, status, NULL, NULL);
}

static void reply_text(struct evhttp_request *req, int status, const char *text)
{
    char line[600];
    int n = snprintf(line, sizeof line, "%s\n", text);
    reply(req, status, "text/plain; charset=utf-8", line,
          n < (int)sizeof line ? (size_t)n : sizeof line - 1);
}

static void reply_size(struct evhttp_request *req, uint64_t size)
{
    char line[32];
    int n = snprintf(line, sizeof line, "%" PRIu64 "\n", size);
    reply(req, 409, "text/x.tlog.size", line, (size_t)n);
}

static void answer(struct cli_witness_server *s, struct evhttp_request *req, int rc,
                   const struct pv_buf *line, const struct pv_err *err)
{
    if (rc < 0) {
        (void)cli_error(CLI_LOCAL, "%s", err->text);
        reply_text(req, HTTP_INTERNAL, "the witness cannot remember what it would sign");
        return;
    }
    switch ((enum pv_witness_answer)rc) {
    case PV_WITNESS_COSIGNED:
    case PV_WITNESS_UNCHANGED:
        reply(req, HTTP_OK, "text/plain; charset=utf-8", line->data, line->len);
        return;
    case PV_WITNESS_UNKNOWN_ORIGIN:
        reply_text(req, HTTP_NOTFOUND, err->text);
        return;
    case PV_WITNESS_UNKNOWN_KEY:
    case PV_WITNESS_BAD_SIGNATURE:
        reply_text(req, 403, err->text);
        return;
    case PV_WITNESS_FORK:
        (void)cli_error(CLI_FAILED, "%s", err->text);
        reply_size(req, pv_witness_size(s->w));
        return;
    case PV_WITNESS_ROLLBACK:
    case PV_WITNESS_BEHIND:
    case PV_WITNESS_OTHER_SIZE:
        reply_size(req, pv_witness_size(s->w));
        return;
    case PV_WITNESS_BAD_PROOF:
    case PV_WITNESS_BAD_TILE:
        reply_text(req, 422, err->text);
        return;
    case PV_WITNESS_MALFORMED:
        break;
    }
    reply_text(req, HTTP_BADREQUEST, err->text);
}

static void add_checkpoint(struct evhttp_request *req, void *ctx)
{
    struct cli_witness_server *s = ctx;
    struct pv_witness_request q;
    struct pv_err err = PV_ERR_INIT;
    struct evbuffer *in = evhttp_request_get_input_buffer(req);
    size_t len = evbuffer_get_length(in);
    pv_autobuf struct pv_buf line;
    pv_buf_init(&line, PV_NOTE_MAX);
    if (evhttp_request_get_command(req) != EVHTTP_REQ_POST) {
        reply_text(req, HTTP_BADMETHOD, "add-checkpoint takes a POST");
        return;
    }
    const void *body = len ? (const void *)evbuffer_pullup(in, -1) : "";
    if (!body) {
        reply_text(req, HTTP_INTERNAL, "out of memory");
        return;
    }
    int rc = pv_witness_request_parse(body, len, &q, &err);
    if (rc < 0) {
        reply_text(req, HTTP_BADREQUEST, err.text);
        return;
    }
    rc = pv_witness_add(s->w, q.old_size, &q.proof, q.note, q.note_len,
                        pv_now_real_ns() / PV_NS_PER_S, &line, &err);
    answer(s, req, rc, &line, &err);
}

static void last_checkpoint(struct evhttp_request *req, void *ctx)
{
    struct cli_witness_server *s = ctx;
    size_t len;
    const uint8_t *note = pv_witness_note(s->w, &len);
    if (note)
        reply(req, HTTP_OK, "text/plain; charset=utf-8", note, len);
    else
        reply_text(req, HTTP_NOTFOUND, "nothing was cosigned yet");
}

static void not_found(struct evhttp_request *req, void *ctx)
{
    (void)ctx;
    reply_text(req, HTTP_NOTFOUND, "there are add-checkpoint and checkpoint");
}

static int split_address(const char *where, char *address, size_t cap, uint16_t *ret_port,
                         struct pv_err *err)
{
    const char *colon = strrchr(where, ':');
    uint8_t raw[sizeof(struct in6_addr)];
    uint64_t port;
    PV_TRY(cli_parse_count(colon ? colon + 1 : where, UINT16_MAX, &port, err));
    size_t n = colon ? (size_t)(colon - where) : 0;
    if (n >= 2 && where[0] == '[' && where[n - 1] == ']') {
        where++;
        n -= 2;
    }
    if (colon)
        snprintf(address, cap, "%.*s", (int)n, where);
    else
        snprintf(address, cap, "127.0.0.1");
    if (inet_pton(AF_INET, address, raw) != 1 && inet_pton(AF_INET6, address, raw) != 1)
        return pv_refuse(err, EINVAL,
                         "'%s' is no numeric address; write for example 127.0.0.1:8090", address);
    *ret_port = (uint16_t)port;
    return 0;
}

int cli_witness_serve(struct cli_witness_server **ret, struct event_base *base, const char *where,
                      struct pv_witness *w, struct pv_err *err)
{
    char address[INET6_ADDRSTRLEN];
    uint16_t port;
    PV_TRY(split_address(where, address, sizeof address, &port, err));
    struct cli_witness_server *s = calloc(1, sizeof *s);
    if (!s)
        return pv_fail(err, ENOMEM, "allocate a server");
    s->w = w;
    s->http = evhttp_new(base);
    if (!s->http || evhttp_bind_socket(s->http, address, port) < 0 ||
        evhttp_set_cb(s->http, "/add-checkpoint", add_checkpoint, s) < 0 ||
        evhttp_set_cb(s->http, "/checkpoint", last_checkpoint, s) < 0) {
        int error = errno ? errno : ENOMEM;
        cli_witness_server_free(s);
        return pv_fail(err, error, "listen on %s, port %u", address, port);
    }
    int rc = cli_http_limits_new(&s->limits, base, s->http, LIFE_S, err);
    if (rc < 0) {
        cli_witness_server_free(s);
        return rc;
    }
    evhttp_set_max_body_size(s->http, BODY_MAX);
    evhttp_set_max_headers_size(s->http, HEAD_MAX);
    evhttp_set_timeout(s->http, IDLE_S);
    evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
    evhttp_set_gencb(s->http, not_found, s);
    *ret = s;
    return 0;
}
