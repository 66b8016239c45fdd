/* Where a log's static files (c2sp.org/tlog-tiles) come from: a directory, or a web server. */
#pragma once
#include "pv/buf.h"

struct pv_log_source {
    /* Appends the file at that path ("checkpoint", "tile/0/000", …) to out. -ENOENT: there is none.
     * Nothing about the bytes is to be believed. */
    int (*read)(void *ctx, const char *path, struct pv_buf *out, struct pv_err *err);
    void *ctx;
};

/* Reads files under the directory *dir_fd, which is borrowed as long as the source is used. */
struct pv_log_source pv_log_source_dir(const int *dir_fd);
