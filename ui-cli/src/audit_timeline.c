/* provost audit timeline: what happened, told in order. */
#include "audit.h"
#include "audit_args.h"
#include "event_show.h"
#include "evidence.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/units.h"

#include <inttypes.h>
#include <string.h>

struct telling {
    json_t *moments; /* with --json */
    uint64_t start_ns;
};

static json_t *moment_json(const struct pv_graph_moment *m)
{
    char stamp[64];
    return json_pack("{s:o, s:I, s:s, s:I, s:s, s:s?, s:s?, s:s, s:o}", "id",
                     json_sprintf("e%" PRIu64, m->seq), "seq", (json_int_t)m->seq, "time",
                     cli_format_time(m->time_ns, stamp, sizeof stamp), "time_ns",
                     (json_int_t)m->time_ns, "kind", m->kind, "call", *m->call ? m->call : NULL,
                     "function", *m->function ? m->function : NULL, "text", m->text, "fields",
                     cli_event_fields_json(m->event));
}

static int tell(void *ctx, const struct pv_graph_moment *m)
{
    struct telling *t = ctx;
    char stamp[64];
    char function[80];
    if (t->moments) {
        json_t *o = moment_json(m);
        return json_array_append_new(t->moments, o) == 0 ? 0 : -ENOMEM;
    }
    if (t->start_ns == 0) {
        t->start_ns = m->base_ns ? m->base_ns : m->time_ns;
        printf("%s\n", cli_format_time(t->start_ns, stamp, sizeof stamp));
    }
    /* instances are prepared before the request is there */
    double ms = ((double)m->time_ns - (double)t->start_ns) / (double)PV_NS_PER_MS;
    printf("%+11.3f ms  e%-7" PRIu64 " %-16s ", ms, m->seq,
           cli_escape_str(m->function, function, sizeof function));
    cli_escape_write(stdout, m->text, strlen(m->text), CLI_ESCAPE_TEXT);
    putchar('\n');
    return 0;
}

int audit_timeline(struct cli *cli, int argc, char **argv)
{
    struct audit_args a;
    struct pv_graph *g PV_CLEANUP(pv_graph_close) = NULL;
    struct pv_graph_basis basis = {0};
    struct pv_err err = PV_ERR_INIT;
    char call[PV_CALL_ID_CHARS + 1];
    audit_parse(&a, AUDIT_TIMELINE, cli, argc, argv);
    cli_autojson json_t *moments = cli->json ? json_array() : NULL;
    struct telling t = {.moments = moments};
    if (cli_evidence_open(cli, &g, &err) < 0 ||
        pv_graph_resolve_call(g, a.ids.v[0], call, &err) < 0 ||
        pv_graph_timeline(g, call, true, a.all, tell, &t, &basis, &err) < 0)
        return cli_report(&err);
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:s, s:O, s:o}", "call", call, "events", moments,
                                             "basis", cli_basis_json(&basis)));
    int rc = cli_flush();
    cli_basis_print(stderr, &basis);
    return rc;
}
