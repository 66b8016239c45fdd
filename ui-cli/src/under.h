/* Which checkpoint bundles and proofs are made under. */
#pragma once
#include "cli.h"
#include "pv/published.h"
#include "verify_witness.h"

/* What the command line says of it. */
struct cli_under {
    const char *key_file; /* or NULL: the state directory's */
    const char *cosigned[CLI_WITNESSES_MAX];
    unsigned n_cosigned; /* 0: log/checkpoint.cosigned, when it is there and good */
};
/* Takes --key and --cosigned; ARGP_ERR_UNKNOWN for every other key. */
enum { CLI_OPT_UNDER_KEY = 0x200, CLI_OPT_UNDER_COSIGNED };
error_t cli_under_parse(struct cli_under *u, int key, char *arg, struct argp_state *state);
#define CLI_UNDER_OPTIONS                                                                          \
    {"key",                                                                                        \
     CLI_OPT_UNDER_KEY,                                                                            \
     "PUB",                                                                                        \
     0,                                                                                            \
     "The log's public key, kept where an attacker cannot change it",                              \
     1},                                                                                           \
    {                                                                                              \
        "cosigned", CLI_OPT_UNDER_COSIGNED, "FILE", 0,                                             \
            "A checkpoint that a witness cosigned, to be used when it covers what is asked for; "  \
            "may be repeated (log/checkpoint.cosigned in the state directory)",                    \
            1                                                                                      \
    }

/* The checkpoint with the most cosignatures that covers entry seq, else the published one. */
PV_MUST_CHECK int cli_under_read(const struct cli *cli, const struct cli_under *u, int log_fd,
                                 const struct pv_note_key *key, uint64_t seq,
                                 struct pv_signed_checkpoint *ret, struct pv_err *err);
