#include "proxy.h"

#include "call.h"
#include "record.h"

#include "pv/clock.h"
#include "pv/http.h"
#include "pv/http_response.h"
#include "pv/own.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

enum { WINDOW_BYTES = 256 << 10, LAST_BYTES_MAX = 1 << 20, HOST_MAX = 256 };

enum proxy_state {
    P_HEAD,       /* reading the request */
    P_CONNECTING, /* allowed; resolving and connecting */
    P_RELAY,
    P_CLOSING, /* last bytes are being written */
    P_DEAD,
};

struct direction {
    struct pv_hasher *hasher; /* owned */
    uint64_t len;
};

struct gw_proxy {
    LIST_ENTRY(gw_proxy) link;
    LIST_ENTRY(gw_proxy) owner_link;
    struct gateway *gw;
    struct gw_call *owner; /* NULL once it has ended */
    struct pv_call_id caller;
    uint64_t connection;
    enum proxy_state state;
    struct pv_http_parser *parser;
    struct bufferevent *down; /* the function's side */
    struct bufferevent *up;
    bool tunnel;
    bool chunked;
    bool request_done;
    bool down_ended; /* the function's side sends no more */
    bool recorded;   /* EGRESS was emitted as allowed: EGRESS_END is due */
    char host[HOST_MAX];
    uint16_t port;
    struct direction sent, received;
    struct pv_http_status_scan status;
    uint64_t deadline_ns;
};

static void touch(struct gw_proxy *p, uint64_t ms)
{
    p->deadline_ns = pv_now_mono_ns() + ms * PV_NS_PER_MS;
}

static void record_end(struct gw_proxy *p)
{
    if (!p->recorded)
        return;
    p->recorded = false;
    uint8_t sent[PV_HASH_BYTES], received[PV_HASH_BYTES];
    struct pv_event e;
    pv_hasher_final(p->sent.hasher, sent);
    pv_hasher_final(p->received.hasher, received);
    pv_event_init(&e, PV_K_EGRESS_END, &p->caller);
    pv_event_u64(&e, p->connection);
    pv_event_u64(&e, p->status.status);
    pv_event_bytes(&e, sent, sizeof sent);
    pv_event_u64(&e, p->sent.len);
    pv_event_bytes(&e, received, sizeof received);
    pv_event_u64(&e, p->received.len);
    gw_record(p->gw, &e);
}

static void disown(struct gw_proxy *p)
{
    if (!p->owner)
        return;
    LIST_REMOVE(p, owner_link);
    p->owner->n_brokered--;
    p->owner = NULL;
}

static void kill_proxy(struct gw_proxy *p)
{
    struct gateway *gw = p->gw;
    if (p->state == P_DEAD)
        return;
    record_end(p);
    disown(p);
    p->state = P_DEAD;
    if (p->down)
        (void)bufferevent_disable(p->down, EV_READ | EV_WRITE);
    if (p->up)
        (void)bufferevent_disable(p->up, EV_READ | EV_WRITE);
    LIST_REMOVE(p, link);
    LIST_INSERT_HEAD(&gw->dead_proxies, p, link);
    gw->n_conns--;
    event_active(gw->reap_event, EV_TIMEOUT, 1);
}

static void free_proxy(struct gw_proxy *p)
{
    if (p->down)
        bufferevent_free(p->down);
    if (p->up)
        bufferevent_free(p->up);
    pv_http_parser_free(p->parser);
    pv_hasher_free(p->sent.hasher);
    pv_hasher_free(p->received.hasher);
    free(p);
}

void gw_proxy_reap(struct gateway *gw)
{
    struct gw_proxy *p;
    while ((p = LIST_FIRST(&gw->dead_proxies))) {
        LIST_REMOVE(p, link);
        free_proxy(p);
    }
}

/* Frees p once everything for that side is written. */
static void close_after(struct gw_proxy *p, struct bufferevent *side)
{
    struct bufferevent *other = side == p->down ? p->up : p->down;
    if (other)
        (void)bufferevent_disable(other, EV_READ | EV_WRITE);
    (void)bufferevent_disable(side, EV_READ);
    p->state = P_CLOSING;
    touch(p, PV_HTTP_LINGER_MS);
    if (evbuffer_get_length(bufferevent_get_output(side)) == 0)
        kill_proxy(p);
}

static PV_PRINTF(3, 4) void answer_text(struct gw_proxy *p, unsigned status, const char *fmt, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)evbuffer_add_printf(bufferevent_get_output(p->down),
                              "HTTP/1.1 %u %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
                              "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
                              status, pv_http_status_text(status), strlen(text) + 1, text);
    record_end(p);
    close_after(p, p->down);
}

/* --- relaying --- */

static void relay(struct direction *d, struct bufferevent *from, struct bufferevent *to,
                  const void *p, size_t len)
{
    pv_hasher_update(d->hasher, p, len);
    d->len += len;
    (void)bufferevent_write(to, p, len);
    if (from && evbuffer_get_length(bufferevent_get_output(to)) > WINDOW_BYTES)
        (void)bufferevent_disable(from, EV_READ);
}

static void send_up(struct gw_proxy *p, const void *data, size_t len)
{
    relay(&p->sent, p->down, p->up, data, len);
}

static void send_up_text(struct gw_proxy *p, const char *s)
{
    send_up(p, s, strlen(s));
}

static void send_body(struct gw_proxy *p, struct pv_http_span span)
{
    char size[24];
    if (p->chunked) {
        snprintf(size, sizeof size, "%zx\r\n", span.len);
        send_up_text(p, size);
    }
    send_up(p, span.data, span.len);
    if (p->chunked)
        send_up_text(p, "\r\n");
}

static void send_head(struct gw_proxy *p, const struct pv_http_head *h)
{
    const char *authority = h->target + 7; /* "http://" */
    size_t authority_len = strcspn(authority, "/?");
    const char *path = authority + authority_len;
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, (size_t)2 * PV_HTTP_HEAD_MAX);
    pv_buf_printf(&b, "%s %s%s HTTP/1.1\r\nHost: %.*s\r\n", h->method, *path == '/' ? "" : "/",
                  path, (int)authority_len, authority);
    for (unsigned i = 0; i < h->n_fields; i++)
        if (strcasecmp(h->fields[i].name, "host") != 0 &&
            !pv_http_is_hop_field(h, h->fields[i].name))
            pv_buf_printf(&b, "%s: %s\r\n", h->fields[i].name, h->fields[i].value);
    pv_buf_printf(&b, "Connection: close\r\n\r\n");
    p->chunked = h->chunked;
    send_up(p, b.data, b.len);
}

/* --- the decision --- */

static bool is_granted(const struct gw_proxy *p)
{
    char target[HOST_MAX + 10];
    const struct pv_str_list *egress = &p->owner->version->spec.egress;
    snprintf(target, sizeof target, strchr(p->host, ':') ? "[%s]:%u" : "%s:%u", p->host, p->port);
    for (unsigned i = 0; i < egress->n; i++)
        if (strcasecmp(egress->v[i], target) == 0)
            return true;
    return false;
}

/* As functions know the gateway. What comes to it through the proxy comes to no function. */
static bool is_gateway_address(const struct gw_proxy *p)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "gateway"};
    for (size_t i = 0; p->port == PV_BROKER_GATEWAY_PORT && i < sizeof names / sizeof *names; i++)
        if (strcasecmp(p->host, names[i]) == 0)
            return true;
    return false;
}

static void record_egress(struct gw_proxy *p, const struct pv_http_head *h, bool allowed)
{
    char target[GW_TARGET_SHOWN + 1];
    struct pv_event e;
    snprintf(target, sizeof target, "%s", h->target);
    pv_event_init(&e, PV_K_EGRESS, &p->caller);
    pv_event_u64(&e, p->connection);
    pv_event_text(&e, p->host);
    pv_event_u64(&e, p->port);
    pv_event_text(&e, h->method);
    pv_event_text(&e, target);
    pv_event_u64(&e, allowed);
    pv_event_text(&e, allowed ? "" : "not granted by the deployment");
    gw_record(p->gw, &e);
    p->recorded = allowed;
    if (allowed)
        p->gw->metrics.egress_allowed++;
    else
        p->gw->metrics.egress_denied++;
}

static bool parse_authority(struct gw_proxy *p, const struct pv_http_head *h)
{
    bool absolute = h->form == PV_HTTP_ABSOLUTE;
    const char *text = absolute ? h->target + 7 : h->target;
    return pv_http_split_authority(text, absolute ? strcspn(text, "/?") : strlen(text),
                                   absolute ? 80 : 0, p->host, sizeof p->host, &p->port);
}

static void on_up_read(struct bufferevent *bev, void *arg);
static void on_up_write(struct bufferevent *bev, void *arg);
static void on_up_event(struct bufferevent *bev, short what, void *arg);

static bool start_connect(struct gw_proxy *p)
{
    p->up =
        bufferevent_socket_new(p->gw->base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!p->up || pv_hasher_new(&p->sent.hasher, NULL) < 0 ||
        pv_hasher_new(&p->received.hasher, NULL) < 0)
        return false;
    bufferevent_setcb(p->up, on_up_read, on_up_write, on_up_event, p);
    bufferevent_setwatermark(p->up, EV_READ, 0, WINDOW_BYTES);
    /* Nothing is sent before it is known where the name has led. */
    (void)bufferevent_disable(p->up, EV_WRITE);
    p->state = P_CONNECTING;
    return true;
}

static void on_head(struct gw_proxy *p)
{
    const struct pv_http_head *h = pv_http_parser_head(p->parser);
    if (!parse_authority(p, h)) {
        answer_text(p, 400, "the proxy's target must be http://HOST[:PORT]/… or CONNECT HOST:PORT");
        return;
    }
    if (!gw_record_room(p->gw)) {
        answer_text(p, 503, "the auditor is behind, and nothing leaves unrecorded; try again soon");
        return;
    }
    bool allowed = is_granted(p);
    if (allowed && !start_connect(p)) {
        answer_text(p, 503, "not enough memory");
        return;
    }
    record_egress(p, h, allowed);
    if (!allowed) {
        answer_text(p, 403,
                    is_gateway_address(p)
                        ? "%s:%u is the gateway, which is reached without this proxy: name its "
                          "host in no_proxy"
                        : "%s:%u is not granted to this function; deploy it with --allow-egress",
                    p->host, p->port);
        return;
    }
    p->tunnel = h->form == PV_HTTP_AUTHORITY;
    if (!p->tunnel)
        send_head(p, h);
    if (h->expect_continue)
        (void)evbuffer_add_printf(bufferevent_get_output(p->down), "HTTP/1.1 100 Continue\r\n\r\n");
    touch(p, PV_HTTP_IDLE_TIMEOUT_MS);
    if (bufferevent_socket_connect_hostname(p->up, p->gw->dns, AF_UNSPEC, p->host, p->port) < 0)
        answer_text(p, 502, "%s:%u cannot be reached", p->host, p->port);
}

/* --- the function's side --- */

static void parse_step(struct gw_proxy *p, enum pv_http_step s, struct pv_http_span span)
{
    switch (s) {
    case PV_HTTP_HEAD:
        on_head(p);
        break;
    case PV_HTTP_BODY:
        send_body(p, span);
        break;
    case PV_HTTP_DONE:
        p->request_done = true;
        if (p->chunked)
            send_up_text(p, "0\r\n\r\n");
        break;
    case PV_HTTP_ERROR:
        answer_text(p, pv_http_parser_status(p->parser), "%s", pv_http_parser_reason(p->parser));
        break;
    case PV_HTTP_MORE:
        break;
    }
}

/* Feeds bytes of the function's side; what follows a CONNECT is the tunnel's. */
static void feed(struct gw_proxy *p, const uint8_t *in, size_t len)
{
    while (p->state < P_CLOSING && !p->request_done) {
        struct pv_http_span span;
        size_t used;
        enum pv_http_step s = pv_http_parse(p->parser, in, len, &used, &span);
        in += used;
        len -= used;
        if (s == PV_HTTP_MORE)
            break;
        parse_step(p, s, span);
    }
    if (p->tunnel && len && p->state < P_CLOSING)
        send_up(p, in, len);
}

static void on_down_read(struct bufferevent *bev, void *arg)
{
    struct gw_proxy *p = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    touch(p, PV_HTTP_IDLE_TIMEOUT_MS);
    while (evbuffer_get_length(in) > 0 && p->state < P_CLOSING) {
        size_t n = evbuffer_get_contiguous_space(in);
        feed(p, evbuffer_pullup(in, (ev_ssize_t)n), n);
        (void)evbuffer_drain(in, n);
    }
}

static void on_down_write(struct bufferevent *bev, void *arg)
{
    struct gw_proxy *p = arg;
    /* Deferred: more may have been queued since the output ran dry. */
    if (evbuffer_get_length(bufferevent_get_output(bev)) > 0)
        return;
    if (p->state == P_CLOSING)
        kill_proxy(p);
    else if (p->up)
        (void)bufferevent_enable(p->up, EV_READ);
}

/* A tunnel's end of input goes the same way as its bytes, after the last of them. A plain request
 * is complete without it, and its answer may still come. */
static void pass_on_end(const struct gw_proxy *p)
{
    if (p->tunnel && p->down_ended && p->state == P_RELAY &&
        evbuffer_get_length(bufferevent_get_output(p->up)) == 0)
        (void)shutdown(bufferevent_getfd(p->up), SHUT_WR);
}

static void on_down_event(struct bufferevent *bev, short what, void *arg)
{
    struct gw_proxy *p = arg;
    (void)bev;
    if (p->state >= P_CLOSING)
        return;
    if (!(what & BEV_EVENT_EOF) || !p->up || !p->request_done) {
        kill_proxy(p);
        return;
    }
    (void)bufferevent_disable(p->down, EV_READ);
    p->down_ended = true;
    pass_on_end(p);
}

/* --- the remote side --- */

static void on_up_read(struct bufferevent *bev, void *arg)
{
    struct gw_proxy *p = arg;
    struct evbuffer *in = bufferevent_get_input(bev);
    touch(p, PV_HTTP_IDLE_TIMEOUT_MS);
    while (evbuffer_get_length(in) > 0) {
        size_t n = evbuffer_get_contiguous_space(in);
        const uint8_t *data = evbuffer_pullup(in, (ev_ssize_t)n);
        if (!p->tunnel)
            pv_http_status_feed(&p->status, data, n);
        if (p->state < P_CLOSING)
            relay(&p->received, p->up, p->down, data, n);
        (void)evbuffer_drain(in, n);
    }
}

static void on_up_write(struct bufferevent *bev, void *arg)
{
    struct gw_proxy *p = arg;
    /* Deferred: more may have been queued since the output ran dry. */
    if (evbuffer_get_length(bufferevent_get_output(bev)) > 0)
        return;
    if (p->state == P_CLOSING)
        kill_proxy(p);
    else if (p->down_ended)
        pass_on_end(p);
    else
        (void)bufferevent_enable(p->down, EV_READ);
}

static uint16_t address_port(const struct sockaddr_storage *a)
{
    /* sin_port and sin6_port stand at the same place. */
    struct sockaddr_in in;
    memcpy(&in, a, sizeof in);
    return in.sin_port;
}

/* The address as IPv6, IPv4 mapped. */
static struct in6_addr as_v6(const struct sockaddr_storage *a)
{
    struct in6_addr v6 = {{{0}}};
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    if (a->ss_family == AF_INET6) {
        memcpy(&in6, a, sizeof in6);
        return in6.sin6_addr;
    }
    memcpy(&in, a, sizeof in);
    v6.s6_addr[10] = v6.s6_addr[11] = 0xff;
    memcpy(v6.s6_addr + 12, &in.sin_addr, sizeof in.sin_addr);
    return v6;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    struct in6_addr x = as_v6(a), y = as_v6(b);
    return memcmp(&x, &y, sizeof x) == 0;
}

static bool is_local(const struct sockaddr_storage *a)
{
    struct in6_addr v6 = as_v6(a);
    return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127);
}

static void connected(struct gw_proxy *p)
{
    p->state = P_RELAY;
    (void)bufferevent_enable(p->up, EV_READ | EV_WRITE);
    if (p->tunnel)
        (void)evbuffer_add_printf(bufferevent_get_output(p->down),
                                  "HTTP/1.1 200 Connection established\r\n\r\n");
    pass_on_end(p);
}

/* Whatever name was granted, the way outside must not lead to the gateway's own port: there a call
 * would come without its caller and its grants. */
static bool leads_back(const struct gw_proxy *p)
{
    struct sockaddr_storage peer = {0}, own = {0};
    socklen_t peer_len = sizeof peer, own_len = sizeof own;
    int fd = bufferevent_getfd(p->up);
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0 ||
        getsockname(p->gw->listen_fd, (struct sockaddr *)&own, &own_len) < 0)
        return true;
    if (address_port(&peer) != address_port(&own))
        return false;
    if (same_address(&peer, &own))
        return true;
    own_len = sizeof own;
    return is_local(&peer) ||
           (getsockname(fd, (struct sockaddr *)&own, &own_len) == 0 && same_address(&peer, &own));
}

static void on_up_event(struct bufferevent *bev, short what, void *arg)
{
    struct gw_proxy *p = arg;
    if ((what & BEV_EVENT_CONNECTED) && leads_back(p)) {
        answer_text(p, 403, "%s:%u is the gateway itself: deploy with --allow-call instead",
                    p->host, p->port);
        return;
    }
    if (p->state >= P_CLOSING) {
        if (p->state == P_CLOSING && (what & BEV_EVENT_ERROR))
            kill_proxy(p);
        else if (p->state == P_CLOSING && (what & BEV_EVENT_CONNECTED))
            (void)bufferevent_enable(p->up, EV_WRITE); /* the last bytes of an ended invocation */
        return;
    }
    if (what & BEV_EVENT_CONNECTED) {
        connected(p);
        return;
    }
    if (p->state == P_CONNECTING) {
        int dns = bufferevent_socket_get_dns_error(bev);
        answer_text(p, 502, "%s:%u cannot be reached: %s", p->host, p->port,
                    dns ? evutil_gai_strerror(dns)
                        : evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
        return;
    }
    record_end(p);
    close_after(p, p->down);
}

/* --- life --- */

void gw_proxy_open(struct gateway *gw, int fd, struct gw_call *owner, uint64_t connection)
{
    pv_autoclose int guarded = fd;
    struct gw_proxy *p = calloc(1, sizeof *p);
    if (!p)
        return;
    p->gw = gw;
    p->caller = owner->id;
    p->connection = connection;
    if (pv_http_parser_new(&p->parser, PV_HTTP_ABSOLUTE | PV_HTTP_AUTHORITY, PV_HTTP_BODY_MAX,
                           NULL) == 0)
        p->down =
            bufferevent_socket_new(gw->base, fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    if (!p->down) {
        free_proxy(p);
        return;
    }
    guarded = -1;
    p->owner = owner;
    LIST_INSERT_HEAD(&owner->proxies, p, owner_link);
    LIST_INSERT_HEAD(&gw->proxies, p, link);
    owner->n_brokered++;
    gw->n_conns++;
    bufferevent_setcb(p->down, on_down_read, on_down_write, on_down_event, p);
    bufferevent_setwatermark(p->down, EV_READ, 0, WINDOW_BYTES);
    (void)bufferevent_enable(p->down, EV_READ | EV_WRITE);
    touch(p, PV_HTTP_HEAD_TIMEOUT_MS);
}

/* What the process wrote before it ended still counts, and still goes out. */
static void relay_last_bytes(struct gw_proxy *p)
{
    on_down_read(p->down, p);
    size_t total = 0;
    uint8_t last[16384]; /* not gw->scratch: this may run below a handler that is fed from there */
    while (p->state < P_CLOSING && total < LAST_BYTES_MAX) {
        ssize_t n = recv(bufferevent_getfd(p->down), last, sizeof last, MSG_DONTWAIT);
        if (n <= 0)
            break;
        feed(p, last, (size_t)n);
        total += (size_t)n;
    }
}

void gw_proxy_owner_ended(struct gw_proxy *p)
{
    if (p->state < P_CLOSING)
        relay_last_bytes(p);
    record_end(p);
    disown(p);
    if (p->state >= P_CLOSING)
        return;
    if (p->up && evbuffer_get_length(bufferevent_get_output(p->up)) > 0)
        close_after(p, p->up);
    else
        kill_proxy(p);
}

void gw_proxy_tick(struct gateway *gw, uint64_t now_ns)
{
    struct gw_proxy *p = LIST_FIRST(&gw->proxies);
    while (p) {
        struct gw_proxy *next = LIST_NEXT(p, link);
        if (now_ns >= p->deadline_ns)
            kill_proxy(p);
        p = next;
    }
}
