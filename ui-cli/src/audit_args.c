#include "audit_args.h"

#include "pv/clock.h"
#include "pv/units.h"

#include <string.h>

enum {
    OPT_KIND = 0x100,
    OPT_SINCE,
    OPT_LIMIT,
    OPT_BACK,
    OPT_FORWARD,
    OPT_ALL,
    OPT_DEPTH,
    OPT_FROM,
    OPT_TO,
    OPT_PATH,
    OPT_FORMAT,
};

static const struct argp_option find_options[] = {
    {"kind", OPT_KIND, "KIND", 0,
     "Only events of that kind (request, egress, open, …) or nodes of "
     "that type (file, endpoint, …)",
     1},
    {"since", OPT_SINCE, "WHEN", 0, "Only since then: 10m (ago), or a time in UTC", 1},
    {"limit", OPT_LIMIT, "N", 0, "At most N of each (100; 0: all)", 1},
    {0},
};
static const struct argp_option trace_options[] = {
    {"back", OPT_BACK, NULL, 0, "What it depends on: root causes", 1},
    {"forward", OPT_FORWARD, NULL, 0, "What depends on it: blast radius", 1},
    {"all", OPT_ALL, NULL, 0, "Files of the runtime (/usr, /lib, …) too", 1},
    {"depth", OPT_DEPTH, "N", 0, "At most N steps away", 1},
    {0},
};
static const struct argp_option path_options[] = {
    {"from", OPT_FROM, "ID", 0, "A source; repeatable", 1},
    {"to", OPT_TO, "ID", 0, "A target; repeatable", 1},
    {"all", OPT_ALL, NULL, 0, "Files of the runtime (/usr, /lib, …) too", 1},
    {0},
};
static const struct argp_option timeline_options[] = {
    {"all", OPT_ALL, NULL, 0, "The loading of the runtime too", 1},
    {0},
};
static const struct argp_option export_options[] = {
    {"format", OPT_FORMAT, "dot|json", 0, "Graphviz picture or JSON (dot)", 1},
    {"output", 'o', "FILE", 0, "Write there instead of stdout", 1},
    {"path", OPT_PATH, NULL, 0, "The answer of 'audit path'", 2},
    {"from", OPT_FROM, "ID", 0, "A source of the path; repeatable", 2},
    {"to", OPT_TO, "ID", 0, "A target of the path; repeatable", 2},
    {"back", OPT_BACK, NULL, 0, "The answer of 'audit trace --back'", 3},
    {"forward", OPT_FORWARD, NULL, 0, "The answer of 'audit trace --forward'", 3},
    {"all", OPT_ALL, NULL, 0, "Files of the runtime (/usr, /lib, …) too", 4},
    {"depth", OPT_DEPTH, "N", 0, "At most N steps away", 4},
    {0},
};

#define ID_HELP                                                                                    \
    "ID is a call id (or a unique prefix of four or more characters), an event like e123 or a "    \
    "node like n123."

static const struct {
    const struct argp_option *options;
    const char *args_doc;
    const char *doc;
} forms[] = {
    [AUDIT_FIND] = {find_options, "[TEXT]",
                    "Finds events and nodes. TEXT is a part of a name, path, address or endpoint, "
                    "or an id."
                    "\vExamples:\n  provost audit find credentials.json\n"
                    "  provost audit find --kind egress --since 10m\n"},
    [AUDIT_TRACE] = {trace_options, "(--back | --forward) ID",
                     "Shows what ID depends on, or what depends on it. " ID_HELP
                     "\vExamples:\n  provost audit trace --back e1234\n"
                     "  provost audit trace --forward 0123456789abcdef --depth 6\n"},
    [AUDIT_PATH] = {path_options, "[FROM TO]",
                    "Shows every way by which TO depends on FROM. " ID_HELP
                    "\vExamples:\n  provost audit path n17 n230\n"
                    "  provost audit path --from n17 --from n99 --to n230\n"},
    [AUDIT_TIMELINE] = {timeline_options, "ID",
                        "Tells in time order what happened in the workflow of a call. " ID_HELP
                        "\vExample:\n  provost audit timeline 0123456789abcdef\n"},
    [AUDIT_EXPORT] =
        {export_options, "(ID | --path FROM TO | --back ID | --forward ID)",
         "Writes an answer as a picture for Graphviz or as JSON; an ID alone means the "
         "workflow it belongs to. " ID_HELP "\vExamples:\n"
         "  provost audit export --path n17 n230 | dot -Tsvg > attack.svg\n"
         "  provost audit export --format json -o call.json 0123456789abcdef\n"},
};

static void add_id(struct argp_state *state, struct audit_id_list *list, const char *arg)
{
    if (list->n == AUDIT_IDS_MAX)
        argp_error(state, "more than %d ids", AUDIT_IDS_MAX);
    else
        list->v[list->n++] = arg;
}

/* Plain FROM and TO stand for --from and --to. */
static void check_path(struct argp_state *state, struct audit_args *a)
{
    if (a->ids.n == 2 && a->from.n == 0 && a->to.n == 0) {
        a->from = (struct audit_id_list){1, {a->ids.v[0]}};
        a->to = (struct audit_id_list){1, {a->ids.v[1]}};
    } else if (a->ids.n > 0) {
        argp_error(state, "give FROM and TO, or --from and --to");
    }
    if (a->from.n == 0 || a->to.n == 0)
        argp_error(state, "a path needs where it begins and where it ends");
}

static void check(struct argp_state *state, struct audit_args *a)
{
    if (a->back && a->forward)
        argp_error(state, "--back and --forward exclude each other");
    if (a->command == AUDIT_TRACE && !a->back && !a->forward)
        argp_error(state, "say --back or --forward");
    if (a->command == AUDIT_EXPORT && (a->from.n > 0 || a->to.n > 0))
        a->path = true;
    if (a->path && (a->back || a->forward))
        argp_error(state, "--path goes with neither --back nor --forward");
    if (a->command == AUDIT_FIND && a->ids.n > 1)
        argp_error(state, "'%s' is one argument too many", a->ids.v[1]);
    else if (a->command == AUDIT_PATH || a->path)
        check_path(state, a);
    else if (a->command != AUDIT_FIND && a->ids.n != 1)
        argp_error(state, "exactly one ID is needed");
}

static error_t parse_number(int key, char *arg, struct argp_state *state, struct audit_args *a)
{
    struct pv_err err = PV_ERR_INIT;
    int rc = 0;
    switch (key) {
    case OPT_SINCE:
        rc = cli_parse_moment(arg, pv_now_real_ns(), &a->since_ns, &err);
        break;
    case OPT_LIMIT:
        rc = cli_parse_count(arg, UINT32_MAX, &a->limit, &err);
        break;
    case OPT_DEPTH:
        rc = cli_parse_count(arg, 10000, &a->depth, &err);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (rc < 0)
        argp_error(state, "%s", err.text);
    return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct audit_args *a = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = a->cli;
        return 0;
    case OPT_KIND:
        a->kind = arg;
        return 0;
    case OPT_BACK:
        a->back = true;
        return 0;
    case OPT_FORWARD:
        a->forward = true;
        return 0;
    case OPT_ALL:
        a->all = true;
        return 0;
    case OPT_PATH:
        a->path = true;
        return 0;
    case OPT_FROM:
        add_id(state, &a->from, arg);
        return 0;
    case OPT_TO:
        add_id(state, &a->to, arg);
        return 0;
    case 'o':
        a->output = arg;
        return 0;
    case OPT_FORMAT:
        a->format_given = true;
        a->dot = strcmp(arg, "dot") == 0;
        if (!a->dot && strcmp(arg, "json") != 0)
            argp_error(state, "--format is dot or json, not '%s'", arg);
        return 0;
    case ARGP_KEY_ARG:
        add_id(state, &a->ids, arg);
        return 0;
    case ARGP_KEY_END:
        check(state, a);
        return 0;
    default:
        return parse_number(key, arg, state, a);
    }
}

void audit_parse(struct audit_args *a, enum audit_command command, struct cli *cli, int argc,
                 char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    const struct argp argp = {forms[command].options,
                              parse,
                              forms[command].args_doc,
                              forms[command].doc,
                              children,
                              NULL,
                              NULL};
    *a = (struct audit_args){
        .cli = cli, .command = command, .limit = AUDIT_LIMIT_DEFAULT, .dot = true};
    cli_parse(&argp, argc, argv, a);
    if (cli->json && !a->format_given)
        a->dot = false;
}
