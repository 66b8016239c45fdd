/* Inside the stitcher: what its parts (inside account, outside account, links between the two)
 * share. */
#pragma once
#include "inserts.h"
#include "invocations.h"
#include "state.h"

#include "pv/event.h"
#include "pv/graph_model.h"
#include "pv/stitch.h"

struct pv_strings;

enum { PV_EVENTS_HELD = 10 * PV_INSERT_ROWS };

/* Rows that the open transaction is to write. */
struct pv_event_row {
    uint64_t seq, kind, domain, inv, back, grp, time_ns;
    uint8_t chain[PV_HASH_BYTES];
    size_t at, len; /* its entry, in bytes */
};
struct pv_obj_row {
    uint64_t id, type, inv, grp, name, seq, flags, len;
    uint8_t hash[PV_HASH_BYTES];
    bool has_hash;
};
struct pv_revision_row {
    uint64_t id, obj, version, seq, name;
};
struct pv_edge_row {
    uint64_t src, seq, dst, rel;
};

struct pv_stitch {
    sqlite3 *db;
    struct pv_state *state;
    struct pv_invs *invs;
    struct pv_strings *strings;
    struct pv_insert add_event, add_obj, add_revision, add_edge;
    sqlite3_stmt *add_checkpoint, *set_obj, *set_grp, *event_at;
    uint64_t first_seq; /* the graph begins with that event */
    uint64_t next_seq, next_node, next_grp;
    uint8_t chain[PV_HASH_BYTES];
    uint64_t uncommitted;
    bool in_transaction;
    struct pv_event_row events[PV_EVENTS_HELD];
    struct pv_obj_row *objs;
    struct pv_revision_row *revisions;
    struct pv_edge_row *edges;
    uint8_t *bytes; /* of the events' entries */
    size_t n_events, n_objs, n_revisions, n_edges, n_bytes;
    size_t cap_objs, cap_revisions, cap_edges, cap_bytes;
    /* the event at hand */
    const struct pv_event *e;
    uint64_t seq, domain, inv, back, grp;
};

/* What a new object is. */
struct pv_new_object {
    enum pv_node_type type;
    uint64_t inv, grp, name, flags;
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
/* The row of the event at hand. */
PV_MUST_CHECK int pv_stitch_event_row(struct pv_stitch *s, const uint8_t *entry, size_t len,
                                      struct pv_err *err);
/* Prepares and lets go of what writes rows. */
PV_MUST_CHECK int pv_stitch_rows_prepare(struct pv_stitch *s, struct pv_err *err);
void pv_stitch_rows_done(struct pv_stitch *s);
/* Writes the rows of events that wait; those of everything. */
PV_MUST_CHECK int pv_stitch_flush_events(struct pv_stitch *s, struct pv_err *err);
PV_MUST_CHECK int pv_stitch_flush_rows(struct pv_stitch *s, struct pv_err *err);
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
                                struct pv_s_inv **ret, struct pv_err *err);
/* Request and response entity of an invocation, made when they are needed first. */
PV_MUST_CHECK int pv_stitch_request_entity(struct pv_stitch *s, struct pv_s_inv *inv,
                                           struct pv_err *err);
PV_MUST_CHECK int pv_stitch_response_entity(struct pv_stitch *s, struct pv_s_inv *inv,
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
