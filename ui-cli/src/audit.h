/* The questions of provost audit; each parses its arguments and answers. */
#pragma once
#include "cli.h"

#include <stdint.h>

int audit_find(struct cli *cli, int argc, char **argv);
int audit_trace(struct cli *cli, int argc, char **argv);
int audit_path(struct cli *cli, int argc, char **argv);
int audit_timeline(struct cli *cli, int argc, char **argv);
int audit_export(struct cli *cli, int argc, char **argv);
int audit_bundle(struct cli *cli, int argc, char **argv);
int audit_reconcile(struct cli *cli, int argc, char **argv);
int audit_record(struct cli *cli, int argc, char **argv);
int audit_replay(struct cli *cli, int argc, char **argv);
int audit_prove(struct cli *cli, int argc, char **argv);
int audit_archive(struct cli *cli, int argc, char **argv);
int audit_attach(struct cli *cli, int argc, char **argv);
/* "e123" as 123. */
bool cli_event_number(const char *text, uint64_t *ret);
