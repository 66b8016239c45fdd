/* Starting of a role's executable. */
#pragma once
#include "pv/err.h"

#include <sys/types.h>

/* Forks and executes path as a session of its own, with title as its name in process lists,
 * /dev/null as standard input and output, our standard error, control_fd as descriptor 3, bell_fd
 * as 4 and no others, an environment without the caller's variables, and SIGKILL when we die. That
 * exec failed shows as exit status 127. Both descriptors stay the caller's. */
PV_MUST_CHECK int pv_spawn(pid_t *ret_pid, const char *path, const char *title, int control_fd,
                           int bell_fd, struct pv_err *err);
/* In a fresh child: dies with the parent, default signal dispositions, nothing blocked. */
void pv_spawn_reset(pid_t parent);
