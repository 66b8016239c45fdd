/* Bundles of evidence: making them out of the state directory, and checking them. */
#pragma once
#include "cli.h"
#include "pv/bundle.h"
#include "pv/note.h"

/* Everything about a call (or with workflow, about all calls linked with it) into out. Waits a few
 * seconds for what is not signed yet while a daemon runs. text is a call id or what leads to one.
 */
PV_MUST_CHECK int cli_bundle_make(const struct cli *cli, const char *text, bool workflow,
                                  const struct pv_note_key *key, struct pv_buf *out,
                                  char ret_call[PV_CALL_ID_CHARS + 1], struct pv_err *err);
/* Checks a bundle and prints what it shows; what names it in the text ("bundle"). expect (or NULL)
 * is a receipt's reference that it must hold. The exit code. */
int cli_bundle_check(struct cli *cli, const char *what, const void *text, size_t len,
                     const struct pv_note_key *key, const char *expect);
