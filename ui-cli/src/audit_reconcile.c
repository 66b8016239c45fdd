/* provost audit reconcile: the two accounts of the log, compared. */
#include "audit.h"
#include "pv/archive.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/log_reader.h"
#include "pv/reconcile.h"
#include "state.h"
#include "waiting.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum { OPT_SINCE = 0x100, SETTLE_MS = 2000, POLL_MS = 20, JSON_FINDINGS_MAX = 10000 };

struct reconcile {
    struct cli *cli;
    uint64_t since; /* an entry */
    json_t *findings;
    uint64_t events, first; /* looked at; the first of them */
    uint64_t end;           /* the entry behind the last one */
    uint64_t waiting;       /* bytes of events that the log has not got */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct reconcile *r = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = r->cli;
        return 0;
    case OPT_SINCE:
        if (!cli_event_number(arg, &r->since))
            argp_error(state, "--since takes an event, as e123, not '%s'", arg);
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "'%s' is one argument too many", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int show(void *ctx, const struct pv_finding *f)
{
    const struct reconcile *r = ctx;
    char call[PV_CALL_ID_CHARS + 1] = "-";
    char text[2048];
    if (!pv_call_id_is_none(&f->call))
        pv_call_id_print(&f->call, call);
    cli_escape_str(f->text, text, sizeof text);
    if (!r->findings) {
        printf("e%-8" PRIu64 " %-17s %-16s %s\n", f->seq, pv_finding_name(f->kind), call, text);
        return 0;
    }
    if (json_array_size(r->findings) >= JSON_FINDINGS_MAX)
        return 0; /* they are counted */
    json_t *o = json_pack("{s:o, s:I, s:s, s:s?, s:s}", "id", json_sprintf("e%" PRIu64, f->seq),
                          "seq", (json_int_t)f->seq, "what", pv_finding_name(f->kind), "call",
                          call[0] == '-' ? NULL : call, "text", text);
    return json_array_append_new(r->findings, o) == 0 ? 0 : -ENOMEM;
}

/* Every entry that is there. */
static int read_on(struct reconcile *r, struct pv_log_reader *reader, uint64_t detached,
                   struct pv_reconcile *rec, struct pv_err *err)
{
    struct pv_log_entry entry;
    struct pv_event e;
    int rc;
    while ((rc = pv_log_reader_next_held(reader, detached, &entry, err)) > 0) {
        PV_TRY(pv_event_decode(entry.event, entry.event_len, &e, err));
        if (r->events++ == 0)
            r->first = entry.seq;
        r->end = entry.seq + 1;
        PV_TRY(pv_reconcile_event(rec, entry.seq, &e, err));
    }
    return rc;
}

/* While a daemon runs, the counterparts of what happened last may still be on their way. */
static int settle(struct reconcile *r, struct pv_log_reader *reader, uint64_t detached,
                  struct pv_reconcile *rec, struct pv_err *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * (long)PV_NS_PER_MS};
    uint64_t deadline_ns = pv_now_mono_ns() + SETTLE_MS * PV_NS_PER_MS;
    while (pv_reconcile_waits(rec) && cli_state_daemon_runs(r->cli) &&
           pv_now_mono_ns() < deadline_ns) {
        (void)nanosleep(&pause, NULL);
        PV_TRY(read_on(r, reader, detached, rec, err));
    }
    return 0;
}

static int compare(struct reconcile *r, struct pv_reconcile_totals *ret, struct pv_err *err)
{
    struct pv_reconcile *rec PV_CLEANUP(pv_reconcile_free) = NULL;
    pv_auto_log_reader struct pv_log_reader *reader = NULL;
    pv_autoclose int dir_fd = -1;
    uint64_t detached = 0, size = 0;
    PV_TRY(cli_state_open(r->cli, "log", &dir_fd, err));
    PV_TRY(pv_log_written(dir_fd, &size, err));
    PV_TRY(pv_log_detached(dir_fd, &detached, err));
    PV_TRY(pv_log_reader_open(&reader, dir_fd, 0, err));
    PV_TRY(pv_reconcile_new(&rec, r->since, size, show, r, err));
    PV_TRY(read_on(r, reader, detached, rec, err));
    PV_TRY(settle(r, reader, detached, rec, err));
    /* of nothing the two accounts would agree, which says nothing */
    if (r->since && r->since >= r->end)
        return pv_refuse(err, ENOENT, "the log has no event e%" PRIu64 " yet: it has %" PRIu64,
                         r->since, r->end);
    return pv_reconcile_end(rec, ret, err);
}

static json_t *pairs_json(const struct pv_reconcile_totals *t)
{
    json_t *pairs = json_object();
    for (unsigned i = 0; i < PV_PAIR_KINDS; i++)
        (void)json_object_set_new(pairs, pv_pair_name((enum pv_pair_kind)i),
                                  json_integer((json_int_t)t->pairs[i]));
    return pairs;
}

static int print_totals(const struct reconcile *r, const struct pv_reconcile_totals *t)
{
    printf("%s", "told by both:");
    for (unsigned i = 0; i < PV_PAIR_KINDS; i++)
        printf("%s %" PRIu64 " %s", i ? "," : "", t->pairs[i], pv_pair_name((enum pv_pair_kind)i));
    printf("\n%" PRIu64 " events from e%" PRIu64 " on", r->events, r->first);
    if (r->since)
        printf(", judged from e%" PRIu64 " on", r->since);
    printf("%s", ": ");
    if (t->findings)
        printf("%" PRIu64 " do not reconcile", t->findings);
    else
        printf("%s", "the two accounts agree");
    if (t->excused)
        printf("; %" PRIu64 " cannot be compared: the probes were loaded anew, or a host turned "
               "them away or died",
               t->excused);
    if (r->waiting)
        printf("; %" PRIu64 " bytes of events wait for the auditor, and what they tell is not "
               "compared",
               r->waiting);
    putchar('\n');
    return cli_flush();
}

int audit_reconcile(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"since", OPT_SINCE, "ID", 0, "Only what that event (e123) or a later one shows", 1},
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "",
        "Compares what the hosts and the gateway say with what the outside witness saw: each "
        "instance with its process, each connection, answer and file of a micro-VM with its trace; "
        "and names what only one of them tells, the alarms of sealed monitors and the gaps. Exits "
        "with 1 when there is any."
        "\vExample:\n  provost audit reconcile --since e1234\n",
        children,
        NULL,
        NULL};
    struct reconcile r = {.cli = cli};
    struct pv_reconcile_totals t = {.findings = 0};
    struct pv_err err = PV_ERR_INIT;
    cli_parse(&argp, argc, argv, &r);
    struct cli_waiting waiting;
    cli_autojson json_t *findings = cli->json ? json_array() : NULL;
    r.findings = findings;
    cli_look_at_waiting(cli, &waiting);
    r.waiting = waiting.bytes;
    if (compare(&r, &t, &err) < 0)
        return cli_report(&err);
    int rc = cli->json
                 ? cli_print_json(cli, json_pack("{s:O, s:I, s:o, s:I, s:I, s:I, s:I}", "findings",
                                                 findings, "found", (json_int_t)t.findings, "pairs",
                                                 pairs_json(&t), "excused", (json_int_t)t.excused,
                                                 "events", (json_int_t)r.events, "first",
                                                 (json_int_t)r.first, "waiting_bytes",
                                                 (json_int_t)r.waiting))
                 : print_totals(&r, &t);
    return rc == CLI_OK && t.findings ? CLI_FAILED : rc;
}
