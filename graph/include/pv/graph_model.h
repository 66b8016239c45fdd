/* The graph's model, after W3C PROV (https://www.w3.org/TR/prov-dm/): what kinds of node and
 * relation there are. Numbers are stored in the database: append only. */
#pragma once
#include <stdint.h>

enum pv_node_type {
    PV_N_CLIENT = 1,      /* agent: who called from outside, "ip:port" */
    PV_N_FUNCTION = 2,    /* agent: a function version, "name@version" */
    PV_N_REQUEST = 3,     /* entity: payload of a request (also a call between functions) */
    PV_N_RESPONSE = 4,    /* entity: payload of a response */
    PV_N_UNIT = 5,        /* activity: one invocation, as the gateway and the host saw it */
    PV_N_PROCESS = 6,     /* activity: a process, as the outside witness saw it */
    PV_N_FILE = 7,        /* entity */
    PV_N_PIPE = 8,        /* entity; carries bytes between activities */
    PV_N_SOCKET_IN = 9,   /* entity: what a socket received */
    PV_N_SOCKET_OUT = 10, /* entity: what was written to a socket */
    PV_N_SENT = 11,       /* entity: what left through the egress proxy */
    PV_N_RECEIVED = 12,   /* entity: what came back through it */
    PV_N_ENDPOINT = 13,   /* entity: "HOST:PORT" */
    PV_N_SECRET = 14,     /* entity: a named secret of the platform */
    PV_N_LOG = 15,        /* entity: stderr of an invocation */
    PV_N_DENIED = 16,     /* entity: an attempt that was refused */
    PV_N_PATH_OP = 17,    /* entity: a change of a name: rename, unlink, chmod, … */
    PV_N_MAX
};

/* An edge points from newer to older: src RELATION dst. */
enum pv_relation {
    PV_R_USED = 1,       /* activity read entity */
    PV_R_GENERATED = 2,  /* entity wasGeneratedBy activity */
    PV_R_INFORMED = 3,   /* child process wasInformedBy its parent */
    PV_R_DERIVED = 4,    /* entity wasDerivedFrom entity */
    PV_R_REVISION = 5,   /* version wasRevisionOf the version before */
    PV_R_ATTRIBUTED = 6, /* entity wasAttributedTo agent */
    PV_R_ASSOCIATED = 7, /* activity wasAssociatedWith agent */
    PV_R_EXECUTED = 8,   /* process used a file as its program */
    PV_R_LOADED = 9,     /* process mapped a file executable */
    PV_R_MAX
};

enum pv_node_flag {
    PV_NF_RUNTIME =
        1, /* a file of the runtime (/usr, /lib, /etc, /proc, …): noise unless asked for */
    PV_NF_DENIED = 2, /* refused */
    PV_NF_SECRET = 4, /* a secret or a file that shows one */
};

/* "request", "process", …; "?" when unknown. Static. */
const char *pv_node_type_name(unsigned type);
/* PROV's terms: "used", "wasGeneratedBy", …; "?" when unknown. Static. */
const char *pv_relation_name(unsigned rel);
