#include "detached.h"

#include "log_files.h"
#include "text_lines.h"

#include "pv/io.h"
#include "pv/limits.h"
#include "pv/log_reader.h"
#include "pv/own.h"
#include "pv/tile.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int pv_log_detached(int dir_fd, uint64_t *ret, struct pv_err *err)
{
    pv_autobuf struct pv_buf text;
    struct pv_err why = PV_ERR_INIT;
    pv_buf_init(&text, 64);
    *ret = 0;
    int rc = pv_read_file_at(dir_fd, PV_LOG_DETACHED, &text, &why);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0 && rc != -EMSGSIZE)
        return pv_refuse(err, rc, "%s", why.text);
    uint64_t end;
    if (rc < 0 || text.len < 2 || text.data[text.len - 1] != '\n' ||
        !pv_parse_decimal((const char *)text.data, text.len - 1, &end) || end % PV_TILE_WIDTH != 0)
        return pv_refuse(err, EBADMSG, "the log's file '%s' is malformed", PV_LOG_DETACHED);
    *ret = end;
    return 0;
}

int pv_log_detachable(int dir_fd, uint64_t *ret, struct pv_err *err)
{
    uint64_t first, last;
    PV_TRY(pv_log_journal(dir_fd, &first, &last, err));
    *ret = first ? (first - 1) * PV_LOG_SEGMENT_ENTRIES : 0;
    return 0;
}

static bool bundle_exists(int dir_fd, uint64_t n)
{
    char path[PV_TILE_PATH_MAX];
    struct stat st;
    pv_tile_path(PV_TILE_ENTRIES, n, PV_TILE_WIDTH, path);
    return fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

uint64_t pv_detached_kept(int dir_fd, uint64_t end)
{
    uint64_t low = 0, high = end / PV_TILE_WIDTH;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (bundle_exists(dir_fd, middle))
            high = middle;
        else
            low = middle + 1;
    }
    return low * PV_TILE_WIDTH;
}

void pv_archive_name(uint64_t first, uint64_t end, char out[PV_ARCHIVE_NAME_MAX])
{
    snprintf(out, PV_ARCHIVE_NAME_MAX, PV_LOG_ARCHIVE_DIR "/%" PRIu64 "-%" PRIu64, first, end);
}

/* "FIRST-END"; anything else in the directory is not looked at. */
static bool parse_name(const char *name, uint64_t *ret_first, uint64_t *ret_end)
{
    const char *dash = strchr(name, '-');
    return dash && pv_parse_decimal(name, (size_t)(dash - name), ret_first) &&
           pv_parse_decimal(dash + 1, strlen(dash + 1), ret_end);
}

static bool find_name(int dir_fd, uint64_t seq, char out[PV_ARCHIVE_NAME_MAX])
{
    uint64_t first, end;
    bool found = false;
    int fd = openat(dir_fd, PV_LOG_ARCHIVE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        if (fd >= 0)
            (void)close(fd);
        return false;
    }
    for (struct dirent *e; !found && (e = readdir(d));)
        found = parse_name(e->d_name, &first, &end) && seq >= first && seq < end;
    (void)closedir(d);
    if (found)
        pv_archive_name(first, end, out);
    return found;
}

/* Moved away, most likely: what the name points to, and what to do. */
static int explain_open(int dir_fd, const char *name, int error, struct pv_err *err)
{
    char target[PV_PATH_MAX];
    ssize_t n = error == ENOENT ? readlinkat(dir_fd, name, target, sizeof target - 1) : -1;
    if (n < 0)
        return pv_fail(err, error, "open the attached archive '%s'", name);
    target[n] = 0;
    return pv_refuse(err, ENOENT,
                     "the attached archive '%s' is not there any more: 'provost audit attach FILE' "
                     "says where it is now, and removing the link 'log/%s' detaches it",
                     target, name);
}

int pv_archive_find(int dir_fd, uint64_t seq, int *ret_fd, uint64_t *ret_offset,
                    uint64_t *ret_first, uint64_t *ret_end, struct pv_err *err)
{
    char name[PV_ARCHIVE_NAME_MAX];
    struct stat st;
    if (!find_name(dir_fd, seq, name))
        return 0;
    /* An archive may stand on another disk, so the name may be a link to it. */
    pv_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return explain_open(dir_fd, name, errno, err);
    pv_autofree struct pv_archive_head *head = malloc(sizeof *head);
    pv_autofree char *text = malloc(PV_ARCHIVE_HEAD_MAX);
    if (!head || !text)
        return pv_fail(err, ENOMEM, "read the archive '%s'", name);
    ssize_t n =
        fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? pread(fd, text, PV_ARCHIVE_HEAD_MAX, 0) : -1;
    if (n < 0)
        return pv_refuse(err, EBADMSG, "the attached archive '%s' cannot be read", name);
    int rc = pv_archive_head_parse(text, (size_t)n, head, err);
    if (rc < 0)
        return pv_wrap(err, rc, "the attached archive '%s'", name);
    if (seq < head->first || seq >= head->end)
        return pv_refuse(err, EBADMSG, "the attached archive '%s' holds other entries", name);
    *ret_offset = head->bytes;
    *ret_first = head->first;
    *ret_end = head->end;
    *ret_fd = PV_TAKE_FD(fd);
    return 1;
}
