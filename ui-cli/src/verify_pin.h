/* The checkpoint that a verifier remembers from one time to the next. */
#pragma once
#include "cli.h"
#include "pv/checkpoint.h"

/* Reads a remembered checkpoint of that log; signatures by a key that is known are checked. With
 * may_lack a missing file is 0 with *ret_present false. */
PV_MUST_CHECK int cli_pin_read(const char *file, const struct pv_note_key *key, bool may_lack,
                               struct pv_checkpoint *ret, bool *ret_present, struct pv_err *err);
/* Remembers a note in one step: the old one stays until the new one is durable. */
PV_MUST_CHECK int cli_pin_write(const char *file, const char *note, size_t len, struct pv_err *err);
