/* provost audit bundle: everything it takes to check offline what a call did. */
#include "bundle.h"

#include "audit.h"
#include "evidence.h"
#include "input.h"
#include "pv/clock.h"
#include "pv/own.h"
#include "simple_args.h"
#include "state.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OPT_OUTPUT = 'o', OPT_ONLY = 0x100, PUBLISH_MS = 5000, POLL_MS = 50 };

struct selection {
    uint64_t *seqs; /* owned */
    size_t n, cap;
    struct pv_call_id calls[PV_BUNDLE_CALLS_MAX];
    size_t n_calls;
    bool ended; /* some response is among them */
};

static void selection_done(struct selection *s)
{
    free(s->seqs);
}

static int note_call(struct selection *s, const char *text)
{
    struct pv_call_id id;
    if (!pv_call_id_parse(text, &id))
        return 0;
    for (size_t i = 0; i < s->n_calls; i++)
        if (pv_call_id_equal(&s->calls[i], &id))
            return 0;
    if (s->n_calls == PV_BUNDLE_CALLS_MAX)
        return -EMSGSIZE;
    s->calls[s->n_calls++] = id;
    return 0;
}

static int take(void *ctx, const struct pv_graph_moment *m)
{
    struct selection *s = ctx;
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 256;
        uint64_t *more = reallocarray(s->seqs, cap, sizeof *more);
        if (!more)
            return -ENOMEM;
        s->seqs = more;
        s->cap = cap;
    }
    s->seqs[s->n++] = m->seq;
    s->ended |= m->event->kind == PV_K_RESPONSE;
    return note_call(s, m->call);
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int select_events(const struct cli *cli, const char *text, bool workflow,
                         struct selection *s, char ret_call[PV_CALL_ID_CHARS + 1],
                         struct pv_err *err)
{
    struct pv_graph *g PV_CLEANUP(pv_graph_close) = NULL;
    struct pv_graph_basis basis = {0};
    PV_TRY(cli_evidence_open(cli, &g, err));
    PV_TRY(pv_graph_resolve_call(g, text, ret_call, err));
    int rc = pv_graph_timeline(g, ret_call, workflow, true, take, s, &basis, err);
    if (rc == -EMSGSIZE)
        return pv_refuse(err, EMSGSIZE, "more than %d calls cannot be put into one bundle",
                         PV_BUNDLE_CALLS_MAX);
    PV_TRY(rc);
    qsort(s->seqs, s->n, sizeof *s->seqs, by_seq);
    return 0;
}

/* The log's own cosigned checkpoint is taken unasked only when it leaves nothing out that the
 * published one has, such as keys disclosed since. */
static int choose_checkpoint(const struct cli *cli, const struct cli_under *u, int dir_fd,
                             const struct pv_note_key *key, const struct selection *s,
                             struct pv_signed_checkpoint *ret, struct pv_err *err)
{
    struct pv_signed_checkpoint latest;
    uint64_t last = s->n ? s->seqs[s->n - 1] : 0;
    PV_TRY(cli_under_read(cli, u, dir_fd, key, last, ret, err));
    if (s->n == 0 || u->n_cosigned || ret->cosignatures == 0)
        return 0;
    PV_TRY(pv_log_latest(dir_fd, key, &latest, err));
    PV_TRY(pv_bundle_reach(dir_fd, latest.at.size, s->seqs, s->n, &last, err));
    if (last >= ret->at.size)
        *ret = latest;
    return 0;
}

static int make_once(const struct cli *cli, const struct cli_bundle_wish *w,
                     const struct pv_note_key *key, struct pv_buf *out,
                     char ret_call[PV_CALL_ID_CHARS + 1], struct pv_err *err)
{
    __attribute__((cleanup(selection_done))) struct selection s = {.n = 0};
    pv_autoclose int dir_fd = -1;
    PV_TRY(cli_state_open(cli, "log", &dir_fd, err));
    struct pv_signed_checkpoint under;
    PV_TRY(select_events(cli, w->call, w->workflow, &s, ret_call, err));
    pv_buf_reset(out);
    PV_TRY(choose_checkpoint(cli, &w->under, dir_fd, key, &s, &under, err));
    return pv_bundle_make(dir_fd, &under, s.calls, s.n_calls, s.seqs, s.n, out, err);
}

int cli_bundle_make(const struct cli *cli, const struct cli_bundle_wish *w,
                    struct pv_note_key *ret_key, struct pv_buf *out,
                    char ret_call[PV_CALL_ID_CHARS + 1], struct pv_err *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * (long)PV_NS_PER_MS};
    uint64_t deadline_ns = pv_now_mono_ns() + PUBLISH_MS * PV_NS_PER_MS;
    PV_TRY(pv_crypto_init(err));
    PV_TRY(cli_state_followed_key(cli, w->under.key_file, ret_key, err));
    for (;;) {
        int rc = make_once(cli, w, ret_key, out, ret_call, err);
        /* the graph follows within moments, the published checkpoint within a second or so */
        if ((rc != -ESTALE && rc != -ENOENT) || pv_now_mono_ns() >= deadline_ns ||
            !cli_state_daemon_runs(cli))
            return rc;
        (void)nanosleep(&pause, NULL);
    }
}

struct bundle_args {
    struct cli_simple_args args;
    const char *output;
    struct cli_bundle_wish wish;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct bundle_args *b = state->input;
    switch (key) {
    case OPT_OUTPUT:
        b->output = arg;
        return 0;
    case OPT_ONLY:
        b->wish.workflow = false;
        return 0;
    case CLI_OPT_UNDER_KEY:
    case CLI_OPT_UNDER_COSIGNED:
        return cli_under_parse(&b->wish.under, key, arg, state);
    default:
        return cli_simple_key(&b->args, key, arg, state);
    }
}

int audit_bundle(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"output", OPT_OUTPUT, "FILE", 0, "Write it there instead of to stdout", 1},
        {"only", OPT_ONLY, NULL, 0, "This call alone, not the whole workflow it belongs to", 1},
        CLI_UNDER_OPTIONS,
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "CALL-ID",
        "Writes one file with everything needed to check offline what a call did, and the calls "
        "linked with it: their events of both witnesses, tags, disclosed keys, deployments with "
        "their measurements, proofs and the signed checkpoint, with the cosignatures of witnesses "
        "where there are any. 'provost verify --bundle' checks it."
        "\vExamples:\n  provost audit bundle 0123456789abcdef -o evidence.bundle\n"
        "  provost verify --bundle evidence.bundle --key log.pub\n",
        children,
        NULL,
        NULL};
    struct bundle_args b = {.args = {.cli = cli, .min = 1, .max = 1}, .wish = {.workflow = true}};
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key key;
    char call[PV_CALL_ID_CHARS + 1];
    pv_autobuf struct pv_buf out;
    pv_buf_init(&out, PV_BUNDLE_MAX);
    cli_parse(&argp, argc, argv, &b);
    b.wish.call = b.args.v[0];
    int rc = cli_bundle_make(cli, &b.wish, &key, &out, call, &err);
    if (rc == 0)
        rc = cli_write_output(b.output, out.data, out.len, &err);
    return rc < 0 ? cli_report(&err) : CLI_OK;
}
