/* Commands that take at most a few plain arguments and only the common options. */
#pragma once
#include "cli.h"

struct cli_simple_args {
    struct cli *cli;
    unsigned min;
    unsigned max;
    const char *v[4]; /* the arguments in order, NULL where absent */
};
/* Parses min to max arguments; exits with a usage error otherwise. args_doc and doc as argp's. */
void cli_parse_simple(struct cli_simple_args *a, const char *args_doc, const char *doc, int argc,
                      char **argv);
/* The parser behind it, for commands with options of their own: handles INIT, ARG and END. */
error_t cli_simple_key(struct cli_simple_args *a, int key, char *arg, struct argp_state *state);
