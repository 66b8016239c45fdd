#include "audit.h"

int cmd_audit(struct cli *cli, int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"find", "find events and nodes by name, kind or time", audit_find},
        {"trace", "show what something depends on, or what depends on it", audit_trace},
        {"path", "show how one thing reached another", audit_path},
        {"timeline", "tell what happened in a workflow, in order", audit_timeline},
        {"export", "write an answer as a picture or as JSON", audit_export},
        {"reconcile", "compare the two witnesses' accounts", audit_reconcile},
        {"prove", "prove that an event stands in the log", audit_prove},
        {"record", "save what the outside witness says of a command", audit_record},
        {"replay", "make a log and a graph of what was recorded", audit_replay},
        {"archive", "move the log's oldest events into a file", audit_archive},
        {"attach", "read events from such a file again", audit_attach},
        {"bundle", "put all evidence of a call into one file", audit_bundle},
    };
    return cli_dispatch(cli, argv[0], commands, sizeof commands / sizeof *commands, argc, argv);
}
