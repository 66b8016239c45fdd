/* Inside the stitcher: what its parts (inside account, outside account, links between the two)
 * share. */
#pragma once
#include "db.h"
#include "state.h"

#include "pv/event.h"
#include "pv/graph_model.h"
#include "pv/stitch.h"

struct pv_strings;

struct pv_new_edge {
    uint64_t src, dst, seq, rel;
};

struct pv_stitch {
    sqlite3 *db;
    struct pv_state *state;
    struct pv_strings *strings;
    sqlite3_stmt *add_event, *add_edge, *add_rev, *add_obj, *add_node, *add_checkpoint;
    sqlite3_stmt *set_obj, *set_inv, *set_grp, *chain_at;
    uint64_t first_seq; /* the graph begins with that event */
    uint64_t next_seq, next_obj, next_node, next_grp, next_inv;
    uint8_t chain[PV_HASH_BYTES];
    uint64_t uncommitted;
    bool in_transaction;
    struct pv_new_edge *edges; /* of the open transaction: written in key order, which is faster */
    size_t n_edges, cap_edges;
    /* the event at hand */
    const struct pv_event *e;
    uint64_t seq, domain, inv, grp;
};

/* What a new object is. Hash may be NULL. */
struct pv_new_object {
    enum pv_node_type type;
    uint64_t inv, grp, name, flags, len;
    const struct pv_value *hash;
};

/* Interned string → id. */
PV_MUST_CHECK int pv_stitch_intern(struct pv_stitch *s, const char *text, uint64_t *ret,
                                   struct pv_err *err);
/* As intern, of a text field, made printable (control bytes escaped) and cut. */
PV_MUST_CHECK int pv_stitch_intern_field(struct pv_stitch *s, const char *field, uint64_t *ret,
                                         struct pv_err *err);
/* A new object with its first version. */
PV_MUST_CHECK int pv_stitch_object(struct pv_stitch *s, const struct pv_new_object *o,
                                   struct pv_s_versions *ret, struct pv_err *err);
/* A new version of v, revision of the one before; name 0 keeps the object's. */
PV_MUST_CHECK int pv_stitch_revise(struct pv_stitch *s, struct pv_s_versions *v, uint64_t name,
                                   struct pv_err *err);
/* A further version of v that does not derive from the one before (a sink seen at another time). */
PV_MUST_CHECK int pv_stitch_sibling(struct pv_stitch *s, struct pv_s_versions *v,
                                    struct pv_err *err);
/* Makes v ready to take a new dependency: a new version when the newest is frozen. */
PV_MUST_CHECK int pv_stitch_open_version(struct pv_stitch *s, struct pv_s_versions *v,
                                         struct pv_err *err);
/* src RELATION dst, witnessed by event seq. Adding it twice is harmless. */
PV_MUST_CHECK int pv_stitch_edge(struct pv_stitch *s, uint64_t src, uint64_t dst,
                                 enum pv_relation rel, uint64_t seq, struct pv_err *err);
/* Writes the edges of the open transaction. */
PV_MUST_CHECK int pv_stitch_flush_edges(struct pv_stitch *s, struct pv_err *err);
/* Corrects length and hash of an object. */
PV_MUST_CHECK int pv_stitch_measure(struct pv_stitch *s, uint64_t obj, uint64_t len,
                                    const struct pv_value *hash, struct pv_err *err);
/* The object known by (type, name, version): endpoints, functions, clients, secrets. */
PV_MUST_CHECK int pv_stitch_named(struct pv_stitch *s, enum pv_node_type type, uint64_t name,
                                  uint64_t version, uint64_t flags, union pv_s_value **ret,
                                  struct pv_err *err);

/* stitch_inside.c: events of gateway, hosts, supervisor, auditor. */
PV_MUST_CHECK int pv_stitch_inside(struct pv_stitch *s, struct pv_err *err);
/* The invocation of a call id, made when it is new. */
PV_MUST_CHECK int pv_stitch_inv(struct pv_stitch *s, const struct pv_call_id *call,
                                union pv_s_value **ret, struct pv_err *err);
/* The invocation by its number; NULL when 0. */
PV_MUST_CHECK int pv_stitch_inv_by_id(struct pv_stitch *s, uint64_t inv, union pv_s_value **ret,
                                      struct pv_err *err);
/* Request and response entity of an invocation, made when they are needed first. */
PV_MUST_CHECK int pv_stitch_request_entity(struct pv_stitch *s, union pv_s_value *inv,
                                           struct pv_err *err);
PV_MUST_CHECK int pv_stitch_response_entity(struct pv_stitch *s, union pv_s_value *inv,
                                            struct pv_err *err);

/* stitch_outside.c: events of the outside witness. */
PV_MUST_CHECK int pv_stitch_outside(struct pv_stitch *s, struct pv_err *err);
/* A file that more than one instance may see. */
PV_MUST_CHECK int pv_stitch_file(struct pv_stitch *s, uint64_t dev, uint64_t ino, const char *path,
                                 union pv_s_value **ret, struct pv_err *err);
/* The group of an instance's processes, by the first process' identity. */
PV_MUST_CHECK int pv_stitch_group(struct pv_stitch *s, uint64_t pid, uint64_t start_ticks,
                                  union pv_s_value **ret, struct pv_err *err);
PV_MUST_CHECK int pv_stitch_group_by_id(struct pv_stitch *s, uint64_t grp, union pv_s_value **ret,
                                        struct pv_err *err);

/* stitch_link.c: joins the two accounts whichever comes first. */
/* Ties an instance's stdin, stdout and stderr to its payloads as far as all are known. */
PV_MUST_CHECK int pv_stitch_link_stdio(struct pv_stitch *s, union pv_s_value *grp,
                                       struct pv_err *err);
/* The same for one pipe that a process of the group has used. */
PV_MUST_CHECK int pv_stitch_link_pipe(struct pv_stitch *s, uint64_t grp, uint64_t ino,
                                      uint64_t object, struct pv_err *err);
/* A socket of the group got known with its local port. */
PV_MUST_CHECK int pv_stitch_link_port(struct pv_stitch *s, uint64_t grp, uint64_t port,
                                      uint64_t object, struct pv_err *err);
/* The host accepted a connection from that port. */
PV_MUST_CHECK int pv_stitch_link_connection(struct pv_stitch *s, uint64_t inv, uint64_t conn,
                                            uint64_t grp, uint64_t port, struct pv_err *err);
/* An exchange (call or egress) was added to a connection. */
PV_MUST_CHECK int pv_stitch_link_exchange(struct pv_stitch *s, uint64_t inv, uint64_t conn,
                                          uint64_t index, struct pv_err *err);
/* A socket was written to or read from (version node `ver`) at time_ns. */
PV_MUST_CHECK int pv_stitch_link_io(struct pv_stitch *s, const struct pv_s_sock *sock,
                                    bool received, uint64_t ver_node, uint64_t time_ns,
                                    struct pv_err *err);
enum { PV_SOCK_OUT = 0, PV_SOCK_IN = 1 };
/* Third key of a socket's version. */
static inline uint64_t pv_sockver_key(int direction, uint64_t index)
{
    return (uint64_t)direction << 32 | index;
}
