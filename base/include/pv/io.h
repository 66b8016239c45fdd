/* Whole reads and writes, and files that are replaced in one step. */
#pragma once
#include "pv/buf.h"

#include <stddef.h>
#include <sys/types.h>

/* Writes all len bytes, resuming after signals and short writes. */
PV_MUST_CHECK int pv_write_all(int fd, const void *p, size_t len, struct pv_err *err);
/* Reads the file name under dir_fd into b (appends); -EMSGSIZE past b's ceiling. */
PV_MUST_CHECK int pv_read_file_at(int dir_fd, const char *name, struct pv_buf *b,
                                  struct pv_err *err);
/* Puts in front of the error of a write that found no room which directory is to have some. Returns
 * rc, which is any result. */
int pv_wrap_full(struct pv_err *err, int rc, const char *state_dir);
/* Replaces name under dir_fd: temporary file, fsync, rename, fsync of the directory. */
PV_MUST_CHECK int pv_replace_file_at(int dir_fd, const char *name, const void *p, size_t len,
                                     mode_t mode, struct pv_err *err);
