/* How a role is started. The supervisor executes the role with descriptor 3 = its end of a
 * SEQPACKET pair and 4 = the eventfd that wakes the auditor, and sends PV_ROLE_START first:
 * struct pv_role_start as fields, then role-specific fields, descriptors in the documented order.
 * Messages a role may ask of the supervisor stand in one table: platform/provostd/requests.c. */
#pragma once
#include "pv/id.h"
#include "pv/msg.h"

enum { PV_ROLE_CONTROL_FD = 3, PV_ROLE_BELL_FD = 4 };
enum { PV_UNFIT_MAX = 256 }; /* bytes of why no micro-VM serves a function, NUL included */

enum pv_role_msg {
    /* supervisor to any role */
    PV_ROLE_START = 1,      /* pv_role_start, then role-specific fields; fd 0 is the ring */
    PV_ROLE_DRAIN = 2,      /* finish what was accepted, then exit 0 (the stitcher gets two: after
                               the first it closes its domain and follows on, after the second,
                               which finds the log complete, it catches up and exits) */
    /* any role to the supervisor */
    PV_ROLE_READY = 3,      /* text: what is ready, for the debug log */
    /* host to supervisor */
    PV_HOST_SEALED = 5,     /* claim u64: its monitor is confined for good; where each of its threads
                               keeps its claim (bpf/include/pv/bpf_record.h). It runs no request
                               before it has PV_AUDIT_WATCHED */
    PV_HOST_UNFIT = 6,      /* reason str: its function, of the class "auto", is none for a micro-VM.
                               It waits for PV_ROLE_DRAIN; a host of processes follows */
    /* stitcher to supervisor */
    PV_STITCHER_SILENT = 4, /* its domain is closed: it will emit nothing more */

    /* supervisor to auditor */
    PV_AUDIT_DOMAIN = 10,   /* domain 8, name str, k0 bytes (empty for an orphan), pid u64 of a
                               process whose children are to be traced (0: none), hold u8 (1: they
                               wait for room in the probes' ring); fd: ring */
    PV_AUDIT_DOMAIN_GONE = 11, /* domain 8: its process ended; drain the ring, then close it */
    PV_AUDIT_SEALED = 15,   /* domain 8, claim u64: watch that host's own process (after DOMAIN) */
    PV_AUDIT_DOMAINS_END = 14, /* every domain that a new auditor has to know was announced */
    /* auditor to supervisor */
    PV_AUDIT_DOMAIN_DONE = 12, /* domain 8: drained; its ring file may be removed */
    PV_AUDIT_TRACING = 13,  /* domain 8: the probes now trace the children of that pid (or never
                               will, without BPF): the host may start instances */
    PV_AUDIT_WATCHED = 16,  /* domain 8: the probes now watch that sealed host (or never will) */

    /* gateway to supervisor; each carries a u64 tag that the answer repeats */
    PV_SUP_IMPORT = 20,     /* tag, path str: copy a package into the store and measure it */
    PV_SUP_HOST_START = 21, /* tag, encoded spec bytes */
    PV_SUP_HOST_STOP = 22,  /* tag, name str, version u64 */
    PV_SUP_SECRET_PUT = 23, /* tag, name str, content bytes; its done says PV_SECRET_REPLACED if so */
    PV_SUP_SECRET_DELETE = 24, /* tag, name str */
    PV_SUP_SECRET_LIST = 25,   /* tag */
    PV_SUP_PACKAGES_USED = 26, /* tag, bytes: measurements, 32 bytes each, of the packages that
                               deployments use; the supervisor removes the others */
    /* supervisor to gateway */
    PV_SUP_IMPORTED = 30,   /* tag, rc u32 (errno, 0 = ok), error str, measurement 32 bytes (raw),
                               command str (default entry inside /function; "" when
                               there is none, and then error says what to do although rc is 0),
                               kind str ("file", "directory") */
    PV_SUP_HOST_STARTED = 31, /* tag, rc u32, error str, name str, version u64, pid u64;
                               fd: the gateway's end of the host's data socket */
    PV_SUP_HOST_EXITED = 32, /* name str, version u64, status u64: restarted by the supervisor,
                               another PV_SUP_HOST_STARTED with tag 0 follows */
    PV_SUP_DONE = 33,       /* tag, rc u32, error str (for stop, secret put and delete, packages used) */
    PV_SUP_SECRETS = 34,    /* tag, count u32, then name str each */
};

/* What PV_SUP_DONE says of a secret that was there before. */
#define PV_SECRET_REPLACED "replaced"

struct pv_role_start {
    struct pv_domain_id domain; /* this run's producer domain */
    uint8_t k0[32];             /* ratchet key; erase after pv_producer_open */
    uint8_t measurement[32];    /* of the role's executable, or of the function's spec for a host */
    char name[128];             /* domain name: "gateway", "host:NAME@VERSION", … */
};
void pv_role_start_put(struct pv_msg *m, const struct pv_role_start *s);
void pv_role_start_get(struct pv_reader *r, struct pv_role_start *s);
/* Blocks for PV_ROLE_START on PV_ROLE_CONTROL_FD. The message keeps the remaining body for r. */
PV_MUST_CHECK int pv_role_wait_start(struct pv_msg *m, struct pv_reader *ret_r,
                                     struct pv_role_start *ret, struct pv_err *err);

/* Role-specific fields after pv_role_start, and descriptors after the ring (which is descriptor 0 of
 * the message):
 *   auditor:  source u8 (enum pv_witness_source), without_reason str, uid u32, gid u32, bpffs_path
 *             str; fds: log directory, key directory, bpffs directory (to replay: the stream)
 *   gateway:  admin token str, audit u8 (0: benchmark without audit), listen address str (for
 *             /system/info), state_path str (for messages), uid u32, gid u32; fds: listening socket, registry directory, functions'
 *             log directory
 *   stitcher: uid u32, gid u32, log_path str, graph_path str (SQLite opens by path); fds: log
 *             directory (read), graph directory
 *   host:     encoded spec bytes (pv_buf_bytes), uid u32, gid u32, n_slots u32, cgroup_mode u8
 *             (enum pv_cgroup_mode), audit u8 (0: benchmark without audit), microvm u8 (1: it runs
 *             micro-VMs, and there are no paths), machine u8 (pv_vm_stand_by), unfit str
 *             (why no micro-VM serves the function, or empty), then memory_path str, pids_path str,
 *             cpu_path str (empty without cgroups, three times the same with v2), in each of which
 *             stands a group for every slot (PV_SLOT_GROUP);
 *             fds: data socket to the gateway, log file (read and append), package directory,
 *             secrets directory (readable only until the host drops its privileges)
 * The host also gets PV_AUDIT_TRACING and PV_AUDIT_WATCHED (domain 8), passed on from the auditor. */
/* Where the auditor has the outside witness's records from. */
/* The auditor's exit status when the outside witness could not be begun; 1 for all else. */
enum { PV_AUDITOR_NO_WITNESS = 2 };
enum pv_witness_source { PV_WITNESS_NONE, PV_WITNESS_BPF, PV_WITNESS_REPLAY };
#define PV_SLOT_GROUP "%s/slot%u" /* path of a controller's groups, number of the slot */
enum pv_cgroup_mode { PV_CGROUP_NONE, PV_CGROUP_V1, PV_CGROUP_V2 };
