/* provost-gateway: starts as a role, gives up its privileges, serves. */
#include "api.h"
#include "conn.h"
#include "invoke.h"
#include "lifecycle.h"
#include "packages.h"
#include "proxy.h"
#include "registry.h"
#include "syscall_filter.h"
#include "version.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"
#include "pv/privilege.h"
#include "pv/ring.h"
#include "pv/role.h"

#include <arpa/inet.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    ACCEPTS_PER_TURN = 64,
    OPEN_FILES = 3 * PV_HTTP_CONNECTIONS_MAX,
    CONNS_MIN = 32,
    TICK_IDLE_MS = 500,
    TICK_BUSY_MS = 50,
};

static const struct gw_conn_upward conn_upward = {
    .route = gw_api_route,
    .client_gone = gw_call_client_gone,
};
static const struct gw_supervisor_upward supervisor_upward = {
    .restarted = gw_version_restarted,
    .exited = gw_version_exited,
};

struct identity {
    uint32_t uid;
    uint32_t gid;
};

static void describe_peer(const struct sockaddr_storage *a, char *out, size_t cap)
{
    char ip[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (a->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, a, sizeof in);
        (void)inet_ntop(AF_INET, &in.sin_addr, ip, sizeof ip);
        port = ntohs(in.sin_port);
    } else if (a->ss_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, a, sizeof in);
        (void)inet_ntop(AF_INET6, &in.sin6_addr, ip, sizeof ip);
        port = ntohs(in.sin6_port);
    }
    snprintf(out, cap, "%s:%u", ip, port);
}

/* Takes the socket. What the client has sent is read, lest the close resets the connection before
 * the answer is read. */
static void turn_away(struct gateway *gw, int client)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Content-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n"
                               "Content-Length: 41\r\nConnection: close\r\n\r\n"
                               "too many connections are open; try again\n";
    gw->metrics.turned_away++;
    (void)send(client, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)shutdown(client, SHUT_WR);
    (void)recv(client, gw->scratch, sizeof gw->scratch, MSG_DONTWAIT);
    (void)close(client);
}

/* Left alone, a client that cannot be accepted would wake the loop for ever. */
static void turn_away_with_spare(struct gateway *gw, int listener)
{
    if (gw->spare_fd >= 0)
        (void)close(gw->spare_fd);
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    int client = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client >= 0)
        turn_away(gw, client);
    gw->spare_fd = dup(listener);
}

static void on_accept(evutil_socket_t fd, short what, void *arg)
{
    struct gateway *gw = arg;
    (void)what;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof peer;
        int client = accept4(fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0 && (errno == EMFILE || errno == ENFILE)) {
            turn_away_with_spare(gw, fd);
            continue;
        }
        if (client < 0 && errno == EAGAIN)
            return;
        if (client < 0) /* gone already, or no memory for it */
            continue;
        if (gw->n_conns >= gw->conns_max) {
            turn_away(gw, client);
            continue;
        }
        char remote[64];
        describe_peer(&peer, remote, sizeof remote);
        gw_conn_open(gw, client, remote, NULL, 0);
    }
}

static long next_tick_ms(const struct gateway *gw)
{
    if (!TAILQ_EMPTY(&gw->unsigned_) || !TAILQ_EMPTY(&gw->held))
        return GW_TICK_SOON_MS;
    return gw->calls || gw->draining ? TICK_BUSY_MS : TICK_IDLE_MS;
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct gateway *gw = arg;
    (void)fd;
    (void)what;
    uint64_t now = pv_now_mono_ns();
    gw_calls_tick(gw, now);
    gw_conn_tick(gw, now);
    gw_proxy_tick(gw, now);
    gw_versions_tick(gw, now);
    gw_packages_tick(gw);
    gw_supervisor_tick(gw, now);
    pv_producer_flush(gw->producer);
    if (gw->draining && gw->n_conns == 0 && !gw->calls)
        (void)event_base_loopbreak(gw->base);
    gw_tick_in(gw, next_tick_ms(gw));
}

static void on_reap(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    gw_conn_reap(arg);
    gw_proxy_reap(arg);
}

static int take_start(struct gateway *gw, struct identity *ret_id, struct pv_err *err)
{
    pv_automsg struct pv_msg m = {0};
    struct pv_reader r;
    struct pv_role_start start;
    PV_TRY(pv_role_wait_start(&m, &r, &start, err));
    pv_read_str(&r, gw->token, sizeof gw->token);
    gw->audit = pv_read_u8(&r);
    pv_read_str(&r, gw->listen, sizeof gw->listen);
    pv_read_str(&r, gw->state_path, sizeof gw->state_path);
    ret_id->uid = pv_read_u32(&r);
    ret_id->gid = pv_read_u32(&r);
    PV_TRY(pv_reader_end(&r, "the supervisor's start message", err));
    pv_autoclose int ring = pv_msg_take_fd(&m, 0);
    gw->listen_fd = pv_msg_take_fd(&m, 1);
    gw->registry_fd = pv_msg_take_fd(&m, 2);
    gw->logs_fd = pv_msg_take_fd(&m, 3);
    if (ring < 0 || gw->listen_fd < 0 || gw->registry_fd < 0 || gw->logs_fd < 0 || !gw->token[0])
        return pv_refuse(err, EBADMSG, "the supervisor's start message lacks a descriptor");
    int rc = pv_producer_open(&gw->producer, ring, PV_ROLE_BELL_FD, &start.domain, start.k0,
                              start.name, start.measurement, err);
    explicit_bzero(&start, sizeof start);
    explicit_bzero(m.body.data, m.body.len);
    PV_TRY(rc);
    ring = -1;
    return 0;
}

/* Where the limit may not be raised (a container), fewer connections are served. A proxied one
 * takes two descriptors. */
static int raise_open_files(struct gateway *gw, struct pv_err *err)
{
    struct rlimit limit = {OPEN_FILES, OPEN_FILES};
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
            return pv_fail(err, errno, "read the limit of open files");
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            return pv_fail(err, errno, "raise the limit of open files");
    }
    gw->conns_max =
        limit.rlim_cur >= OPEN_FILES ? PV_HTTP_CONNECTIONS_MAX : (unsigned)limit.rlim_cur / 3;
    if (gw->conns_max < CONNS_MIN)
        return pv_refuse(err, EMFILE, "the limit of open files, %lu, is too low: %d are needed",
                         (unsigned long)limit.rlim_cur, 3 * CONNS_MIN);
    if (gw->conns_max < PV_HTTP_CONNECTIONS_MAX)
        pv_log(PV_LOG_WARN, "the limit of open files allows %u connections only", gw->conns_max);
    return 0;
}

/* Reads the machine's resolver configuration while files can still be opened by path. */
static int open_dns(struct gateway *gw, struct pv_err *err)
{
    gw->dns = evdns_base_new(gw->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    if (!gw->dns)
        return pv_refuse(err, ENOMEM, "prepare the resolver");
    (void)evdns_base_resolv_conf_parse(gw->dns, DNS_OPTIONS_ALL, "/etc/resolv.conf");
    (void)evdns_base_load_hosts(gw->dns, "/etc/hosts");
    return 0;
}

static int open_loop(struct gateway *gw, struct pv_err *err)
{
    int flags = fcntl(gw->listen_fd, F_GETFL);
    if (flags < 0 || fcntl(gw->listen_fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return pv_fail(err, errno, "make the listening socket non-blocking");
    gw->base = event_base_new();
    if (!gw->base)
        return pv_refuse(err, ENOMEM, "make an event loop");
    gw->accept_event = event_new(gw->base, gw->listen_fd, EV_READ | EV_PERSIST, on_accept, gw);
    gw->tick_event = event_new(gw->base, -1, 0, on_tick, gw);
    gw->reap_event = event_new(gw->base, -1, 0, on_reap, gw);
    if (!gw->accept_event || !gw->tick_event || !gw->reap_event ||
        event_add(gw->accept_event, NULL) < 0)
        return pv_refuse(err, ENOMEM, "watch the listening socket");
    gw->spare_fd = dup(gw->listen_fd);
    gw_tick_in(gw, TICK_IDLE_MS);
    return open_dns(gw, err);
}

static int say_ready(const struct gateway *gw, struct pv_err *err)
{
    pv_automsg struct pv_msg m = {0};
    pv_msg_init(&m, PV_ROLE_READY);
    pv_buf_str(&m.body, gw->listen);
    return pv_msg_send(PV_ROLE_CONTROL_FD, &m, err);
}

static int start(struct gateway *gw, struct pv_err *err)
{
    struct identity id;
    PV_TRY(take_start(gw, &id, err));
    PV_TRY(raise_open_files(gw, err));
    PV_TRY(open_loop(gw, err));
    PV_TRY(pv_privilege_drop(id.uid, id.gid, 0, err));
    PV_TRY(gw_seccomp_load(err));
    PV_TRY(gw_supervisor_start(gw, &supervisor_upward, err));
    PV_TRY(gw_registry_load(gw, err));
    return say_ready(gw, err);
}

int main(void)
{
    static struct gateway gw;
    struct pv_err err = PV_ERR_INIT;
    pv_log_init("gateway", PV_LOG_INFO);
    gw.conn_upward = &conn_upward;
    (void)signal(SIGPIPE, SIG_IGN);
    LIST_INIT(&gw.versions);
    LIST_INIT(&gw.deploys);
    LIST_INIT(&gw.waiting_deploys);
    LIST_INIT(&gw.conns);
    LIST_INIT(&gw.dead_conns);
    LIST_INIT(&gw.proxies);
    LIST_INIT(&gw.dead_proxies);
    TAILQ_INIT(&gw.held);
    TAILQ_INIT(&gw.unsigned_);
    if (start(&gw, &err) < 0) {
        pv_log(PV_LOG_ERROR, "%s", err.text);
        return 1;
    }
    (void)event_base_dispatch(gw.base);
    pv_producer_close(gw.producer, gw.failed ? "an event was lost" : "drained");
    return gw.failed ? 1 : 0;
}
