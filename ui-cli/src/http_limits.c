#include "http_limits.h"

#include "pv/clock.h"

#include <event2/bufferevent.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { CONNECTIONS_MAX = 64 };

struct cli_http_limits {
    struct event *tick; /* owned */
    uint64_t life_ns;
    struct {
        struct bufferevent *bev; /* a reference is held; NULL: the place is free */
        uint64_t since_ns;       /* monotonic */
    } conn[CONNECTIONS_MAX];
};

static void forget(struct cli_http_limits *l, unsigned i)
{
    bufferevent_decref(l->conn[i].bev);
    l->conn[i].bev = NULL;
}

/* evhttp sees an end, and closes. */
static void hang_up(const struct cli_http_limits *l, unsigned i)
{
    (void)shutdown(bufferevent_getfd(l->conn[i].bev), SHUT_RD);
}

/* Forgets those that evhttp is done with: it took its callbacks back. */
static void sweep(struct cli_http_limits *l)
{
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        bufferevent_event_cb callback = NULL;
        if (!l->conn[i].bev)
            continue;
        bufferevent_getcb(l->conn[i].bev, NULL, NULL, &callback, NULL);
        if (!callback)
            forget(l, i);
    }
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct cli_http_limits *l = ctx;
    uint64_t now = pv_now_mono_ns();
    (void)fd;
    (void)what;
    sweep(l);
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        if (l->conn[i].bev && now - l->conn[i].since_ns > l->life_ns)
            hang_up(l, i);
}

/* A free place, or that of the oldest, which is ended. */
static unsigned make_room(struct cli_http_limits *l)
{
    unsigned oldest = 0;
    sweep(l);
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
        if (!l->conn[i].bev)
            return i;
        if (l->conn[i].since_ns < l->conn[oldest].since_ns)
            oldest = i;
    }
    hang_up(l, oldest);
    forget(l, oldest);
    return oldest;
}

/* evhttp asks for one with each connection that it takes; NULL has it make one itself. */
static struct bufferevent *new_connection(struct event_base *base, void *ctx)
{
    struct cli_http_limits *l = ctx;
    unsigned i = make_room(l);
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    if (!bev)
        return NULL;
    bufferevent_incref(bev);
    l->conn[i].bev = bev;
    l->conn[i].since_ns = pv_now_mono_ns();
    return bev;
}

int cli_http_limits_new(struct cli_http_limits **ret, struct event_base *base, struct evhttp *http,
                        unsigned life_s, struct pv_err *err)
{
    const struct timeval second = {.tv_sec = 1};
    struct cli_http_limits *l = calloc(1, sizeof *l);
    if (!l)
        return pv_fail(err, ENOMEM, "allocate the limits of a server");
    l->life_ns = life_s * PV_NS_PER_S;
    l->tick = event_new(base, -1, EV_PERSIST, on_tick, l);
    if (!l->tick || event_add(l->tick, &second) < 0) {
        cli_http_limits_free(l);
        return pv_fail(err, ENOMEM, "watch a server's connections");
    }
    evhttp_set_bevcb(http, new_connection, l);
    *ret = l;
    return 0;
}

void cli_http_limits_free(struct cli_http_limits *l)
{
    if (!l)
        return;
    for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
        if (l->conn[i].bev)
            forget(l, i);
    if (l->tick)
        event_free(l->tick);
    free(l);
}
