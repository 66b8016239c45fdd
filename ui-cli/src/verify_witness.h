/* The cosignatures that verify demands (c2sp.org/tlog-cosignature): of how many of which witnesses,
 * on a checkpoint of the log, or on the one in a bundle or a proof. */
#pragma once
#include "cli.h"
#include "pv/checkpoint.h"
#include "pv/cosignature.h"

enum { CLI_WITNESSES_MAX = 8 };

struct cli_witnesses {
    /* the command line */
    const char *key_file[CLI_WITNESSES_MAX];
    unsigned n;
    const char *cosigned[CLI_WITNESSES_MAX];
    unsigned n_cosigned; /* 0: log/checkpoint.cosigned in the state directory */
    uint64_t quorum;     /* 0: all of them */
    /* those that cosigned, what, and when; the same index */
    unsigned n_found;
    struct pv_cosigner_key witness[CLI_WITNESSES_MAX];
    struct pv_checkpoint checkpoint[CLI_WITNESSES_MAX];
    uint64_t time_s[CLI_WITNESSES_MAX];
    bool lacking; /* fewer did than are demanded, which is a verdict of its own */
};

/* Reads a witness's public key. */
PV_MUST_CHECK int cli_witness_key(const char *file, struct pv_cosigner_key *ret,
                                  struct pv_err *err);
/* Finds each witness's largest cosigned checkpoint of the log with that key. Negative with
 * w->lacking: too few. */
PV_MUST_CHECK int cli_witnesses_read(const struct cli *cli, struct cli_witnesses *w,
                                     const struct pv_note_key *log_key, struct pv_err *err);
/* The same for one note, which says checkpoint c. */
PV_MUST_CHECK int cli_witnesses_check(struct cli_witnesses *w, const void *note, size_t len,
                                      const struct pv_checkpoint *c, struct pv_err *err);
/* Nobody else vouches: a verdict of its own, whatever the rest looks like. The exit code. */
int cli_report_not_witnessed(struct cli *cli, const struct pv_err *err);
/* What was found, one line a witness; events: of the log, of which they cosigned so many. */
void cli_witnesses_print(const struct cli_witnesses *w, uint64_t events);
/* [{"name", "events", "time"}, …]. */
json_t *cli_witnesses_json(const struct cli_witnesses *w);
