#include "input.h"

#include "pv/io.h"
#include "pv/own.h"
#include "pv/size.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int read_all(int fd, const char *name, struct pv_buf *b, struct pv_err *err)
{
    char piece[16384];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pv_fail(err, errno, "read '%s'", name);
        if (n == 0)
            return 0;
        pv_buf_raw(b, piece, (size_t)n);
        if (b->failed) {
            char size[PV_SIZE_TEXT];
            return pv_refuse(err, E2BIG, "'%s' is larger than %s, the most that is taken", name,
                             pv_size_text(b->max_bytes, size));
        }
    }
}

int cli_read_input(const char *name, struct pv_buf *b, struct pv_err *err)
{
    if (strcmp(name, "-") == 0)
        return read_all(STDIN_FILENO, "stdin", b, err);
    pv_autoclose int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", name);
    return read_all(fd, name, b, err);
}

int cli_read_data(const char *arg, struct pv_buf *b, struct pv_err *err)
{
    if (strcmp(arg, "-") == 0)
        return cli_read_input(arg, b, err);
    if (arg[0] == '@')
        return cli_read_input(arg + 1, b, err);
    pv_buf_raw(b, arg, strlen(arg));
    return pv_buf_check(b, "the data", err);
}

int cli_write_output(const char *name, const void *p, size_t len, struct pv_err *err)
{
    if (!name || strcmp(name, "-") == 0) {
        if (fwrite(p, 1, len, stdout) != len || fflush(stdout) != 0)
            return pv_fail(err, errno, "write to stdout");
        return 0;
    }
    pv_autoclose int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return pv_fail(err, errno, "create '%s'", name);
    return pv_write_all(fd, p, len, err);
}
