#include "logfile.h"

#include "pv/io.h"
#include "pv/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

void pv_log_file_init(struct pv_log_file *l, int fd)
{
    struct stat st;

    l->fd = fd;
    l->len_bytes = fstat(fd, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

/* Moves the last half to the front. A log that cannot be read starts over. */
static void rotate(struct pv_log_file *l)
{
    static const off_t half = PV_LOG_FILE_MAX / 2;
    int flags = fcntl(l->fd, F_GETFL);
    off_t from = (off_t)l->len_bytes - half, to = 0;
    char chunk[65536];

    /* under O_APPEND pwrite ignores its offset */
    if (flags >= 0 && (flags & O_ACCMODE) == O_RDWR &&
        fcntl(l->fd, F_SETFL, flags & ~O_APPEND) == 0)
        for (ssize_t n; (n = pread(l->fd, chunk, sizeof chunk, from)) > 0; from += n, to += n)
            if (pwrite(l->fd, chunk, (size_t)n, to) != n)
                break;
    if (ftruncate(l->fd, to) == 0)
        l->len_bytes = (uint64_t)to;
    if (flags >= 0)
        (void)fcntl(l->fd, F_SETFL, flags | O_APPEND);
}

static void write_line(struct pv_log_file *l, const struct pv_call_id *call, const char *text,
                       size_t len)
{
    char line[PV_LOG_LINE_MAX + 96], id[PV_CALL_ID_CHARS + 1] = "-";
    struct timespec now;
    struct tm tm;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    if (call && !pv_call_id_is_none(call))
        pv_call_id_print(call, id);
    size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(line + n, sizeof line - n, ".%03ldZ %s %.*s\n", now.tv_nsec / 1000000, id,
                          (int)len, text);
    if (l->len_bytes + n > PV_LOG_FILE_MAX)
        rotate(l);
    /* a full disk loses the function's own chatter, never an event */
    if (pv_write_all(l->fd, line, n, NULL) == 0)
        l->len_bytes += n;
}

void pv_log_lines_add(struct pv_log_file *l, struct pv_log_lines *lines,
                      const struct pv_call_id *call, const char *p, size_t len)
{
    lines->total_bytes += len;
    for (size_t i = 0; i < len; i++) {
        char c = p[i];

        if (c == '\n' || lines->len == sizeof lines->text) {
            write_line(l, call, lines->text, lines->len);
            lines->len = 0;
            if (c == '\n')
                continue;
        }
        /* a log is read on terminals */
        lines->text[lines->len++] = (char)((unsigned char)c < 0x20 && c != '\t' ? '?' : c);
    }
}

void pv_log_lines_end(struct pv_log_file *l, struct pv_log_lines *lines,
                      const struct pv_call_id *call)
{
    if (lines->len)
        write_line(l, call, lines->text, lines->len);
    lines->len = 0;
    lines->total_bytes = 0;
}
