/* provost audit find: nodes from the graph, events of a kind from the log. */
#include "audit.h"
#include "audit_args.h"
#include "event_show.h"
#include "evidence.h"
#include "pv/archive.h"
#include "pv/log_reader.h"
#include "result_show.h"
#include "state.h"

#include <inttypes.h>
#include <string.h>

/* The newest events that match, in a ring: a log is longer than anybody wants to read. */
struct found {
    struct hit {
        uint64_t seq;
        uint8_t *bytes; /* owned copy of the event's canonical bytes */
        size_t len;
    } * hits;
    size_t cap;   /* of hits; grows only when there is no limit */
    size_t limit; /* 0: none */
    uint64_t n;   /* found altogether */
};

static void found_done(struct found *f)
{
    for (size_t i = 0; i < f->cap; i++)
        free(f->hits[i].bytes);
    free(f->hits);
}

static int found_add(struct found *f, const struct pv_log_entry *entry, struct pv_err *err)
{
    if (f->n == f->cap && (f->limit == 0 || f->cap < f->limit)) {
        size_t cap = f->cap ? 2 * f->cap : 256;
        if (f->limit && cap > f->limit)
            cap = f->limit;
        struct hit *grown = realloc(f->hits, cap * sizeof *grown);
        if (!grown)
            return pv_fail(err, ENOMEM, "collect events");
        memset(grown + f->cap, 0, (cap - f->cap) * sizeof *grown);
        f->hits = grown;
        f->cap = cap;
    }
    struct hit *h = &f->hits[f->n % f->cap];
    uint8_t *copy = malloc(entry->event_len);
    if (!copy)
        return pv_fail(err, ENOMEM, "collect events");
    memcpy(copy, entry->event, entry->event_len);
    free(h->bytes);
    h->bytes = copy;
    h->seq = entry->seq;
    h->len = entry->event_len;
    f->n++;
    return 0;
}

/* A call or a connection that was refused is found under denied, too. */
static bool is_of_kind(const struct pv_event *e, const struct pv_kind_schema *schema)
{
    return e->kind == schema->kind || (schema->kind == PV_K_DENIED && pv_event_is_refusal(e));
}

/* Reads the log's first `entries` events and keeps what matches. */
static int scan_log(struct cli *cli, const struct audit_args *a,
                    const struct pv_kind_schema *schema, uint64_t entries, struct found *f,
                    struct pv_err *err)
{
    pv_autoclose int dir_fd = -1;
    pv_auto_log_reader struct pv_log_reader *reader = NULL;
    struct pv_log_entry entry;
    struct pv_event e;
    uint64_t detached;
    PV_TRY(cli_state_open(cli, "log", &dir_fd, err));
    PV_TRY(pv_log_reader_open(&reader, dir_fd, 0, err));
    PV_TRY(pv_log_detached(dir_fd, &detached, err));
    while (pv_log_reader_seq(reader) < entries) {
        int rc = pv_log_reader_next_held(reader, detached, &entry, err);
        PV_TRY(rc);
        if (rc == 0)
            break;
        rc = pv_event_decode(entry.event, entry.event_len, &e, err);
        if (rc < 0)
            return pv_wrap(err, rc, "event e%" PRIu64 " (run 'provost verify')", entry.seq);
        if (!is_of_kind(&e, schema) || e.time_ns < a->since_ns ||
            (a->ids.n && !cli_event_matches(&e, a->ids.v[0])))
            continue;
        PV_TRY(found_add(f, &entry, err));
    }
    return 0;
}

static void say_cut(uint64_t shown, uint64_t matched)
{
    if (shown < matched)
        fprintf(stderr, "the newest %" PRIu64 " of %" PRIu64 "; --limit 0 shows all\n", shown,
                matched);
}

static uint64_t n_shown(const struct found *f)
{
    return f->n < f->cap ? f->n : f->cap;
}

static int show_events(const struct cli *cli, const struct found *f,
                       const struct pv_graph_basis *basis)
{
    json_t *events = cli->json ? json_array() : NULL;
    uint64_t shown = n_shown(f);
    struct pv_event e;
    for (uint64_t i = f->n - shown; i < f->n; i++) {
        const struct hit *h = &f->hits[i % f->cap];
        if (pv_event_decode(h->bytes, h->len, &e, NULL) < 0)
            continue; /* it was decoded when it was found */
        if (events)
            (void)json_array_append_new(events, cli_event_json(h->seq, &e));
        else
            cli_event_print(stdout, h->seq, &e);
    }
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:o, s:I, s:o}", "events", events, "matched",
                                             (json_int_t)f->n, "basis", cli_basis_json(basis)));
    int rc = cli_flush();
    say_cut(shown, f->n);
    cli_basis_print(stderr, basis);
    return rc;
}

static int basis_of(struct pv_graph *g, const struct found *f, struct pv_graph_basis *ret,
                    struct pv_err *err)
{
    uint64_t shown = n_shown(f);
    uint64_t first = shown ? f->hits[(f->n - shown) % f->cap].seq : UINT64_MAX;
    uint64_t last = shown ? f->hits[(f->n - 1) % f->cap].seq : 0;
    PV_TRY(pv_graph_basis(g, first, last, ret, err));
    ret->truncated = shown < f->n;
    return 0;
}

static int find_events(struct cli *cli, const struct audit_args *a, struct pv_graph *g,
                       const struct pv_kind_schema *schema)
{
    __attribute__((cleanup(found_done))) struct found f = {.limit = (size_t)a->limit};
    struct pv_graph_basis basis;
    uint64_t size;
    struct pv_err err = PV_ERR_INIT;
    if (pv_graph_size(g, &size, &err) < 0 || scan_log(cli, a, schema, size, &f, &err) < 0 ||
        basis_of(g, &f, &basis, &err) < 0)
        return cli_report(&err);
    int rc = show_events(cli, &f, &basis);
    return rc == CLI_OK && f.n == 0
               ? cli_error(CLI_NOT_FOUND, "no event of kind '%s' matches", schema->name)
               : rc;
}

static int find_nodes(const struct cli *cli, const struct audit_args *a, struct pv_graph *g)
{
    pv_auto_graph_result struct pv_graph_result r = {0};
    struct pv_err err = PV_ERR_INIT;
    const struct pv_graph_find q = {
        .text = a->ids.n ? a->ids.v[0] : NULL,
        .type = a->kind,
        .since_ns = a->since_ns,
        .limit = a->limit ? (size_t)a->limit : SIZE_MAX,
    };
    if (pv_graph_find(g, &q, &r, &err) < 0)
        return cli_report(&err);
    int rc = CLI_OK;
    if (cli->json) {
        json_t *o = cli_result_json(&r);
        (void)json_object_set_new(o, "matched", json_integer((json_int_t)r.matched));
        rc = cli_print_json(cli, o);
    } else {
        if (r.n_nodes > 0)
            cli_nodes_print(cli, &r);
        rc = cli_flush();
        say_cut(r.n_nodes, r.matched);
        cli_basis_print(stderr, &r.basis);
    }
    return rc == CLI_OK && r.n_nodes == 0 ? cli_error(CLI_NOT_FOUND, "nothing matches") : rc;
}

static bool is_node_type(const char *name)
{
    for (unsigned t = 1; t < PV_N_MAX; t++)
        if (strcmp(pv_node_type_name(t), name) == 0)
            return true;
    return false;
}

static int refuse_kind(const char *name)
{
    enum { KIND_NUMBERS = 256 };
    int rc = cli_error(CLI_USAGE, "no kind of event or node is called '%s'", name);
    fputs("kinds of events:", stderr);
    for (unsigned k = 0; k < KIND_NUMBERS; k++)
        if (pv_kind_schema(k))
            fprintf(stderr, " %s", pv_kind_schema(k)->name);
    fputs("\nkinds of nodes:", stderr);
    for (unsigned t = 1; t < PV_N_MAX; t++)
        fprintf(stderr, " %s", pv_node_type_name(t));
    fputc('\n', stderr);
    return rc;
}

int audit_find(struct cli *cli, int argc, char **argv)
{
    struct audit_args a;
    struct pv_graph *g PV_CLEANUP(pv_graph_close) = NULL;
    struct pv_err err = PV_ERR_INIT;
    audit_parse(&a, AUDIT_FIND, cli, argc, argv);
    const struct pv_kind_schema *schema = a.kind ? pv_kind_by_name(a.kind) : NULL;
    if (a.kind && !schema && !is_node_type(a.kind))
        return refuse_kind(a.kind);
    if (cli_evidence_open(cli, &g, &err) < 0)
        return cli_report(&err);
    /* "request" and "response" name events and nodes alike: the events say more */
    return schema ? find_events(cli, &a, g, schema) : find_nodes(cli, &a, g);
}
