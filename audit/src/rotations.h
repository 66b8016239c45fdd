/* Keeping the changes of the key beside the log: the file "rotations". */
#pragma once
#include "pv/rotations.h"

/* Adds the change that the note (signed by both keys) makes, whose event is its last entry; nothing
 * when it is there already. The file is replaced in one step. key: the one that was in force;
 * -EBADMSG when the note does not change it, and nothing is added then. */
PV_MUST_CHECK int pv_rotations_add(int dir_fd, const struct pv_note_key *key, const void *note,
                                   size_t len, struct pv_err *err);
/* Appends the file's lines to out; nothing when there is none. */
PV_MUST_CHECK int pv_rotations_read(int dir_fd, struct pv_buf *out, struct pv_err *err);
