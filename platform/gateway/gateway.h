/* What the gateway's parts share: one process, one thread, one event loop. */
#pragma once
#include "stats.h"

#include "pv/id.h"
#include "pv/limits.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

enum {
    GW_TOKEN_MAX = 256,
    GW_TARGET_SHOWN = 2048, /* bytes of a request target that an event shows */
    GW_READ_BYTES = 64 << 10,
};

struct event;
struct event_base;
struct evdns_base;
struct gw_call;
struct gw_conn;
struct gw_conn_upward;
struct gw_deploy;
struct gw_function;
struct gw_proxy;
struct gw_supervisor;
struct gw_version;
struct pv_producer;

LIST_HEAD(gw_conn_list, gw_conn);
TAILQ_HEAD(gw_conn_queue, gw_conn);
LIST_HEAD(gw_proxy_list, gw_proxy);
LIST_HEAD(gw_version_list, gw_version);
LIST_HEAD(gw_deploy_list, gw_deploy);
TAILQ_HEAD(gw_call_queue, gw_call);

struct gateway {
    struct event_base *base;
    struct evdns_base *dns;
    struct pv_producer *producer; /* owned */
    bool audit;
    bool draining;
    bool failed;                  /* stop with an error: an event was lost */
    char token[GW_TOKEN_MAX];     /* bearer token of the control plane */
    char listen[128];             /* address for /system/info */
    char state_path[PV_PATH_MAX]; /* for messages */
    int listen_fd;
    int registry_fd;
    int logs_fd;
    struct event *accept_event;
    int spare_fd;       /* given up to tell one more client that there are no descriptors left */
    unsigned conns_max; /* as many as the limit of open files allows */
    struct event *tick_event;
    struct event *reap_event;                 /* frees what callbacks have killed */
    struct gw_supervisor *supervisor;         /* owned */
    const struct gw_conn_upward *conn_upward; /* what connections call above them */
    struct gw_function *functions;            /* by name */
    struct gw_call *calls;                    /* by call id */
    unsigned n_functions;
    struct gw_version_list versions; /* all, retiring ones included */
    struct gw_deploy_list deploys;
    struct gw_deploy_list waiting_deploys; /* for another of the same function to end */
    bool packages_due;     /* some may have become unused since the supervisor was last told */
    bool packages_asked;   /* the supervisor is removing them */
    bool packages_unknown; /* a registry entry could not be read: all have to stay */
    struct gw_conn_list conns;
    struct gw_conn_list dead_conns;
    struct gw_conn_queue held;      /* requests that wait for room in the ring */
    struct gw_conn_queue unsigned_; /* answers that wait for a checkpoint (audit: sync) */
    struct gw_proxy_list proxies;
    struct gw_proxy_list dead_proxies;
    unsigned n_conns;    /* clients, brokered calls and proxies */
    uint64_t held_bytes; /* request bodies in memory */
    uint64_t started_ns;
    uint64_t denials_unrecorded;
    struct gw_metrics metrics;
    uint8_t scratch[GW_READ_BYTES];
};
