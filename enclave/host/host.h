/* The enclave host: one process per function version, one thread, one loop. */
#pragma once
#include "logfile.h"

#include "pv/domain.h"
#include "pv/ring.h"
#include "pv/role.h"

struct pv_host;

/* A request from the gateway; holds the message its body lies in. */
struct pv_request {
    struct pv_request *next;
    struct pv_call_id call;
    uint64_t timeout_ms;
    uint64_t arrived_ns;
    struct pv_msg msg;
    struct pv_payload body;
    const uint8_t *env; /* borrowed from msg */
    size_t env_len;
};

enum pv_seat_state {
    PV_SEAT_EMPTY,
    PV_SEAT_STARTING, /* an instance was started and does not wait yet */
    PV_SEAT_WAITING,  /* it waits for a request */
    PV_SEAT_ASSIGNED, /* has a request, which it cannot take yet */
    PV_SEAT_RUNNING,
    PV_SEAT_ENDING, /* has answered; its processes are on their way out */
};

enum pv_seat_event {
    PV_EV_STDIN,
    PV_EV_STDOUT,
    PV_EV_STDERR,
    PV_EV_EXIT,
    PV_EV_ENDING,
    PV_EV_GATEWAY,
    PV_EV_PROXY,
    PV_EV_DATA,
    PV_EV_CONTROL,
    PV_EV_BELL
};

/* A slot of the domain as the host sees it: at most one instance and its request. */
struct pv_seat {
    enum pv_seat_state state;
    unsigned slot;
    struct pv_instance *instance;
    uint64_t number;  /* of the instance within this host's domain */
    uint64_t zygote;  /* number of the slot's zygote, 0: it has none */
    uint64_t machine; /* number of the slot's VM, 0: it has none */
    int listener;     /* of that zygote, for the class's ending; -1: none */
    struct pv_request *request;
    uint64_t started_ns, begun_ns, deadline_ns, next_look_ns;
    uint64_t look_gap_ns;
    uint64_t elsewhere_ns; /* probe: since when it sleeps for something other than stdin */
    size_t written;        /* of the body */
    struct pv_buf output;
    enum pv_outcome stopped; /* why the host killed it; PV_OUT_OK: it did not */
    enum pv_outcome outcome; /* once it has answered */
    bool probe, made;        /* made: it is a process by now, and recorded */
    bool watched;            /* its output is read as it comes */
    struct pv_log_lines lines;
};

struct pv_outgoing {
    struct pv_outgoing *next;
    struct pv_msg msg;
};

struct pv_host {
    struct pv_spec spec;
    struct pv_domain *domain;
    bool microvm; /* the domain's class */
    char unfit[PV_UNFIT_MAX]; /* why no micro-VM serves the function, for people; "" else */
    bool snapshot_told;
    bool sealed; /* and says nothing of being ready before it is watched */
    struct pv_producer *producer;
    struct pv_log_file log;
    int epoll, data, control;
    struct pv_seat *seats;
    unsigned n_seats, wanted, n_waiting, n_running;
    struct pv_request *queue, **queue_end;
    unsigned n_queued;
    struct pv_outgoing *out, **out_end;
    enum pv_mode mode;
    bool audit;                   /* false: benchmark only */
    bool tracing, draining, lost; /* lost: a peer is gone, stop at once */
    bool decided, probed;         /* mode is final; the probe has found no reason against waiting */
    char failure[512];            /* sent with PV_HOST_FAILED; "" while all is well */
    unsigned failures;            /* instances in a row that could not be prepared */
    uint64_t retry_ns;
    uint64_t instances, connections;
    uint64_t counts_ns;
    uint64_t idle_ns; /* when no invocation will have ended for long; UINT64_MAX: all is done */
    uint32_t told_waiting, told_running;
};

/* --- prepare.c: instances made in advance, and how --- */
void pv_prepare_tick(struct pv_host *h, uint64_t now_ns);
/* Something has ended: the while of which pv_prepare_trim speaks begins anew. */
void pv_prepare_idle(struct pv_host *h);
/* Gives back what no waiting instance stands on, when nothing has run for a while. */
void pv_prepare_trim(struct pv_host *h, uint64_t now_ns);
/* Says to the supervisor why the function needs a host of processes, which this one cannot become.
 */
PV_MUST_CHECK int pv_prepare_make_way(struct pv_host *h, const char *why, struct pv_err *err);
/* Whether anything is to be prepared at all. */
bool pv_prepare_may(const struct pv_host *h);
/* Instances that have ended without an exit_fd. */
void pv_invoke_finished(struct pv_host *h);
/* A seat in which an instance could be prepared, or NULL. */
struct pv_seat *pv_seat_vacant(const struct pv_host *h);
/* Takes over instances that have been made by now. */
void pv_prepare_made(struct pv_host *h);
/* The outside witness watches the sealed host: it may begin. */
void pv_prepare_watched(struct pv_host *h);
/* Records that the slots' zygotes and VMs end with the host. */
void pv_prepare_finish(struct pv_host *h);
/* Looks whether instances that are starting wait by now; decides the mode with the probe. */
void pv_prepare_look(struct pv_host *h, uint64_t now_ns);
/* The instance died before it had a request. */
void pv_prepare_died(struct pv_host *h, struct pv_seat *s);
PV_MUST_CHECK int pv_seat_fill(struct pv_host *h, struct pv_seat *s, enum pv_mode mode,
                               struct pv_err *err);
/* No longer listens for the ends of what its zygote bears. */
void pv_seat_deafen(struct pv_host *h, struct pv_seat *s);
/* Destroys the seat's instance, records why, and leaves the seat empty. */
void pv_seat_clear(struct pv_host *h, struct pv_seat *s, const char *reason);

/* --- invoke.c: one request from queue to result --- */
void pv_invoke_queue(struct pv_host *h, struct pv_request *r);
/* Gives queued requests to instances. */
void pv_invoke_dispatch(struct pv_host *h, uint64_t now_ns);
void pv_invoke_cancel(struct pv_host *h, const struct pv_call_id *call);
void pv_invoke_timeouts(struct pv_host *h, uint64_t now_ns);
/* The seat's instance, or another process of its zygote, is about to exit. */
void pv_invoke_ending(struct pv_host *h, struct pv_seat *s);
/* Every process of the seat's instance is dead. */
void pv_invoke_exited(struct pv_host *h, struct pv_seat *s);
/* Stops a running instance for that reason; the rest follows when it is dead. */
void pv_invoke_stop(struct pv_seat *s, enum pv_outcome why);
/* Answers a request that never ran. */
void pv_invoke_refuse(struct pv_host *h, struct pv_request *r, enum pv_outcome outcome,
                      const char *message);
void pv_request_free(struct pv_request *r);

/* --- streams.c: an instance's pipes and connections --- */
void pv_streams_write_body(struct pv_host *h, struct pv_seat *s);
/* From now on the seat's output is read as it comes. */
PV_MUST_CHECK int pv_streams_watch(struct pv_host *h, struct pv_seat *s, struct pv_err *err);
/* The same for instances that have been running for a moment. */
void pv_streams_watch_late(struct pv_host *h, uint64_t now_ns);
/* When the next of them will have been, or UINT64_MAX. */
uint64_t pv_streams_late_ns(const struct pv_seat *s);
void pv_streams_read_output(struct pv_host *h, struct pv_seat *s);
void pv_streams_read_errors(struct pv_host *h, struct pv_seat *s);
void pv_streams_accept(struct pv_host *h, struct pv_seat *s, enum pv_broker broker);
PV_MUST_CHECK int pv_watch(struct pv_host *h, int fd, enum pv_seat_event what, unsigned slot,
                           uint32_t events, struct pv_err *err);

/* --- gateway.c: messages --- */
void pv_gateway_receive(struct pv_host *h);
void pv_gateway_send(struct pv_host *h, struct pv_msg *m);
void pv_gateway_flush(struct pv_host *h);
/* unknown: names of system calls that it tried in vain, with spaces between. */
void pv_gateway_ready(struct pv_host *h, const char *reason, const char *unknown);
/* call: what the instance tried. */
void pv_gateway_misfit(struct pv_host *h, const char *call);
void pv_gateway_failed(struct pv_host *h, const char *reason);
void pv_gateway_counts(struct pv_host *h, uint64_t now_ns);

/* --- record.c: the inside witness --- */
/* Whether the ring has room for one more invocation besides those that run. */
bool pv_record_room(const struct pv_host *h);
/* Emits, waiting for the auditor when the ring is full: nothing happens unrecorded. */
void pv_record(struct pv_host *h, struct pv_event *e);
void pv_record_prepared(struct pv_host *h, const struct pv_seat *s);
/* A zygote is an instance too: of nothing but later instances. */
void pv_record_zygote(struct pv_host *h, uint64_t number, int64_t pid, uint64_t start_ticks);
void pv_record_gone(struct pv_host *h, uint64_t number, const char *reason);
void pv_record_begin(struct pv_host *h, const struct pv_seat *s);
void pv_record_end(struct pv_host *h, const struct pv_seat *s, enum pv_outcome outcome,
                   const struct pv_instance_end *end, uint64_t duration_ns);
void pv_record_destroyed(struct pv_host *h, const struct pv_seat *s, const char *reason);
void pv_record_limit(struct pv_host *h, const struct pv_seat *s, const char *limit, uint64_t value);
void pv_record_connection(struct pv_host *h, const struct pv_seat *s, uint64_t connection,
                          enum pv_broker broker, unsigned port);
void pv_record_snapshot(struct pv_host *h, const struct pv_snapshot_facts *f);
/* What the instance did that its monitor saw since the last time. */
void pv_record_accesses(struct pv_host *h, const struct pv_seat *s);
void pv_record_denied(struct pv_host *h, const char *what, const char *object, const char *reason);

/* --- loop.c --- */
PV_MUST_CHECK int pv_loop_run(struct pv_host *h, struct pv_err *err);
