/* provost audit record: a command under probes of its own; provost-recorder does it. */
#include "audit.h"
#include "libexec.h"

#include "pv/own.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPT_OUTPUT = 'o' };

struct record {
    struct cli *cli;
    char *output;
    char **command; /* borrowed from argv, up to its NULL */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct record *r = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = r->cli;
        return 0;
    case OPT_OUTPUT:
        r->output = arg;
        return 0;
    case ARGP_KEY_ARGS:
        r->command = state->argv + state->next;
        return 0;
    case ARGP_KEY_END:
        if (!r->output || !r->command)
            argp_error(state, "--output FILE and a command are needed");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Before anything is done: whether there is a directory for the file. */
static int check_output(const char *file, struct pv_err *err)
{
    char dir[PV_PATH_MAX];
    const char *slash = strrchr(file, '/');
    if (snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - file + 1) : 1,
                 slash ? file : ".") >= (int)sizeof dir)
        return pv_refuse(err, EINVAL, "the name '%s' is too long", file);
    pv_autoclose int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? pv_fail(err, errno, "create '%s'", file) : 0;
}

static int run_recorder(const struct record *r, struct pv_err *err)
{
    char path[PV_PATH_MAX];
    size_t n = 0;
    PV_TRY(cli_libexec("provost-recorder", path, err));
    while (r->command[n])
        n++;
    char **argv = calloc(n + 3, sizeof *argv);
    if (!argv)
        return pv_fail(err, ENOMEM, "run '%s'", path);
    argv[0] = path;
    argv[1] = r->output;
    memcpy(argv + 2, r->command, n * sizeof *argv);
    (void)execv(path, argv);
    int rc = pv_fail(err, errno, "execute '%s'", path);
    free(argv);
    return rc;
}

int audit_record(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"output", OPT_OUTPUT, "FILE", 0, "Where to save it", 1},
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "-- COMMAND [ARG...]",
        "Runs a command under probes of its own and saves the outside witness's records of it and "
        "of all that it starts, until it ends. Needs root and eBPF, but no daemon; what a daemon "
        "records is not touched. Exits with 1 when the command failed."
        "\vExample:\n  provost audit record -o tar.rec -- tar cf /tmp/etc.tar /etc\n",
        children,
        NULL,
        NULL};
    struct record r = {.cli = cli};
    struct pv_err err = PV_ERR_INIT;
    cli_parse(&argp, argc, argv, &r);
    if (geteuid() != 0)
        return cli_error(CLI_DENIED, "recording needs root");
    if (check_output(r.output, &err) == 0)
        (void)run_recorder(&r, &err);
    return cli_report(&err);
}
