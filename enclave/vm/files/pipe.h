/* Pipes: a ring of pages that are filled and merged as the kernel does, so that how much fits is
 * the same. */
#pragma once
#include "files/file.h"

/* An open file of a pipe's node takes part in the pipe. */
PV_MUST_CHECK int pv_pipe_join(struct pv_files *f, pv_ref file);
int64_t pv_pipe_size(struct pv_files *f, pv_ref file, bool set, unsigned bytes);
extern const struct pv_file_ops pv_pipe_ops;
