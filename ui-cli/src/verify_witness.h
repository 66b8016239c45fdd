/* The cosigned checkpoint that verify demands (c2sp.org/tlog-cosignature). */
#pragma once
#include "cli.h"
#include "pv/checkpoint.h"
#include "pv/cosignature.h"

struct cli_cosigned {
    struct pv_cosigner_key witness;
    struct pv_checkpoint checkpoint;
    uint64_t time_s; /* of the cosignature */
};
/* Reads a witness's public key. */
PV_MUST_CHECK int cli_witness_key(const char *file, struct pv_cosigner_key *ret,
                                  struct pv_err *err);
/* Reads the cosigned checkpoint of the log with that key from file, or from the state directory's
 * log when file is NULL. -ENOKEY, -EKEYREJECTED, -EBADMSG and -ENOENT: it is not witnessed. */
PV_MUST_CHECK int cli_cosigned_read(const struct cli *cli, const char *file,
                                    const char *witness_file, const struct pv_note_key *log_key,
                                    struct cli_cosigned *ret, struct pv_err *err);
