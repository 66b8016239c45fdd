/* Archives of old entries (docs/formats/archive.md) as the commands deal with them. */
#pragma once
#include "cli.h"

/* Checks an archive by the log's public key alone and says so; the exit code. */
int cli_verify_archive(struct cli *cli, const char *file, const char *key_file,
                       const char *rotations_file);
