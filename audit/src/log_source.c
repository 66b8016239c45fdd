#include "pv/log_source.h"

#include "pv/io.h"

#include <stdint.h>

static int read_file(void *ctx, const char *path, struct pv_buf *out, struct pv_err *err)
{
    const int *dir_fd = ctx;
    return pv_read_file_at(*dir_fd, path, out, err);
}

struct pv_log_source pv_log_source_dir(const int *dir_fd)
{
    return (struct pv_log_source){read_file, (void *)(uintptr_t)dir_fd};
}
