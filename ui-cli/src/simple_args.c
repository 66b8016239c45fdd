#include "simple_args.h"

error_t cli_simple_key(struct cli_simple_args *a, int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = a->cli;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num >= a->max)
            argp_error(state, "'%s' is one argument too many", arg);
        else
            a->v[state->arg_num] = arg;
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num < a->min)
            argp_error(state, "an argument is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    return cli_simple_key(state->input, key, arg, state);
}

void cli_parse_simple(struct cli_simple_args *a, const char *args_doc, const char *doc, int argc,
                      char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {NULL, parse, args_doc, doc, children, NULL, NULL};
    cli_parse(&argp, argc, argv, a);
}
