/* What waits for the auditor: events in rings that the log has not got, and how long ago it signed.
 */
#pragma once
#include "cli.h"

#include <stdint.h>

struct cli_waiting {
    bool signed_known;
    uint64_t signed_s; /* seconds since the last checkpoint */
    bool rings_known;
    uint64_t bytes; /* in rings, not yet taken */
    bool stuck;     /* and none was taken for a second, with no checkpoint in CLI_STUCK_S */
};
enum { CLI_STUCK_S = 10 };

/* Looks at the state directory; waits up to a second where it seems that nothing moves. */
void cli_look_at_waiting(const struct cli *cli, struct cli_waiting *ret);
