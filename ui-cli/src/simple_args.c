#include "simple_args.h"

#include <string.h>

/* The argument as the usage line calls it, the first being number 0. glibc puts the command's argp
 * first among the children of one of its own. */
static void say_missing(const struct argp_state *state, unsigned number)
{
    const struct argp *argp = state->root_argp;
    while (!argp->args_doc && argp->children && argp->children->argp)
        argp = argp->children->argp;
    const char *name = argp->args_doc ? argp->args_doc : "an argument";
    for (unsigned i = 0; argp->args_doc && i < number; i++) {
        name += strcspn(name, " ");
        name += strspn(name, " ");
    }
    argp_error(state, "%.*s is missing", (int)strcspn(name, argp->args_doc ? " " : ""), name);
}

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
            say_missing(state, state->arg_num);
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
