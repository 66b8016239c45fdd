/* What every command shares: where the platform is, how to print, how to fail. */
#pragma once
#include "pv/err.h"
#include "pv/limits.h"

#include <argp.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Exit codes; docs/cli.md is the reference. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* what was asked for failed: the function, the verification */
    CLI_USAGE = 2,       /* the command line makes no sense */
    CLI_NOT_FOUND = 3,   /* no such function, secret, event, node, file */
    CLI_UNREACHABLE = 4, /* the daemon does not answer */
    CLI_DENIED = 5,      /* the token or the file permissions do not allow it */
    CLI_REFUSED = 6,     /* the platform refuses the request as it stands */
    CLI_BUSY = 7,        /* full or starting up: try again */
    CLI_LOCAL = 8,       /* something on this side broke: a disk, memory, a damaged file */
};

struct cli {
    const char *url;        /* PROVOST_URL, without a slash at the end */
    const char *state_dir;  /* PROVOST_STATE */
    const char *token_file; /* PROVOST_TOKEN_FILE, or state_dir/admin.token */
    bool token_given;       /* by the option: a later --state does not change it */
    bool json;
    bool colour; /* stdout is a terminal and NO_COLOR is not set */
    bool stdout_tty;
    char url_buf[512];
    char token_buf[PV_PATH_MAX];
};

/* Fills in from the environment. */
void cli_init(struct cli *cli);
/* --json, --url, --state, --token-file: a child of each command's argp, whose input is cli. */
extern const struct argp cli_common_argp;

/* One command of a table. argv[0] is the full name ("provost audit find"). */
struct cli_command {
    const char *name;
    const char *summary;
    int (*run)(struct cli *cli, int argc, char **argv);
};
/* Runs the command argv[1] of the table; prefix is what was typed before it. */
int cli_dispatch(struct cli *cli, const char *prefix, const struct cli_command *table, size_t n,
                 int argc, char **argv);
/* Parses with argp (errors exit with CLI_USAGE, --help with 0). */
void cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/* "provost: sentence" on stderr; returns code. The text is escaped. */
int cli_error(enum cli_exit code, const char *fmt, ...) PV_PRINTF(2, 3);
/* As cli_error of what a library reported; the exit code follows from the errno. */
int cli_report(const struct pv_err *err);
/* So many digits tell every number that a clock gives; more would show how doubles round. */
#define CLI_JSON_REALS JSON_REAL_PRECISION(15)
/* Prints a value on stdout, indented, with a newline. Consumes the reference. Returns CLI_OK, or
 * CLI_LOCAL when value is NULL or stdout cannot take it. */
int cli_print_json(const struct cli *cli, json_t *value);
/* Flushes stdout; CLI_LOCAL (reported, unless the reader has gone) when something could not be
 * written. */
int cli_flush(void);
/* The same for whatever exits by itself, as --help does; nothing when a loss was told already. */
void cli_flush_at_exit(void);

static inline void cli_json_cleanup_(json_t **p)
{
    json_decref(*p);
}
#define cli_autojson __attribute__((cleanup(cli_json_cleanup_)))

/* The commands, one file a family. */
int cmd_deploy(struct cli *cli, int argc, char **argv);
int cmd_list(struct cli *cli, int argc, char **argv);
int cmd_describe(struct cli *cli, int argc, char **argv);
int cmd_remove(struct cli *cli, int argc, char **argv);
int cmd_invoke(struct cli *cli, int argc, char **argv);
int cmd_logs(struct cli *cli, int argc, char **argv);
int cmd_secret(struct cli *cli, int argc, char **argv);
int cmd_audit(struct cli *cli, int argc, char **argv);
int cmd_receipt(struct cli *cli, int argc, char **argv);
int cmd_key(struct cli *cli, int argc, char **argv);
int cmd_verify(struct cli *cli, int argc, char **argv);
int cmd_witness(struct cli *cli, int argc, char **argv);
int cmd_graph(struct cli *cli, int argc, char **argv);
int cmd_run(struct cli *cli, int argc, char **argv);
int cmd_status(struct cli *cli, int argc, char **argv);
int cmd_completion(struct cli *cli, int argc, char **argv);
int cmd_version(struct cli *cli, int argc, char **argv);
