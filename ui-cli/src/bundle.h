/* Bundles of evidence: making them out of the state directory, and checking them. */
#pragma once
#include "cli.h"
#include "pv/bundle.h"
#include "pv/note.h"
#include "under.h"
#include "verify_witness.h"

/* What the bundle is to be about: a call id or what leads to one; with workflow all calls linked
 * with it. */
struct cli_bundle_wish {
    const char *call;
    bool workflow;
    struct cli_under under;
};
/* Makes it into out. Waits a few seconds for what is not signed yet while a daemon runs. */
PV_MUST_CHECK int cli_bundle_make(const struct cli *cli, const struct cli_bundle_wish *w,
                                  struct pv_note_key *ret_key, struct pv_buf *out,
                                  char ret_call[PV_CALL_ID_CHARS + 1], struct pv_err *err);
/* Checks a bundle and prints what it shows; what names it in the text ("bundle"). expect (or NULL)
 * is a receipt's reference that it must hold; witnesses (or NULL) those whose cosignatures it must
 * have. The exit code. */
int cli_bundle_check(struct cli *cli, const char *what, const void *text, size_t len,
                     const struct pv_note_key *key, const char *expect,
                     struct cli_witnesses *witnesses);
