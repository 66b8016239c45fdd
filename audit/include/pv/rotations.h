/* The changes of the log's key as evidence that stands alone: for each a line
 * "rotation ENTRY PROOF" with the key-rotation entry and its c2sp.org/tlog-proof@v1, both in
 * base64. The proof's checkpoint is signed by the key before (docs/formats/checkpoint.md). */
#pragma once
#include "pv/note.h"

enum { PV_ROTATION_LINE_MAX = 24 << 10, PV_ROTATIONS_MAX = 16 * (24 << 10) };

/* Whether a line, without its newline, is one of these by its first word. */
bool pv_rotation_is(const char *line, size_t len);
/* Takes one line: when it shows that k's present key was changed, the new one becomes k's. One that
 * shows the end of an older key of k, and is signed by the key after it too, retires that one. One
 * of other keys changes nothing. -EBADMSG: malformed, or it
 * does not hold. */
PV_MUST_CHECK int pv_rotation_take(struct pv_note_key *k, const char *line, size_t len,
                                   struct pv_err *err);
/* All lines of a text, in order. */
PV_MUST_CHECK int pv_rotations_follow(struct pv_note_key *k, const void *text, size_t len,
                                      struct pv_err *err);
