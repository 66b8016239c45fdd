/* provost verify --proof: one entry and its proof, by a public key alone. */
#pragma once
#include "cli.h"
#include "pv/note.h"
#include "verify_witness.h"

/* Prints what the proof shows; its checkpoint must have the cosignatures that are demanded. The
 * exit code. */
int cli_verify_proof(struct cli *cli, const char *proof_file, const char *entry_file,
                     const struct pv_note_key *key, struct cli_witnesses *witnesses);
