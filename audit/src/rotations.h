/* Keeping the changes of the key beside the log: the file "rotations". */
#pragma once
#include "pv/merkle.h"
#include "pv/rotations.h"

/* Adds the change that the note (signed by both keys) makes, whose event is its last entry; nothing
 * when it is there already. The file is replaced in one step. key: the one that was in force;
 * -EBADMSG when the note does not change it, and nothing is added then. */
PV_MUST_CHECK int pv_rotations_add(int dir_fd, const struct pv_note_key *key, const void *note,
                                   size_t len, struct pv_err *err);
/* A change as a line of the file claims it. The leaf hash shows where in a signed tree its event
 * stands, for one who meets the hash there and not the event. */
struct pv_rotation_claim {
    uint8_t leaf[PV_HASH_BYTES];
    uint8_t old_key[32], new_key[32];
};
enum { PV_ROTATION_CLAIMS_MAX = PV_NOTE_OLDER_KEYS_MAX };
/* Those of the file, as many as there may be; 0 when it is missing or cannot be read. */
unsigned pv_rotations_claims(int dir_fd, struct pv_rotation_claim ret[PV_ROTATION_CLAIMS_MAX]);
/* Appends the file's lines to out; nothing when there is none. */
PV_MUST_CHECK int pv_rotations_read(int dir_fd, struct pv_buf *out, struct pv_err *err);
