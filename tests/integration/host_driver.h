/* Plays supervisor, auditor and gateway for one enclave host. */
#pragma once
#include "pv/host.h"
#include "pv/ring.h"
#include "pv/role.h"
#include "pv/spec.h"

#include <sys/types.h>

struct host_driver {
    pid_t pid;
    int control, data, log;
    struct pv_ring_reader *ring;
    char mode[16], reason[512]; /* of PV_HOST_READY, or "failed" */
    unsigned n_events[128];     /* by kind */
    char cgroups[3][256];       /* of slot 0 .. n are beneath; "" without */
    unsigned n_slots;
    bool microvm;
    char unfit[PV_UNFIT_MAX]; /* why a host of micro-VMs made way; "" else */
};

struct host_result {
    struct pv_call_id call;
    unsigned outcome;
    uint32_t exit_code, signal;
    uint64_t duration_ns, cpu_ns, peak_bytes;
    char message[512];
    char body[65536];
    size_t body_len;
};

/* Starts the host for spec with the directory as package; waits for ready or failed. */
void driver_start(struct host_driver *d, const char *host, const char *package,
                  struct pv_spec *spec, bool cgroups);
/* Sends a request; env is "K=V" NUL each. */
struct pv_call_id driver_invoke(struct host_driver *d, const char *env, size_t env_len,
                                const void *body, size_t body_len, uint64_t timeout_ms);
/* Waits for the next result; answers connections with "pong" on the way. */
void driver_result(struct host_driver *d, struct host_result *ret);
/* The same, but false when none came in time. */
bool driver_result_within(struct host_driver *d, int wait_ms, struct host_result *ret);
void driver_cancel(struct host_driver *d, const struct pv_call_id *call);
/* Sends the number of instances to keep prepared, and waits until the host tells of as many. */
void driver_scale(struct host_driver *d, uint32_t prepared);
/* Reads what the host recorded so far. */
void driver_events(struct host_driver *d);
/* Drains the host and returns its wait status. */
int driver_stop(struct host_driver *d);
