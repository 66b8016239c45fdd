/* The daemon's state directory as an auditor reads it: log, key, lock. Never written to. */
#pragma once
#include "cli.h"
#include "pv/note.h"

#include <stdint.h>

/* Opens the directory name ("log", "graph") of the state directory. -ENOENT and -EACCES say what to
 * do. */
PV_MUST_CHECK int cli_state_open(const struct cli *cli, const char *name, int *ret_fd,
                                 struct pv_err *err);
/* The log's public key: from file, or from the state directory when file is NULL. */
PV_MUST_CHECK int cli_state_key(const struct cli *cli, const char *file, struct pv_note_key *ret,
                                struct pv_err *err);
/* For an unknown key, where nothing but files is looked at. */
#define CLI_ROTATIONS_HINT                                                                         \
    " (if the log's key was changed, --rotations FILE with a copy of log/rotations follows it)"
/* Lets the key follow the changes listed in file (a copy of log/rotations); NULL: none. */
PV_MUST_CHECK int cli_follow_rotations(const char *file, struct pv_note_key *key,
                                       struct pv_err *err);
/* The log's public key, which follows the changes that the log itself lists: the newest key signs,
 * and one that was given up counts only for what it signed before. */
PV_MUST_CHECK int cli_state_followed_key(const struct cli *cli, const char *file,
                                         struct pv_note_key *ret, struct pv_err *err);
/* Entries handed to the log so far, by the size of its leaf cache: cheap enough to poll. */
PV_MUST_CHECK int cli_state_log_size(const struct cli *cli, uint64_t *ret, struct pv_err *err);
/* Whether a supervisor holds the state directory's lock. False when that cannot be told. */
bool cli_state_daemon_runs(const struct cli *cli);
