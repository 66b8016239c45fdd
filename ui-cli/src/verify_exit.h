/* Exit codes of provost verify: one a verdict (docs/cli.md). */
#pragma once
#include "pv/graph_follow.h"
#include "pv/verify.h"

enum { CLI_VERDICT_FIRST = 10, CLI_GRAPH_DIFFERS = 40, CLI_NOT_WITNESSED = 41 };

/* 0 for ok. */
int cli_verdict_exit(enum pv_verdict v);
