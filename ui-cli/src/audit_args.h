/* The arguments of provost audit find, trace, path, timeline, export. */
#pragma once
#include "cli.h"

#include <stdint.h>

enum { AUDIT_IDS_MAX = 16, AUDIT_LIMIT_DEFAULT = 100 };

enum audit_command { AUDIT_FIND, AUDIT_TRACE, AUDIT_PATH, AUDIT_TIMELINE, AUDIT_EXPORT };

struct audit_id_list {
    unsigned n;
    const char *v[AUDIT_IDS_MAX]; /* as typed */
};

struct audit_args {
    struct cli *cli;
    enum audit_command command;
    struct audit_id_list ids;  /* plain arguments */
    struct audit_id_list from; /* path: sources */
    struct audit_id_list to;   /* path: targets */
    const char *kind;          /* find: event kind or node type, or NULL */
    uint64_t since_ns;         /* find: 0 = ever */
    uint64_t limit;            /* find: 0 = no limit */
    bool back, forward;        /* trace direction; at most one is set */
    bool path;                 /* export: the answer of path, not of trace */
    bool all;                  /* runtime files too */
    uint64_t depth;            /* 0 = no limit */
    bool dot;                  /* export: DOT instead of JSON */
    bool format_given;         /* by --format: --json does not change it */
    const char *output;        /* export: file, or NULL for stdout */
};

/* Parses and checks; exits with a usage error. After it, path's two plain arguments stand in from
 * and to, and trace, timeline and export without --path have exactly one id. */
void audit_parse(struct audit_args *a, enum audit_command command, struct cli *cli, int argc,
                 char **argv);
