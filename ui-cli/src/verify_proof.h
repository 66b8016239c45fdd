/* provost verify --proof: one entry and its proof, by a public key alone. */
#pragma once
#include "cli.h"
#include "pv/note.h"

/* Prints what the proof shows; the exit code. */
int cli_verify_proof(struct cli *cli, const char *proof_file, const char *entry_file,
                     const struct pv_note_key *key);
