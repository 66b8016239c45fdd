/* The tables of functions and of their versions, and how a version ends. */
#pragma once
#include "gateway.h"

#include "pv/host.h"
#include "pv/spec.h"

#include <event2/event_struct.h>
#include <jansson.h>
#include <uthash.h>

#define GW_NAMESPACE "openfaas-fn"

/* Life of a version. Allowed moves stand in function.c; what makes it move, in version.c. */
enum gw_version_state {
    GW_V_STARTING, /* asked for; no host yet, or not ready */
    GW_V_READY,    /* takes requests */
    GW_V_DOWN,     /* its host died; the supervisor is restarting it */
    GW_V_FAILED,   /* no instance can be prepared; stays until redeployed */
    GW_V_RETIRED,  /* replaced or removed: finishes its queue, then stops */
    GW_V_STOPPED,  /* host stopped; being freed */
    GW_V_STATES,
};

struct gw_version {
    LIST_ENTRY(gw_version) link;
    struct gateway *gw;
    struct gw_function *function;
    enum gw_version_state state;
    struct pv_spec spec;   /* owned */
    struct pv_buf encoded; /* canonical bytes of spec */
    uint8_t spec_hash[32];
    char image[PV_PATH_MAX];
    json_t *annotations; /* owned, or NULL */
    uint64_t created_ns; /* realtime */
    uint64_t asked_ns;   /* monotonic: when the supervisor was asked for its host; 0: not yet */
    uint32_t replicas;   /* instances to keep prepared */
    char mode[32];
    int start_rc;            /* errno with which the supervisor refused its host, or 0 */
    char reason[512];        /* why that mode, or why it failed */
    char unmoved[256];       /* it belongs into another class: why it is not; "" else */
    char unknown_calls[512]; /* of a micro-VM's program, with spaces between */
    uint64_t pid;
    int fd; /* data socket, or -1 */
    struct event read_event;
    struct event write_event;
    struct gw_call_queue queue;
    unsigned queued;
    unsigned in_flight;
    uint32_t prepared, running; /* as the host counts */
    uint64_t ready_deadline_ns;
    bool misfit;    /* a deployment in another class was tried because of what its host said */
    bool ask_again; /* the supervisor could not be asked to start or stop it yet */
    /* Who waits to hear that this version is ready (error NULL), or never will be; told once. */
    void (*settled)(struct gw_deploy *d, const char *error);
    struct gw_deploy *deploy; /* argument of settled, or NULL: nobody waits */
};

struct gw_function {
    UT_hash_handle hh;
    char name[PV_NAME_MAX + 1];
    struct gw_version *current; /* NULL: removed, or never ready */
    uint64_t last_version;
    char damage[256]; /* why its registry entry is of no use, and what to do; "" else */
    bool deploying;
    struct gw_stats stats;
};

struct gw_function *gw_function_find(struct gateway *gw, const char *name);
/* Finds or makes; NULL when there are too many or memory is short. */
struct gw_function *gw_function_get(struct gateway *gw, const char *name);
struct gw_function *gw_function_next(const struct gw_function *f);
/* The status and the words with which a call of a function without a current version is answered. */
unsigned gw_function_absent(const struct gw_function *f, const char **ret_why);
/* Makes one line of UTF-8, as JSON and an answer's text need it, of what quotes files' names or contents. */
void gw_make_printable(char *text);
/* Instances that could take a request. */
unsigned gw_version_available(const struct gw_version *v);
const char *gw_version_state_name(const struct gw_version *v);

/* A version for spec (whose content is taken on success), state STARTING. */
PV_MUST_CHECK int gw_version_new(struct gw_version **ret, struct gateway *gw, struct gw_function *f,
                                 struct pv_spec *spec, struct pv_err *err);
struct gw_version *gw_version_find(struct gateway *gw, const char *name, uint64_t version);
void gw_version_move(struct gw_version *v, enum gw_version_state to);
/* Tells who waits for v, if anybody does. */
void gw_version_settle(struct gw_version *v, const char *error);
/* Closes the data socket to its host. */
void gw_version_close(struct gw_version *v);
/* Called when in_flight or the queue shrank: a retired version that has nothing left to do is
 * stopped, and freed once its host is. */
void gw_version_idle_check(struct gw_version *v);
/* Asks the supervisor again for what it was too busy for: to stop the host of v. */
void gw_version_stop(struct gw_version *v);
