/* provost verify: the log by its public key, then the graph against the log. */
#include "pv/verify.h"
#include "archive.h"
#include "bundle.h"
#include "cli.h"
#include "graph.h"
#include "input.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/own.h"
#include "pv/units.h"
#include "simple_args.h"
#include "state.h"
#include "verify_exit.h"
#include "verify_pin.h"
#include "verify_proof.h"
#include "verify_witness.h"

#include <inttypes.h>
#include <string.h>
#include <sys/sysinfo.h>

enum {
    OPT_KEY = 0x100,
    OPT_PROOF,
    OPT_ENTRY,
    OPT_BUNDLE,
    OPT_PIN,
    OPT_SINCE,
    OPT_COMPLETE,
    OPT_WITNESS_KEY,
    OPT_COSIGNED,
    OPT_ARCHIVE,
    OPT_JOBS,
    OPT_ROTATIONS,
    OPT_QUORUM,
    ROOT_PREFIX_CHARS = 16,
    JOBS_MAX = 32,
};

struct verify {
    struct cli_simple_args args;
    const char *key_file;
    const char *proof_file, *entry_file, *bundle_file, *archive_file;
    const char *rotations_file;
    const char *pin_file, *since_file;
    struct cli_witnesses witnesses;
    bool complete;
    bool pin_compared; /* there was one to compare with */
    uint64_t pin_size; /* of it, in events */
    uint64_t jobs;
    uint64_t said_ns; /* when progress was last shown */
    bool shown;
};

static const struct argp_option options[] = {
    {"key", OPT_KEY, "PUB", 0, "The log's public key, kept where an attacker cannot change it", 1},
    {"pin", OPT_PIN, "FILE", 0,
     "Remember the last checkpoint there, and compare with the one remembered: shows a log that "
     "was "
     "rolled back or forked",
     1},
    {"since", OPT_SINCE, "FILE", 0,
     "Check only what came after the checkpoint in FILE, up to which it was checked before", 1},
    {"complete", OPT_COMPLETE, NULL, 0, "Count recorded losses of the outside witness as a gap", 1},
    {"rotations", OPT_ROTATIONS, "FILE", 0,
     "Follow the changes of the log's key listed there, a copy of the log's file 'rotations'", 1},
    {"jobs", OPT_JOBS, "N", 0, "Threads that check (as many as there are processors)", 1},
    {"witness-key", OPT_WITNESS_KEY, "PUB", 0,
     "Demand a checkpoint that this witness cosigned, and that the log contains what it signs; of "
     "a "
     "bundle or a proof, that its checkpoint is cosigned. May be repeated",
     1},
    {"quorum", OPT_QUORUM, "N", 0, "That many of the witnesses do (all of them)", 1},
    {"cosigned", OPT_COSIGNED, "FILE", 0,
     "Where that checkpoint is (log/checkpoint.cosigned in the state directory). May be repeated",
     1},
    {"proof", OPT_PROOF, "FILE", 0, "Check this proof instead of the log; needs --entry and --key",
     2},
    {"entry", OPT_ENTRY, "FILE", 0, "The log entry that the proof is of", 2},
    {"bundle", OPT_BUNDLE, "FILE", 0, "Check this bundle instead of the log; needs --key", 2},
    {"archive", OPT_ARCHIVE, "FILE", 0, "Check this archive instead of the log; needs --key", 2},
    {0},
};

/* Options that need or exclude each other. */
static void check_together(const struct verify *v, struct argp_state *state)
{
    if ((v->witnesses.n_cosigned || v->witnesses.quorum) && !v->witnesses.n)
        argp_error(state, "--cosigned and --quorum need --witness-key");
    if (v->witnesses.quorum > v->witnesses.n)
        argp_error(state, "--quorum demands more witnesses than are named");
    if (v->witnesses.n_cosigned && (v->bundle_file || v->proof_file))
        argp_error(state, "a bundle and a proof carry their cosignatures themselves");
    if (v->witnesses.n && v->archive_file)
        argp_error(state, "--witness-key is for the log, a bundle or a proof");
    if (!!v->archive_file + !!v->bundle_file + !!v->proof_file > 1)
        argp_error(state, "--archive, --bundle and --proof exclude each other");
    if ((v->archive_file || v->bundle_file || v->proof_file) &&
        (v->pin_file || v->since_file || v->complete))
        argp_error(state, "--pin, --since and --complete are for the log alone");
    if (v->archive_file && !v->key_file)
        argp_error(state, "--archive and --key belong together");
    if (v->bundle_file && !v->key_file)
        argp_error(state, "--bundle and --key belong together");
    if (!v->proof_file != !v->entry_file || (v->proof_file && !v->key_file))
        argp_error(state, "--proof, --entry and --key belong together");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct verify *v = state->input;
    struct pv_err err = PV_ERR_INIT;
    switch (key) {
    case OPT_KEY:
        v->key_file = arg;
        return 0;
    case OPT_PROOF:
        v->proof_file = arg;
        return 0;
    case OPT_ENTRY:
        v->entry_file = arg;
        return 0;
    case OPT_PIN:
        v->pin_file = arg;
        return 0;
    case OPT_SINCE:
        v->since_file = arg;
        return 0;
    case OPT_COMPLETE:
        v->complete = true;
        return 0;
    case OPT_BUNDLE:
        v->bundle_file = arg;
        return 0;
    case OPT_WITNESS_KEY:
        if (v->witnesses.n == CLI_WITNESSES_MAX)
            argp_error(state, "at most %d witnesses may be named", CLI_WITNESSES_MAX);
        v->witnesses.key_file[v->witnesses.n++] = arg;
        return 0;
    case OPT_QUORUM:
        if (cli_parse_count(arg, CLI_WITNESSES_MAX, &v->witnesses.quorum, &err) < 0 ||
            v->witnesses.quorum == 0)
            argp_error(state, "'%s' is no number of witnesses from 1 to %d", arg,
                       CLI_WITNESSES_MAX);
        return 0;
    case OPT_ROTATIONS:
        v->rotations_file = arg;
        return 0;
    case OPT_JOBS:
        if (cli_parse_count(arg, JOBS_MAX, &v->jobs, &err) < 0 || v->jobs == 0)
            argp_error(state, "'%s' is no number of threads from 1 to %d", arg, JOBS_MAX);
        return 0;
    case OPT_ARCHIVE:
        v->archive_file = arg;
        return 0;
    case OPT_COSIGNED:
        if (v->witnesses.n_cosigned == CLI_WITNESSES_MAX)
            argp_error(state, "--cosigned may be given at most %d times", CLI_WITNESSES_MAX);
        v->witnesses.cosigned[v->witnesses.n_cosigned++] = arg;
        return 0;
    case ARGP_KEY_END:
        check_together(v, state);
        return cli_simple_key(&v->args, key, arg, state);
    default:
        return cli_simple_key(&v->args, key, arg, state);
    }
}

/* Nothing for a short log, a line every half second on a terminal for a long one. */
static void progress(void *ctx, uint64_t entries)
{
    struct verify *v = ctx;
    uint64_t now = pv_now_mono_ns();
    if (now - v->said_ns < PV_NS_PER_S / 2 || !isatty(STDERR_FILENO))
        return;
    v->said_ns = now;
    v->shown = true;
    fprintf(stderr, "\rchecked %" PRIu64 " events", entries);
}

static void end_progress(struct verify *v)
{
    if (v->shown)
        fputs("\r\033[K", stderr);
    v->shown = false;
}

static void root_prefix(const struct pv_verify_result *r, char out[2 * PV_HASH_BYTES + 1])
{
    pv_hex(r->root, PV_HASH_BYTES, out);
}

static json_t *log_json(const struct pv_verify_result *r)
{
    char root[2 * PV_HASH_BYTES + 1];
    root_prefix(r, root);
    json_t *o = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:b, s:b}", "verdict",
        pv_verdict_name(r->verdict), "text", r->text, "events", (json_int_t)r->entries,
        "signed_events", (json_int_t)r->signed_entries, "detached_events", (json_int_t)r->detached,
        "rechecked_tags", (json_int_t)r->rechecked_tags, "checkpoints", (json_int_t)r->checkpoints,
        "root", root, "domains", (json_int_t)r->domains, "gap_events", (json_int_t)r->gap_events,
        "lost_records", (json_int_t)r->lost_records, "producer_faults", (json_int_t)r->faults,
        "recoveries", (json_int_t)r->recoveries, "outside_witness_missing", (int)r->outside_missing,
        "static_files_missing", (int)r->tiles_missing);
    if (o && r->has_seq)
        (void)json_object_set_new(o, "first_bad_event",
                                  json_sprintf("e%" PRIu64, r->first_bad_seq));
    return o;
}

static void print_pin(const struct verify *v)
{
    char shown[400];
    if (!v->pin_file)
        return;
    cli_escape_str(v->pin_file, shown, sizeof shown);
    if (v->pin_compared)
        printf("       begins with the %" PRIu64 " events that '%s' remembered\n", v->pin_size,
               shown);
    else
        printf("       '%s' remembers it from now on: there was nothing to compare with\n", shown);
}

static json_t *pin_json(const struct verify *v)
{
    return v->pin_compared ? json_integer((json_int_t)v->pin_size) : json_null();
}

static void print_log(const struct pv_verify_result *r)
{
    char root[2 * PV_HASH_BYTES + 1];
    char text[600];
    if (r->verdict != PV_VERDICT_OK) {
        printf("log    %s", pv_verdict_name(r->verdict));
        if (r->has_seq)
            printf(" at e%" PRIu64, r->first_bad_seq);
        printf(": %s\n", cli_escape_str(r->text, text, sizeof text));
        return;
    }
    root_prefix(r, root);
    printf("log    ok: %" PRIu64 " events of %" PRIu64 " domains, %" PRIu64 " under %" PRIu64
           " signed checkpoints, root %.*s\n",
           r->entries, r->domains, r->signed_entries, r->checkpoints, ROOT_PREFIX_CHARS, root);
    if (r->detached)
        printf("       %" PRIu64
               " of them are in archives: their hashes are as signed, what they say "
               "was not looked at ('provost audit attach')\n",
               r->detached);
    printf("       %" PRIu64 " tags rechecked with disclosed keys, %" PRIu64
           " events wait for theirs\n",
           r->rechecked_tags, r->entries - r->detached - r->rechecked_tags);
    if (r->rotations)
        printf("       the log's key was changed %" PRIu64 " times, each time signed by the one "
               "before\n",
               r->rotations);
    if (r->gap_events)
        printf("       the outside witness lost %" PRIu64 " records in %" PRIu64
               " gaps, the first at e%" PRIu64 ": %s\n",
               r->lost_records, r->gap_events, r->first_gap_seq,
               cli_escape_str(r->first_gap, text, sizeof text));
    if (r->recoveries)
        printf("       %" PRIu64
               " recoveries after a crash: 'provost audit find --kind recovery'\n",
               r->recoveries);
    if (r->faults)
        printf("       %" PRIu64 " producers broke the rules: 'provost audit find --kind "
               "producer-fault'\n",
               r->faults);
    if (r->outside_missing)
        puts("       the outside witness was missing for at least a part of it");
    if (r->tiles_missing)
        puts("       the journal holds everything, but static files are missing that witnesses and "
             "others read (the log's directory 'tile'): copy them too");
}

/* An event row is named as the event it holds. */
static void graph_place(const struct pv_graph_check *g, char *out, size_t cap)
{
    if (!*g->table)
        snprintf(out, cap, "graph.db");
    else if (strcmp(g->table, "event") == 0)
        snprintf(out, cap, "e%s", g->row);
    else
        snprintf(out, cap, "%s %s", g->table, g->row);
}

static json_t *graph_json(bool present, const struct pv_graph_check *g)
{
    char where[160];
    if (!present)
        return json_pack("{s:s}", "verdict", "absent");
    json_t *o = json_pack("{s:s, s:s, s:I, s:I}", "verdict", pv_graph_verdict_name(g->verdict),
                          "text", g->text, "events", (json_int_t)g->events, "checkpoints",
                          (json_int_t)g->checkpoints);
    if (o && g->verdict != PV_GRAPH_OK) {
        graph_place(g, where, sizeof where);
        (void)json_object_set_new(o, "first_bad_row", json_string(where));
    }
    return o;
}

static void print_graph(bool present, const struct pv_graph_check *g, uint64_t log_events)
{
    char where[160];
    char text[600];
    char shown[400];
    if (!present) {
        puts("graph  absent: 'provost graph rebuild' makes it from the log");
        return;
    }
    if (g->verdict == PV_GRAPH_OK) {
        printf("graph  ok: %" PRIu64 " events as in the log, %" PRIu64 " checkpoints\n", g->events,
               g->checkpoints);
        if (g->events < log_events)
            printf("       %" PRIu64 " events of the log are not in the graph\n",
                   log_events - g->events);
        return;
    }
    graph_place(g, where, sizeof where);
    printf("graph  %s at %s: %s\n", pv_graph_verdict_name(g->verdict),
           cli_escape_str(where, shown, sizeof shown), cli_escape_str(g->text, text, sizeof text));
}

/* Where the log ends up in error, its place is named all the same. */
static int run_check(struct verify *v, int dir_fd, const struct pv_note_key *key,
                     struct pv_verify_result *ret, struct pv_err *err)
{
    struct pv_checkpoint pinned, since;
    bool have_pin = false, have_since = false;
    if (v->pin_file)
        PV_TRY(cli_pin_read(v->pin_file, key, true, &pinned, &have_pin, err));
    if (v->since_file)
        PV_TRY(cli_pin_read(v->since_file, key, false, &since, &have_since, err));
    const struct pv_verify_options options_of = {.key = key,
                                                 .pinned = have_pin ? &pinned : NULL,
                                                 .witnessed = v->witnesses.checkpoint,
                                                 .n_witnessed = v->witnesses.n_found,
                                                 .since = have_since ? &since : NULL,
                                                 .complete = v->complete,
                                                 .jobs = (unsigned)v->jobs,
                                                 .progress = progress,
                                                 .ctx = v};
    PV_TRY(pv_verify_log(dir_fd, &options_of, ret, err));
    v->pin_compared = have_pin;
    v->pin_size = have_pin ? pinned.size : 0;
    if (v->pin_file && ret->verdict == PV_VERDICT_OK && ret->note_len)
        return cli_pin_write(v->pin_file, ret->note, ret->note_len, err);
    return 0;
}

static int check_log(struct cli *cli, struct verify *v, struct pv_note_key *ret_key,
                     struct pv_verify_result *ret, struct pv_err *err)
{
    pv_autoclose int dir_fd = -1;
    PV_TRY(cli_state_open(cli, "log", &dir_fd, err));
    PV_TRY(cli_state_key(cli, v->key_file, ret_key, err));
    PV_TRY(cli_follow_rotations(v->rotations_file, ret_key, err));
    if (v->witnesses.n)
        PV_TRY(cli_witnesses_read(cli, &v->witnesses, ret_key, err));
    return run_check(v, dir_fd, ret_key, ret, err);
}

static int check_bundle(struct cli *cli, struct verify *v)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key key;
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, PV_BUNDLE_MAX);
    if (cli_state_key(cli, v->key_file, &key, &err) < 0 ||
        cli_follow_rotations(v->rotations_file, &key, &err) < 0 ||
        cli_read_input(v->bundle_file, &text, &err) < 0)
        return cli_report(&err);
    return cli_bundle_check(cli, "bundle", text.len ? text.data : (const uint8_t *)"", text.len,
                            &key, NULL, &v->witnesses);
}

static uint64_t processors(void)
{
    int n = get_nprocs();
    return n < 1 ? 1 : n > JOBS_MAX ? JOBS_MAX : (uint64_t)n;
}

static int check_proof(struct cli *cli, struct verify *v)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key key;
    if (cli_state_key(cli, v->key_file, &key, &err) < 0 ||
        cli_follow_rotations(v->rotations_file, &key, &err) < 0)
        return cli_report(&err);
    return cli_verify_proof(cli, v->proof_file, v->entry_file, &key, &v->witnesses);
}

/* The log, and the graph against it. */
static int check_all(struct cli *cli, struct verify *v)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_verify_result log = {0};
    struct pv_graph_check graph = {0};
    struct pv_note_key key = {0};
    bool graph_present = false;
    int rc = check_log(cli, v, &key, &log, &err);
    if (rc == 0)
        rc = cli_graph_check(cli, &log.key, &graph_present, &graph, &err);
    /* a log too damaged to be compared with the graph has its verdict already */
    if (rc < 0 && log.text[0] && log.verdict != PV_VERDICT_OK) {
        graph = (struct pv_graph_check){.verdict = PV_GRAPH_NOT_THE_LOG};
        snprintf(graph.text, sizeof graph.text, "%s", err.text);
        rc = 0;
    }
    end_progress(v);
    if (v->witnesses.lacking)
        return cli_report_not_witnessed(cli, &err);
    if (rc < 0)
        return cli_report(&err);
    bool graph_ok = !graph_present || graph.verdict == PV_GRAPH_OK;
    bool ok = log.verdict == PV_VERDICT_OK && graph_ok;
    int verdict = log.verdict != PV_VERDICT_OK ? cli_verdict_exit(log.verdict)
                  : graph_ok                   ? CLI_OK
                                               : CLI_GRAPH_DIFFERS;
    if (cli->json) {
        rc = cli_print_json(
            cli, json_pack("{s:b, s:o, s:o, s:o, s:o}", "ok", (int)ok, "log", log_json(&log),
                           "graph", graph_json(graph_present, &graph), "witnesses",
                           cli_witnesses_json(&v->witnesses), "pinned", pin_json(v)));
        return rc != CLI_OK ? rc : verdict;
    }
    print_log(&log);
    if (log.verdict == PV_VERDICT_OK)
        print_pin(v);
    if (log.verdict == PV_VERDICT_OK)
        cli_witnesses_print(&v->witnesses, log.signed_entries);
    print_graph(graph_present, &graph, log.entries);
    rc = cli_flush();
    return rc != CLI_OK ? rc : verdict;
}

int cmd_verify(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        options,
        parse,
        "",
        "Checks the evidence: every event and signed checkpoint of the log, then the graph's hash "
        "chain and rows against the log. Names the first bad event; each verdict has its own exit "
        "code (docs/cli.md). Needs no daemon."
        "\vExamples:\n  provost verify\n"
        "  provost verify --state /mnt/evidence --key ~/provost-log.pub --json\n"
        "  provost verify --key ~/provost-log.pub --pin ~/seen --since ~/seen\n"
        "  provost verify --key ~/provost-log.pub --witness-key ~/w1.pub --cosigned ~/cosigned\n"
        "  provost verify --bundle b --key log.pub --witness-key w1.pub --witness-key w2.pub "
        "--quorum 1\n",
        children,
        NULL,
        NULL};
    struct verify v = {.args = {.cli = cli}, .jobs = processors()};
    struct pv_err err = PV_ERR_INIT;
    cli_parse(&argp, argc, argv, &v);
    v.said_ns = pv_now_mono_ns();
    if (pv_crypto_init(&err) < 0)
        return cli_report(&err);
    if (v.proof_file)
        return check_proof(cli, &v);
    if (v.archive_file)
        return cli_verify_archive(cli, v.archive_file, v.key_file, v.rotations_file);
    return v.bundle_file ? check_bundle(cli, &v) : check_all(cli, &v);
}
