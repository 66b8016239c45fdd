/* provost audit prove: one event's proof of inclusion, in a format that others check too. */
#include "audit.h"
#include "input.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/own.h"
#include "pv/prove.h"
#include "simple_args.h"
#include "state.h"
#include "under.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OPT_OUTPUT = 'o', OPT_ENTRY = 0x100, PROOF_MAX = 1 << 14, PUBLISH_MS = 3000, POLL_MS = 20 };

struct prove {
    struct cli_simple_args args;
    const char *output, *entry_file;
    struct cli_under under;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct prove *p = state->input;
    switch (key) {
    case OPT_OUTPUT:
        p->output = arg;
        return 0;
    case OPT_ENTRY:
        p->entry_file = arg;
        return 0;
    case CLI_OPT_UNDER_KEY:
    case CLI_OPT_UNDER_COSIGNED:
        return cli_under_parse(&p->under, key, arg, state);
    default:
        return cli_simple_key(&p->args, key, arg, state);
    }
}

bool cli_event_number(const char *text, uint64_t *ret)
{
    char *end = NULL;
    if (text[0] != 'e' || text[1] < '0' || text[1] > '9')
        return false;
    errno = 0;
    *ret = strtoull(text + 1, &end, 10);
    return errno == 0 && *end == '\0';
}

/* A young event comes under the published checkpoint within a second or so. */
static int prove(const struct cli *cli, const struct cli_under *u, uint64_t seq,
                 struct pv_buf *proof, struct pv_buf *entry, struct pv_err *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * (long)PV_NS_PER_MS};
    uint64_t deadline_ns = pv_now_mono_ns() + PUBLISH_MS * PV_NS_PER_MS;
    pv_autoclose int dir_fd = -1;
    struct pv_note_key key;
    struct pv_signed_checkpoint under;
    PV_TRY(cli_state_open(cli, "log", &dir_fd, err));
    PV_TRY(cli_state_followed_key(cli, u->key_file, &key, err));
    for (;;) {
        pv_buf_reset(proof);
        if (entry)
            pv_buf_reset(entry);
        PV_TRY(cli_under_read(cli, u, dir_fd, &key, seq, &under, err));
        int rc = pv_log_prove(dir_fd, &under, seq, proof, entry, err);
        if (rc != -ESTALE || pv_now_mono_ns() >= deadline_ns || !cli_state_daemon_runs(cli))
            return rc == -ESTALE
                       ? pv_refuse(err, ENOENT, "the log has no signed event e%ju", (uintmax_t)seq)
                       : rc;
        (void)nanosleep(&pause, NULL);
    }
}

int audit_prove(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"output", OPT_OUTPUT, "FILE", 0, "Write the proof there instead of to stdout", 1},
        {"entry", OPT_ENTRY, "FILE", 0, "Write the log entry itself there, which the proof is of",
         1},
        CLI_UNDER_OPTIONS,
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "EVENT",
        "Writes a proof (c2sp.org/tlog-proof@v1) that the event stands in the log that the "
        "checkpoint in it signs. Any software that knows the format can check it offline against "
        "the entry and the log's public key. Cosignatures of witnesses come with the checkpoint."
        "\vExamples:\n  provost audit prove e42 -o e42.tlog-proof --entry e42.entry\n"
        "  provost verify --proof e42.tlog-proof --entry e42.entry --key log.pub\n",
        children,
        NULL,
        NULL};
    struct prove p = {.args = {.cli = cli, .min = 1, .max = 1}};
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf proof, entry;
    uint64_t seq;
    pv_buf_init(&proof, PROOF_MAX);
    pv_buf_init(&entry, PV_LOG_ENTRY_MAX);
    cli_parse(&argp, argc, argv, &p);
    if (!cli_event_number(p.args.v[0], &seq))
        return cli_error(CLI_USAGE, "an event is written e123; 'provost audit find' shows them");
    int rc = pv_crypto_init(&err);
    if (rc == 0)
        rc = prove(cli, &p.under, seq, &proof, p.entry_file ? &entry : NULL, &err);
    if (rc == 0)
        rc = cli_write_output(p.output, proof.data, proof.len, &err);
    if (rc == 0 && p.entry_file)
        rc = cli_write_output(p.entry_file, entry.data, entry.len, &err);
    return rc < 0 ? cli_report(&err) : CLI_OK;
}
