/* Enclave hosts: one for each function version the gateway asked for. */
#pragma once
#include "supervisor.h"

#include <sys/types.h>

/* Starts a host from encoded specification bytes and answers PV_SUP_HOST_STARTED with tag, also
 * when it refuses. */
void pv_host_start(struct pv_supervisor *s, uint64_t tag, const uint8_t *spec, size_t len);
/* Drains a host; PV_SUP_DONE with tag follows when it has ended. */
void pv_host_stop(struct pv_supervisor *s, uint64_t tag, const char *name, uint64_t version);
/* Starts it again after its back-off, with PV_SUP_HOST_STARTED of tag 0. */
void pv_host_restart(struct pv_supervisor *s, struct pv_host *h);
/* Whether it is, or would be, a host of micro-VMs. */
bool pv_host_wants_microvm(const struct pv_host *h);
/* The host says that its function is none for a micro-VM: one of processes takes its place. */
void pv_host_unfit(struct pv_host *h, const char *why);
/* The stored package had been changed and is itself again: its hosts give way to new ones. */
void pv_hosts_renew(struct pv_supervisor *s, const uint8_t package[PV_HASH_BYTES]);
/* The process has ended. h may be freed. */
void pv_host_ended(struct pv_supervisor *s, struct pv_host *h, int status);
/* The gateway has died: all are drained and forgotten; the next gateway starts its own. */
void pv_hosts_orphaned(struct pv_supervisor *s);
void pv_hosts_drain(struct pv_supervisor *s, uint64_t limit_ms);
bool pv_hosts_running(const struct pv_supervisor *s);
/* The host whose producer domain that is; NULL. */
struct pv_host *pv_host_of_domain(struct pv_supervisor *s, const struct pv_domain_id *id);
/* Tries again to remove cgroups whose processes were dying. */
void pv_hosts_sweep_groups(struct pv_supervisor *s);
/* Frees those that are not running. */
void pv_hosts_free(struct pv_supervisor *s);
/* Sends PV_SUP_DONE. rc is 0 or a negative errno; text may be NULL. */
void pv_gateway_done(struct pv_supervisor *s, uint64_t tag, int rc, const char *text);
