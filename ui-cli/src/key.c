/* provost key show, export-public, rotate. */
#include "cli.h"
#include "input.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/id.h"
#include "pv/own.h"
#include "pv/ratchet.h"
#include "simple_args.h"
#include "state.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>

enum { OPT_OUTPUT = 'o', ROTATE_MS = 15000, POLL_MS = 100, SHOWN_BYTES = 8 };

static void fingerprint(const uint8_t public_key[32], char out[2 * PV_HASH_BYTES + 1])
{
    uint8_t digest[PV_HASH_BYTES];
    pv_sha256(public_key, 32, digest);
    pv_hex(digest, sizeof digest, out);
}

static json_t *keys_json(const struct pv_note_key *k)
{
    char hex[2 * PV_HASH_BYTES + 1];
    json_t *older = json_array();
    for (unsigned i = 0; i < k->n_older; i++) {
        fingerprint(k->older[i].key, hex);
        (void)json_array_append_new(older, json_string(hex));
    }
    fingerprint(k->public_key, hex);
    return json_pack("{s:s, s:s, s:o}", "log", k->name, "fingerprint", hex, "older", older);
}

static int key_show(struct cli *cli, int argc, char **argv)
{
    struct cli_simple_args a = {.cli = cli};
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key k;
    char hex[2 * PV_HASH_BYTES + 1], shown[600];
    cli_parse_simple(&a, "",
                     "Shows the log's name and the SHA-256 fingerprints of its public keys, the "
                     "present one first."
                     "\vExample:\n  provost key show\n",
                     argc, argv);
    if (pv_crypto_init(&err) < 0 || cli_state_key(cli, NULL, &k, &err) < 0)
        return cli_report(&err);
    if (cli->json)
        return cli_print_json(cli, keys_json(&k));
    fingerprint(k.public_key, hex);
    printf("log    %s\nkey    SHA256:%s\n", cli_escape_str(k.name, shown, sizeof shown), hex);
    for (unsigned i = 0; i < k.n_older; i++) {
        fingerprint(k.older[i].key, hex);
        printf("older  SHA256:%s\n", hex);
    }
    return cli_flush();
}

struct export_args {
    struct cli_simple_args args;
    const char *output;
};

static error_t parse_export(int key, char *arg, struct argp_state *state)
{
    struct export_args *e = state->input;
    if (key != OPT_OUTPUT)
        return cli_simple_key(&e->args, key, arg, state);
    e->output = arg;
    return 0;
}

static int key_export(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"output", OPT_OUTPUT, "FILE", 0, "Write it there instead of to stdout", 1}, {0}};
    static const struct argp argp = {
        options,
        parse_export,
        "",
        "Writes the log's public keys, one a line, the present one first, as 'provost verify "
        "--key' "
        "and Go's sumdb/note take them. Keep the file where nobody can change it."
        "\vExample:\n  provost key export-public -o log.pub\n",
        children,
        NULL,
        NULL};
    struct export_args e = {.args = {.cli = cli}};
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key k;
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, 1 << 14);
    cli_parse(&argp, argc, argv, &e);
    int rc = pv_crypto_init(&err);
    if (rc == 0)
        rc = cli_state_key(cli, NULL, &k, &err);
    if (rc == 0) {
        pv_note_key_print(&k, &text);
        pv_buf_raw(&text, "\n", 1);
        rc = cli_write_output(e.output, text.data, text.len, &err);
    }
    return rc < 0 ? cli_report(&err) : CLI_OK;
}

/* Leaves the request; only root can. */
static int ask(const struct cli *cli, struct pv_err *err)
{
    pv_autoclose int dir_fd = -1;
    PV_TRY(cli_state_open(cli, "keys", &dir_fd, err));
    pv_autoclose int fd =
        openat(dir_fd, "rotate", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? pv_fail(err, errno, "ask for a new key in '%s/keys'", cli->state_dir) : 0;
}

static int key_rotate(struct cli *cli, int argc, char **argv)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * (long)PV_NS_PER_MS};
    struct cli_simple_args a = {.cli = cli};
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key before, now;
    cli_parse_simple(
        &a, "",
        "Has the auditor draw a new log key. The change is an event of the log under a "
        "checkpoint that both keys sign, so whoever holds the old public key can "
        "follow it; the old secret key is destroyed. Without a running daemon it "
        "happens at the next start."
        "\vExample:\n  provost key rotate\n",
        argc, argv);
    if (pv_crypto_init(&err) < 0 || cli_state_key(cli, NULL, &before, &err) < 0)
        return cli_report(&err);
    if (before.n_older == PV_NOTE_OLDER_KEYS_MAX)
        return cli_error(CLI_REFUSED,
                         "the log has had %d keys, which is as many as there can be: its key "
                         "cannot be changed any more, and goes on; docs/operations.md says how to "
                         "begin a log with another",
                         PV_NOTE_OLDER_KEYS_MAX + 1);
    if (ask(cli, &err) < 0)
        return cli_report(&err);
    if (!cli_state_daemon_runs(cli)) {
        fputs("provost: no daemon runs on this state directory; the key changes when one starts\n",
              stderr);
        return CLI_OK;
    }
    for (unsigned waited = 0; waited < ROTATE_MS; waited += POLL_MS) {
        if (cli_state_key(cli, NULL, &now, &err) < 0)
            return cli_report(&err);
        if (memcmp(now.public_key, before.public_key, sizeof now.public_key) != 0)
            return key_show(cli, 1, argv);
        (void)nanosleep(&pause, NULL);
    }
    return cli_error(CLI_BUSY, "the auditor has not changed the key yet; it will as soon as it can "
                               "write to its log");
}

int cmd_key(struct cli *cli, int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"show", "show the log's name and the fingerprints of its keys", key_show},
        {"export-public", "write the public keys for a verifier", key_export},
        {"rotate", "change the log's key", key_rotate},
    };
    return cli_dispatch(cli, argv[0], commands, sizeof commands / sizeof *commands, argc, argv);
}
