/* The supervisor's state, shared by its files. One thread; everything hangs on one poll loop.
 * Dependencies go one way: main → supervisor → requests → hosts, imports → roles → the rest. */
#pragma once
#include "cgroup.h"
#include "channel.h"
#include "config.h"
#include "domains.h"
#include "pv/id.h"
#include "pv/ring.h"
#include "pv/spec.h"
#include "state.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum pv_role_kind { PV_ROLE_AUDITOR, PV_ROLE_STITCHER, PV_ROLE_GATEWAY, PV_ROLE_HOST };
enum { PV_SINGLE_ROLES = PV_ROLE_HOST };

/* starting → running → the stops, in order → done; only forward. */
enum pv_phase {
    PV_PH_STARTING,
    PV_PH_RUNNING,
    PV_PH_STOP_GATEWAY,
    PV_PH_STOP_HOSTS,
    PV_PH_SILENCE_STITCHER, /* it closes its domain, so that the auditor can finish the log */
    PV_PH_STOP_AUDITOR,
    PV_PH_STOP_STITCHER, /* it catches up with the finished log */
    PV_PH_DONE,
};

/* A process of ours: a role, or one enclave host. */
struct pv_role {
    enum pv_role_kind kind;
    char name[128]; /* domain name */
    pid_t pid;      /* 0: not running */
    uid_t uid;
    struct pv_channel channel;
    struct pv_domain *domain; /* owned by the table; NULL: not running */
    bool ready;               /* said PV_ROLE_READY since it started */
    bool draining;            /* not to be restarted */
    bool hold;                /* a host: its instances wait for room in the probes' ring */
    uint64_t started_ns;
    uint64_t restart_at_ns; /* 0: none due */
    uint64_t kill_at_ns;    /* 0: none due */
    uint64_t complained_ns; /* when it was last logged that it cannot be started; 0: it can */
    uint32_t backoff_ms;    /* before the next restart */
};

struct pv_host {
    struct pv_host *next;
    struct pv_role role;
    struct pv_spec spec;      /* owned */
    struct pv_buf spec_bytes; /* owned */
    uint8_t measurement[PV_HASH_BYTES];
    char group[PV_NAME_MAX + 64]; /* cgroup of the present run; "": none */
    int host_end;                 /* its end of the data socket on the way to it; else -1 */
    char unfit[PV_UNFIT_MAX];     /* why no micro-VM serves it although one might; "" else */
    bool makes_way;               /* to its own successor: its end is no fault */
    bool leaving;                 /* stopped, or its gateway is gone: exit means the end */
    bool stop_asked;              /* the gateway waits for PV_SUP_DONE with stop_tag */
    uint64_t stop_tag;
};

struct pv_import {
    struct pv_import *next;
    pid_t pid; /* 0: reaped */
    int pipe;  /* owned; what the child found, until end of file */
    uint64_t tag;
    uint64_t gateway_run; /* whose request it was */
    struct pv_buf answer; /* owned */
};

/* A cgroup whose processes were dying when it was to be removed. */
struct pv_dead_group {
    struct pv_dead_group *next;
    char group[PV_NAME_MAX + 64];
};

struct pv_supervisor {
    struct pv_config config;
    struct pv_state state;
    struct pv_cgroups cgroups;
    struct pv_domains domains;
    enum pv_phase phase;
    int signal_fd, bell, listener;
    char listen_text[128]; /* the address really bound */
    char libexec[PV_PATH_MAX];
    struct pv_producer *producer; /* our own events; NULL before and after */
    struct pv_domain *own_domain;
    struct pv_role roles[PV_SINGLE_ROLES];
    struct pv_host *hosts;
    struct pv_import *imports;
    pid_t remover; /* removes packages that nobody uses; 0: not running */
    struct pv_dead_group *dead_groups;
    uint64_t gateway_run;   /* counts the gateway's starts */
    uint32_t host_counter;  /* next user id offset */
    uint32_t group_counter; /* makes cgroup names of restarts differ */
    uint8_t machine;        /* what the hosts are told of this machine's KVM (pv_vm_stand_by) */
    bool failed;            /* exit status */
    bool at_once;           /* a second signal: everything was killed */
};

static inline struct pv_channel *pv_auditor_channel(struct pv_supervisor *s)
{
    return &s->roles[PV_ROLE_AUDITOR].channel;
}
static inline bool pv_supervisor_stopping(const struct pv_supervisor *s)
{
    return s->phase > PV_PH_RUNNING;
}
