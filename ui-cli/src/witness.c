/* provost witness: follows a log from elsewhere, cosigns what is consistent, refuses what is not.
 */
#include "pv/witness.h"
#include "cli.h"
#include "fetch.h"
#include "input.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/own.h"
#include "pv/units.h"
#include "simple_args.h"
#include "state.h"
#include "verify_exit.h"
#include "verify_pin.h"
#include "witness_serve.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

enum {
    OPT_OUTPUT = 'o',
    OPT_DIR = 0x100,
    OPT_KEY,
    OPT_GENERATE,
    OPT_ONCE,
    OPT_INTERVAL,
    OPT_LISTEN,
    INTERVAL_MS = 10000,
    RENEW_S = 60, /* a cosignature also says how lately the witness has looked */
};
#define SECRET_FILE "witness.key"

struct witness_args {
    struct cli_simple_args args;
    const char *dir, *key_file, *name, *output, *listen;
    uint64_t interval_ms;
    bool once;
};

/* A witness at work. */
struct work {
    struct cli *cli;
    const struct witness_args *args;
    struct pv_witness *w;        /* owned */
    int log_fd;                  /* owned; -1 when the log is at a URL */
    struct cli_fetcher *fetcher; /* owned; or NULL */
    struct pv_log_source source; /* read NULL: nothing is followed */
    struct event_base *base;     /* owned */
    uint64_t told_size;          /* of what was printed last */
    char told[512];              /* the complaint printed last */
    int exit_code;
};

static const struct argp_option options[] = {
    {"dir", OPT_DIR, "DIR", 0, "The witness's own directory: its key and what it remembers", 1},
    {"key", OPT_KEY, "PUB", 0, "The log's public key, kept where an attacker cannot change it", 1},
    {"output", OPT_OUTPUT, "FILE", 0, "Keep the cosigned checkpoint there, for 'provost verify'",
     1},
    {"once", OPT_ONCE, NULL, 0, "Look once and end", 1},
    {"interval", OPT_INTERVAL, "TIME", 0, "Look that often (10s)", 1},
    {"listen", OPT_LISTEN, "[ADDRESS:]PORT", 0,
     "Take checkpoints by HTTP as well (c2sp.org/tlog-witness), on 127.0.0.1 unless told", 1},
    {"generate-key", OPT_GENERATE, "NAME", 0,
     "Make a new witness of that name in DIR and print its public key", 2},
    {0},
};

static error_t parse_end(struct witness_args *a, struct argp_state *state)
{
    if (!a->dir)
        argp_error(state, "--dir is missing");
    if (!a->name && !a->key_file)
        argp_error(state, "--key is missing: a witness does not take the log's word for its key");
    if (a->name && (a->key_file || a->listen || a->once))
        argp_error(state, "--generate-key goes with --dir and --output alone");
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct witness_args *a = state->input;
    struct pv_err err = PV_ERR_INIT;
    switch (key) {
    case OPT_DIR:
        a->dir = arg;
        return 0;
    case OPT_KEY:
        a->key_file = arg;
        return 0;
    case OPT_OUTPUT:
        a->output = arg;
        return 0;
    case OPT_GENERATE:
        a->name = arg;
        return 0;
    case OPT_ONCE:
        a->once = true;
        return 0;
    case OPT_LISTEN:
        a->listen = arg;
        return 0;
    case OPT_INTERVAL:
        if (cli_parse_duration(arg, &a->interval_ms, &err) < 0 || a->interval_ms == 0)
            argp_error(state, "'%s' is no interval; write for example 10s", arg);
        return 0;
    case ARGP_KEY_END:
        parse_end(a, state);
        return cli_simple_key(&a->args, key, arg, state);
    default:
        return cli_simple_key(&a->args, key, arg, state);
    }
}

static int open_dir(const char *dir, bool create, int *ret_fd, struct pv_err *err)
{
    if (create && mkdir(dir, 0700) < 0 && errno != EEXIST)
        return pv_fail(err, errno, "create '%s'", dir);
    *ret_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd < 0 ? pv_fail(err, errno, "open the witness's directory '%s'", dir) : 0;
}

static int generate(const struct witness_args *a)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_cosigner c;
    pv_autoclose int fd = -1;
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, PV_NOTE_MAX);
    int rc = open_dir(a->dir, true, &fd, &err);
    if (rc == 0)
        rc = pv_cosigner_create(&c, fd, SECRET_FILE, a->name, &err);
    if (rc == 0) {
        pv_cosigner_key_print(&c.key, &text);
        pv_buf_raw(&text, "\n", 1);
        pv_cosigner_done(&c);
        rc = cli_write_output(a->output, text.data, text.len, &err);
    }
    return rc < 0 ? cli_report(&err) : CLI_OK;
}

static void work_done(struct work *k)
{
    pv_witness_free(k->w);
    cli_fetcher_free(k->fetcher);
    if (k->log_fd >= 0)
        (void)close(k->log_fd);
    if (k->base)
        event_base_free(k->base);
}

/* A directory is the log's, or the state directory above it. */
static int open_log_dir(struct work *k, const char *dir, struct pv_err *err)
{
    char below[PV_PATH_MAX];
    struct stat st;
    if (snprintf(below, sizeof below, "%s/log", dir) >= (int)sizeof below)
        return pv_refuse(err, EINVAL, "the name of the log's directory is too long");
    const char *at = stat(below, &st) == 0 && S_ISDIR(st.st_mode) ? below : dir;
    k->log_fd = open(at, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (k->log_fd < 0)
        return pv_fail(err, errno, "open the log's directory '%s'", at);
    k->source = pv_log_source_dir(&k->log_fd);
    return 0;
}

static int open_source(struct work *k, const char *log, struct pv_err *err)
{
    if (!log && k->args->listen)
        return 0;
    if (!log)
        log = k->cli->state_dir;
    if (!strstr(log, "://"))
        return open_log_dir(k, log, err);
    PV_TRY(cli_fetcher_new(&k->fetcher, log, err));
    k->source = cli_fetcher_source(k->fetcher);
    return 0;
}

static int open_work(struct work *k, struct pv_err *err)
{
    struct pv_note_key key;
    pv_autoclose int fd = -1;
    PV_TRY(pv_crypto_init(err));
    PV_TRY(cli_state_key(k->cli, k->args->key_file, &key, err));
    PV_TRY(open_dir(k->args->dir, false, &fd, err));
    PV_TRY(pv_witness_open(&k->w, fd, &key, err));
    return open_source(k, k->args->args.v[0], err);
}

static int exit_of(enum pv_witness_answer a)
{
    static const enum pv_verdict verdicts[] = {
        [PV_WITNESS_COSIGNED] = PV_VERDICT_OK,
        [PV_WITNESS_UNCHANGED] = PV_VERDICT_OK,
        [PV_WITNESS_MALFORMED] = PV_VERDICT_BAD_CHECKPOINT,
        [PV_WITNESS_UNKNOWN_ORIGIN] = PV_VERDICT_UNKNOWN_KEY,
        [PV_WITNESS_UNKNOWN_KEY] = PV_VERDICT_UNKNOWN_KEY,
        [PV_WITNESS_BAD_SIGNATURE] = PV_VERDICT_BAD_SIGNATURE,
        [PV_WITNESS_ROLLBACK] = PV_VERDICT_ROLLBACK,
        [PV_WITNESS_FORK] = PV_VERDICT_FORK,
        [PV_WITNESS_OTHER_SIZE] = PV_VERDICT_FORK,
        [PV_WITNESS_BAD_PROOF] = PV_VERDICT_FORK,
        [PV_WITNESS_BAD_TILE] = PV_VERDICT_BAD_TILE,
        [PV_WITNESS_BEHIND] = PV_VERDICT_ROLLBACK,
    };
    return cli_verdict_exit(verdicts[a]);
}

static int tell(struct work *k)
{
    size_t len;
    struct pv_err err = PV_ERR_INIT;
    const uint8_t *note = pv_witness_note(k->w, &len);
    if (note && k->args->output &&
        cli_pin_write(k->args->output, (const char *)note, len, &err) < 0)
        return cli_report(&err);
    k->told[0] = 0;
    if (k->told_size == pv_witness_size(k->w) && !k->args->once)
        return CLI_OK;
    k->told_size = pv_witness_size(k->w);
    if (k->cli->json)
        return cli_print_json(k->cli,
                              json_pack("{s:s, s:s, s:I}", "witness", pv_witness_key(k->w)->name,
                                        "verdict", "cosigned", "events", (json_int_t)k->told_size));
    printf("cosigned as '%s': %" PRIu64 " events\n", pv_witness_key(k->w)->name, k->told_size);
    return cli_flush();
}

/* One look at the log; an exit code. ret_final: what was found cannot get better by waiting. */
static int look(struct work *k, bool *ret_final)
{
    struct pv_err err = PV_ERR_INIT;
    int rc = pv_witness_follow(k->w, &k->source, pv_now_real_ns() / PV_NS_PER_S,
                               k->args->once ? 0 : RENEW_S, &err);
    *ret_final = rc == PV_WITNESS_FORK || rc == PV_WITNESS_ROLLBACK ||
                 rc == PV_WITNESS_OTHER_SIZE || rc == PV_WITNESS_BAD_PROOF;
    if (rc == PV_WITNESS_COSIGNED || (rc == PV_WITNESS_UNCHANGED && !k->told_size))
        return tell(k);
    if (rc == PV_WITNESS_UNCHANGED)
        return CLI_OK;
    bool repeated = strcmp(k->told, err.text) == 0;
    snprintf(k->told, sizeof k->told, "%s", err.text);
    if (rc >= 0)
        return repeated
                   ? exit_of((enum pv_witness_answer)rc)
                   : cli_error((enum cli_exit)exit_of((enum pv_witness_answer)rc), "%s", err.text);
    return repeated ? CLI_LOCAL : cli_report(&err);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
    struct work *k = ctx;
    (void)fd;
    (void)what;
    bool final;
    k->exit_code = look(k, &final);
    if (final)
        event_base_loopbreak(k->base);
}

static void on_signal(evutil_socket_t fd, short what, void *ctx)
{
    struct work *k = ctx;
    (void)fd;
    (void)what;
    k->exit_code = CLI_OK;
    event_base_loopbreak(k->base);
}

static int arm(struct work *k, struct event *ev[3], struct pv_err *err)
{
    const struct timeval interval = {.tv_sec = (time_t)(k->args->interval_ms / 1000),
                                     .tv_usec = (suseconds_t)(k->args->interval_ms % 1000 * 1000)};
    ev[0] = evsignal_new(k->base, SIGTERM, on_signal, k);
    ev[1] = evsignal_new(k->base, SIGINT, on_signal, k);
    ev[2] = event_new(k->base, -1, EV_PERSIST, on_tick, k);
    if (!ev[0] || !ev[1] || !ev[2] || event_add(ev[0], NULL) < 0 || event_add(ev[1], NULL) < 0 ||
        (k->source.read && event_add(ev[2], &interval) < 0))
        return pv_fail(err, ENOMEM, "prepare the event loop");
    if (k->source.read)
        event_active(ev[2], EV_TIMEOUT, 0);
    return 0;
}

static int run(struct work *k, struct pv_err *err)
{
    struct event *ev[3] = {NULL};
    struct cli_witness_server *server = NULL;
    k->base = event_base_new();
    int rc = k->base ? arm(k, ev, err) : pv_fail(err, ENOMEM, "make an event loop");
    if (rc == 0 && k->args->listen)
        rc = cli_witness_serve(&server, k->base, k->args->listen, k->w, err);
    if (rc == 0 && event_base_dispatch(k->base) < 0)
        rc = pv_refuse(err, EIO, "the event loop failed");
    cli_witness_server_free(server);
    for (unsigned i = 0; i < 3; i++)
        if (ev[i])
            event_free(ev[i]);
    return rc;
}

int cmd_witness(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        options,
        parse,
        "[LOG]",
        "Follows a log as another process, best on another machine: LOG is the URL under which a "
        "web server shows the log directory, or a directory (the state directory when nothing is "
        "said). Each new checkpoint is cosigned (c2sp.org/tlog-cosignature) when the log still "
        "begins with what was cosigned before; one that does not is refused, kept as evidence, and "
        "ends the witness with exit code 17 (fork) or 16 (rolled back)."
        "\vExamples:\n  provost witness --dir ~/witness --generate-key example.org/w1 -o w1.pub\n"
        "  provost witness --dir ~/witness --key log.pub https://log.example.org/\n"
        "  provost witness --dir ~/witness --key log.pub --once /mnt/evidence -o cosigned\n"
        "  provost verify --key log.pub --witness-key w1.pub --cosigned cosigned\n",
        children,
        NULL,
        NULL};
    struct witness_args a = {.args = {.cli = cli, .max = 1}, .interval_ms = INTERVAL_MS};
    __attribute__((cleanup(work_done))) struct work k = {.cli = cli, .args = &a, .log_fd = -1};
    struct pv_err err = PV_ERR_INIT;
    cli_parse(&argp, argc, argv, &a);
    if (a.name)
        return pv_crypto_init(&err) < 0 ? cli_report(&err) : generate(&a);
    if (open_work(&k, &err) < 0)
        return cli_report(&err);
    bool final;
    if (a.once)
        return k.source.read ? look(&k, &final) : cli_error(CLI_USAGE, "--once needs a LOG");
    return run(&k, &err) < 0 ? cli_report(&err) : k.exit_code;
}
