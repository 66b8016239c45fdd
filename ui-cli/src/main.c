/* The command `provost`: global options, then one command of the table. */
#include "cli.h"

#include <locale.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct cli_command commands[] = {
    {"deploy", "deploy a program as a function, or a new version of it", cmd_deploy},
    {"list", "list the functions", cmd_list},
    {"describe", "show what a function is, may do and has done", cmd_describe},
    {"remove", "remove a function", cmd_remove},
    {"invoke", "call a function", cmd_invoke},
    {"logs", "show what a function wrote to stderr", cmd_logs},
    {"secret", "create, list and remove secrets", cmd_secret},
    {"audit", "ask what happened: find, trace, path, timeline, export, prove, bundle, archive",
     cmd_audit},
    {"verify", "check the evidence log and the graph", cmd_verify},
    {"witness", "follow a log and cosign its checkpoints, or refuse a fork", cmd_witness},
    {"receipt", "fetch and check the evidence of one call", cmd_receipt},
    {"key", "show, export and change the log's key", cmd_key},
    {"graph", "rebuild the graph from the log", cmd_graph},
    {"run", "run a program in a micro-VM, without any daemon", cmd_run},
    {"status", "show whether the platform runs, and how", cmd_status},
    {"completion", "print the completion script of a shell", cmd_completion},
    {"version", "print the version", cmd_version},
};
enum { N_COMMANDS = sizeof commands / sizeof *commands };

struct top {
    struct cli *cli;
    int command_at; /* index of the command in argv, 0 when there is none */
};

static error_t parse_top(int key, char *arg, struct argp_state *state)
{
    struct top *top = state->input;
    (void)arg;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = top->cli;
        return 0;
    case ARGP_KEY_ARG:
        top->command_at = state->next - 1;
        state->next = state->argc; /* the rest belongs to the command */
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* As in docs/cli.md. */
static const char exit_codes[] =
    "Exit status, but for 'run', which has the program's:\n"
    "  0  done\n"
    "  1  what was asked for failed: the function, the evidence\n"
    "  2  the command line makes no sense\n"
    "  3  not found: function, secret, event, node, file\n"
    "  4  the daemon does not answer\n"
    "  5  denied: the token or the permissions of a file\n"
    "  6  refused as it stands; the reason says what to change\n"
    "  7  busy or starting: try again\n"
    "  8  something on this side broke: disk, memory, a damaged file\n"
    "  'verify' and 'witness' have one for each verdict, from 10 on (docs/cli.md)\n";

/* argp wants one string: the table becomes the text after the options. */
static char *help_filter(int key, const char *text, void *input)
{
    (void)input;
    if (key != ARGP_KEY_HELP_POST_DOC)
        return (char *)(uintptr_t)text;
    static char doc[4096];
    size_t used = (size_t)snprintf(doc, sizeof doc, "Commands:\n");
    for (size_t i = 0; i < N_COMMANDS && used < sizeof doc; i++)
        used += (size_t)snprintf(doc + used, sizeof doc - used, "  %-11s %s\n", commands[i].name,
                                 commands[i].summary);
    if (used < sizeof doc)
        snprintf(doc + used, sizeof doc - used,
                 "\n'provost COMMAND --help' explains a command and gives examples.\n\n%s",
                 exit_codes);
    char *copy = strdup(doc); /* argp frees what the filter made */
    return copy;
}

int main(int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .parser = parse_top,
        .args_doc = "COMMAND [ARGUMENT...]",
        .doc = "Deploys functions, calls them, and says afterwards and with proof what they did."
               "\vCommands:",
        .children = children,
        .help_filter = help_filter,
    };
    struct cli cli;
    struct top top = {&cli, 0};

    setlocale(LC_CTYPE, "");
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error, reported as one */
    (void)atexit(cli_flush_at_exit);
    argp_program_version = "provost " PV_VERSION;
    argp_err_exit_status = CLI_USAGE;
    cli_init(&cli);
    if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &top) != 0)
        return CLI_USAGE;
    if (top.command_at == 0)
        return cli_error(CLI_USAGE, "a command is missing; 'provost --help' lists them");
    /* what precedes the command has been read */
    int skip = top.command_at - 1;
    return cli_dispatch(&cli, "provost", commands, N_COMMANDS, argc - skip, argv + skip);
}
