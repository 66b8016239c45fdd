/* Questions to the graph, read-only, while the stitcher may be writing to it. One thread per
 * object.
 *
 * Ids, accepted everywhere: n123 a node, e123 an event, 16 characters of base 32 a call (a unique
 * prefix of at least 4 does). */
#pragma once
#include "pv/err.h"
#include "pv/event.h"
#include "pv/graph_model.h"
#include "pv/id.h"
#include "pv/own.h"
#include "pv/ratchet.h"

#include <stdbool.h>

struct pv_graph;
/* Opens the database for reading. -ENOENT when there is none yet. */
PV_MUST_CHECK int pv_graph_open(struct pv_graph **ret, const char *path, struct pv_err *err);
void pv_graph_close(struct pv_graph *g);
PV_DEFINE_CLEANUP(struct pv_graph, pv_graph_close)
/* Log entries the graph holds so far. */
PV_MUST_CHECK int pv_graph_size(struct pv_graph *g, uint64_t *ret, struct pv_err *err);

struct pv_graph_node {
    uint64_t id, obj, version;
    enum pv_node_type type;
    uint32_t flags;                  /* enum pv_node_flag */
    char *name;                      /* owned; bytes as recorded: escape before printing */
    uint64_t grp;                    /* group of processes, 0: none */
    bool is_root;                    /* first process of its group: the instance itself */
    char call[PV_CALL_ID_CHARS + 1]; /* invocation it belongs to, or "" */
    char function[64];               /* its function, or "" */
    uint64_t function_version;
    uint64_t call_begin_ns; /* when that invocation began, 0: unknown */
    uint32_t status;        /* HTTP status of that invocation, 0: none yet */
    uint64_t seq, time_ns;  /* event that brought this version about */
    uint64_t len;           /* of payloads */
    bool has_hash;
    uint8_t hash[PV_HASH_BYTES];
    uint32_t depth;            /* steps from the start */
    bool is_source, is_target; /* asked from, asked to */
    bool tainted;              /* reached from the highlighted sources */
};
struct pv_graph_edge {
    uint64_t src, dst; /* src RELATION dst; from newer to older */
    enum pv_relation rel;
    uint64_t seq, time_ns; /* witnessing event */
    bool tainted;
};
/* What an answer rests on. */
struct pv_graph_basis {
    uint64_t log_size;           /* entries in the graph */
    uint64_t signed_size;        /* of them under a signed checkpoint */
    uint8_t root[PV_HASH_BYTES]; /* of that checkpoint */
    uint64_t gaps, lost;         /* holes of the outside witness in the whole log; events lost */
    uint64_t gaps_touching;      /* those that lie within the span of the answer */
    uint64_t faults;             /* producers that broke the rules */
    uint64_t first_seq;   /* events before it are not in the graph: the log had no more of them */
    uint64_t archived;    /* events that the log itself no longer holds */
    bool witness_missing; /* the outside witness was missing at some time */
    char witness[160];    /* as the newest log-open tells */
    bool truncated;       /* a limit cut the answer */
};
struct pv_graph_result {
    struct pv_graph_node *nodes; /* owned; by id */
    size_t n_nodes;
    struct pv_graph_edge *edges; /* owned; by (src, seq, dst, rel) */
    size_t n_edges;
    struct pv_graph_basis basis;
    uint64_t matched; /* of a find: how many there are, however many were asked for */
};
void pv_graph_result_done(struct pv_graph_result *r);
static inline void pv_graph_result_cleanup_(struct pv_graph_result *r)
{
    pv_graph_result_done(r);
}
#define pv_auto_graph_result __attribute__((cleanup(pv_graph_result_cleanup_)))
/* The node of that id in a result, or NULL. */
const struct pv_graph_node *pv_graph_result_node(const struct pv_graph_result *r, uint64_t id);

struct pv_graph_ids {
    uint64_t *v; /* owned */
    size_t n;
};
void pv_graph_ids_done(struct pv_graph_ids *ids);
static inline void pv_graph_ids_cleanup_(struct pv_graph_ids *ids)
{
    pv_graph_ids_done(ids);
}
#define pv_auto_graph_ids __attribute__((cleanup(pv_graph_ids_cleanup_)))

/* What a call id means where a node is wanted. */
enum pv_graph_side {
    PV_SIDE_ANY,  /* all of the invocation: request, unit, response */
    PV_SIDE_FROM, /* its request */
    PV_SIDE_TO,   /* its response */
};
/* Nodes meant by a text: an id as above, or the exact name of files, endpoints, secrets, functions
 * (NAME@VERSION too; with PV_SIDE_TO also all of their invocations). Adds to ids. -ENOENT when
 * there is none, -EINVAL when a prefix is too short or means several. */
PV_MUST_CHECK int pv_graph_resolve(struct pv_graph *g, const char *text, enum pv_graph_side side,
                                   struct pv_graph_ids *ids, struct pv_err *err);
/* The call meant by a call id, a prefix, or n123/e123 that belongs to one. -ENOENT when there is
 * none, -EINVAL when text can be no id or a prefix means several. */
PV_MUST_CHECK int pv_graph_resolve_call(struct pv_graph *g, const char *text,
                                        char ret[PV_CALL_ID_CHARS + 1], struct pv_err *err);

struct pv_graph_find {
    const char *text;  /* part of a name, an id, a function; NULL: anything */
    const char *type;  /* a node type's name ("file"), or NULL */
    uint64_t since_ns; /* 0: ever */
    size_t limit;      /* 0: 1000 */
    bool all;          /* runtime files, too */
};
/* Nodes without edges, newest first in seq order. */
PV_MUST_CHECK int pv_graph_find(struct pv_graph *g, const struct pv_graph_find *q,
                                struct pv_graph_result *ret, struct pv_err *err);

struct pv_graph_limits {
    uint32_t depth; /* 0: no limit */
    size_t nodes;   /* 0: 100,000 */
    bool all;       /* keep runtime noise */
};
enum pv_graph_direction { PV_BACKWARD, PV_FORWARD };
/* What the nodes depend on (backward), or what depends on them (forward). */
PV_MUST_CHECK int pv_graph_trace(struct pv_graph *g, const struct pv_graph_ids *start,
                                 enum pv_graph_direction direction,
                                 const struct pv_graph_limits *limits, struct pv_graph_result *ret,
                                 struct pv_err *err);
/* All ways on which something of `from` reached `to`: forward(from) and backward(to). Tainted is
 * what the sources other than requests reached (or all, when there are only requests). */
PV_MUST_CHECK int pv_graph_path(struct pv_graph *g, const struct pv_graph_ids *from,
                                const struct pv_graph_ids *to, const struct pv_graph_limits *limits,
                                struct pv_graph_result *ret, struct pv_err *err);
/* The calls linked with this one: its outermost caller and everything that was called from there:
 * requests, invocations, responses, connections. */
PV_MUST_CHECK int pv_graph_workflow(struct pv_graph *g, const char *call,
                                    struct pv_graph_result *ret, struct pv_err *err);

/* Whether the event says that something was asked for and not granted: denied, and the calls and
 * connections that the deployment does not allow. */
bool pv_event_is_refusal(const struct pv_event *e);

/* The basis of an answer from entries min_seq to max_seq; of none, where they are the other way
 * round. */
PV_MUST_CHECK int pv_graph_basis(struct pv_graph *g, uint64_t min_seq, uint64_t max_seq,
                                 struct pv_graph_basis *ret, struct pv_err *err);
/* One event, told. */
struct pv_graph_moment {
    uint64_t seq, time_ns;
    uint64_t base_ns;                /* when the outermost call began, 0: unknown */
    const struct pv_event *event;    /* borrowed until tell returns */
    const char *kind;                /* static */
    char call[PV_CALL_ID_CHARS + 1]; /* or "" */
    char function[64];
    const char *text; /* a sentence, printable */
};
typedef int (*pv_graph_tell)(void *ctx, const struct pv_graph_moment *m);
/* Tells every event of a call in time order (with its workflow when asked); what belongs to the
 * loading of the runtime is left out unless all. tell returns 0 to go on; a negative value stops
 * and is returned. */
PV_MUST_CHECK int pv_graph_timeline(struct pv_graph *g, const char *call, bool workflow, bool all,
                                    pv_graph_tell tell, void *ctx, struct pv_graph_basis *ret_basis,
                                    struct pv_err *err);
/* One event by its number, told. -ENOENT. */
PV_MUST_CHECK int pv_graph_event(struct pv_graph *g, uint64_t seq, pv_graph_tell tell, void *ctx,
                                 struct pv_err *err);
