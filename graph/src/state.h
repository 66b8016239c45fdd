/* What the stitcher has to remember between events: a persistent map from small keys to small
 * structs, cached in memory and written back with each commit (table `state`). */
#pragma once
#include "db.h"

/* Which map; the first byte of a key. */
enum pv_state_kind {
    PV_S_ALIAS_PID = 1,  /* host pid, start ticks → group */
    PV_S_ALIAS_INST = 2, /* domain, instance → group */
    PV_S_ALIAS_PIPE = 3, /* group, inode → pipe object */
    PV_S_ALIAS_PORT = 4, /* group, local port → socket object */
    PV_S_ALIAS_CONN = 5, /* group, local port → connection */
    PV_S_GROUP = 6,      /* group → pv_s_group */
    PV_S_PROC = 7,       /* proc → pv_s_proc */
    PV_S_OBJDEF = 8,     /* object → pv_s_objdef */
    PV_S_FILE = 9,       /* dev, ino, gen → pv_s_versions: files that instances share */
    PV_S_PRIVATE = 10,   /* object, group → pv_s_versions: /tmp, pipes */
    PV_S_SOCK = 11,      /* object, group → pv_s_sock */
    PV_S_SOCKVER = 12,   /* object, group, direction and index → pv_s_sockver */
    PV_S_CONN = 13,      /* invocation, connection → pv_s_conn */
    PV_S_EXCHANGE = 14,  /* invocation, connection, index → pv_s_exchange */
    PV_S_NAMED = 15,     /* node type, name, version → pv_s_versions: endpoints, functions, … */
    PV_S_START = 16,     /* domain → pv_s_start */
    PV_S_MAX
};

/* Zero means "none yet" in every field. */
struct pv_s_alias {
    uint64_t id, id2;
};
/* An object and its newest version. frozen: something depends on that version, so that a new
 * dependency of the object makes a new one (PASS's rule: the graph stays acyclic). */
struct pv_s_versions {
    uint64_t obj; /* and node of version 0 */
    uint64_t node, version, frozen;
    uint64_t role; /* 1 + descriptor number when it is an instance's stdin … stderr */
};
struct pv_s_group {
    uint64_t id, domain, instance, pid, start_ticks, inv, root_obj;
    uint64_t ino[3]; /* of stdin, stdout, stderr */
    uint64_t linked; /* bit i: ino[i] is linked to its payload */
};
struct pv_s_proc {
    struct pv_s_versions v;
    uint64_t grp, name;
};
struct pv_s_objdef {
    uint64_t type, dev, ino, gen, name, flags, local_port, is_private;
    uint64_t secret; /* name of the platform's secret that this file shows */
};
struct pv_s_sock {
    uint64_t in_obj, out_obj, n_in, n_out, last_dir, conn_inv, conn, name;
};
struct pv_s_sockver {
    uint64_t node, first_ns, last_ns;
};
struct pv_s_conn {
    uint64_t grp, port, object, n;
};
struct pv_s_exchange {
    uint64_t is_egress, sent_ns, end_ns, sent_node, sent_obj, received_node, received_obj;
};

/* The start of the program whose snapshot all micro-VMs of a domain come from. */
struct pv_s_start {
    struct pv_s_versions v; /* an activity; obj 0: it has read nothing */
    uint64_t name;
};

union pv_s_value {
    struct pv_s_alias alias;
    struct pv_s_versions versions;
    struct pv_s_group group;
    struct pv_s_proc proc;
    struct pv_s_objdef objdef;
    struct pv_s_sock sock;
    struct pv_s_sockver sockver;
    struct pv_s_conn conn;
    struct pv_s_exchange exchange;
    struct pv_s_start start;
};

struct pv_state;
PV_MUST_CHECK int pv_state_new(struct pv_state **ret, sqlite3 *db, struct pv_err *err);
void pv_state_free(struct pv_state *st);
/* The value under (kind, a, b, c), or *ret = NULL. Borrowed until the next flush; a caller that
 * changes it calls pv_state_touch. */
PV_MUST_CHECK int pv_state_find(struct pv_state *st, enum pv_state_kind kind, uint64_t a,
                                uint64_t b, uint64_t c, union pv_s_value **ret, struct pv_err *err);
/* As find, but makes a zeroed value (already touched) when there is none; *ret_new tells. NULL for
 * ret_new is allowed. */
PV_MUST_CHECK int pv_state_get(struct pv_state *st, enum pv_state_kind kind, uint64_t a, uint64_t b,
                               uint64_t c, union pv_s_value **ret, bool *ret_new,
                               struct pv_err *err);
/* Marks a value as changed. */
void pv_state_touch(struct pv_state *st, union pv_s_value *value);
/* Writes what has changed; each(kind, value) sees every value written. */
typedef int (*pv_state_each)(void *arg, enum pv_state_kind kind, const union pv_s_value *value,
                             struct pv_err *err);
PV_MUST_CHECK int pv_state_flush(struct pv_state *st, pv_state_each each, void *arg,
                                 struct pv_err *err);
/* Forgets what is cached when there is much of it; only right after a flush. */
void pv_state_trim(struct pv_state *st);
