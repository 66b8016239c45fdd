/* Entries are read from the journal, and from the bundles once the journal has let go of them. */
#include "pv/log_reader.h"

#include "detached.h"
#include "framed.h"
#include "log_files.h"

#include "pv/own.h"
#include "pv/tile.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

struct pv_log_reader {
    int dir_fd; /* owned */
    struct pv_framed file;
    uint64_t seq;
    uint64_t end;    /* first entry that is not in the file at hand; = seq: none is open */
    bool in_journal; /* the file is a segment of it */
};
PV_DEFINE_CLEANUP(struct pv_log_reader, pv_log_reader_free)

/* Segments by number; anything else in the directory is not looked at. */
static bool segment_number(const char *name, uint64_t *ret)
{
    char canonical[32], *end;
    *ret = strtoull(name, &end, 10);
    snprintf(canonical, sizeof canonical, "%06ju", (uintmax_t)*ret);
    return strcmp(name, canonical) == 0;
}

int pv_log_journal(int dir_fd, uint64_t *ret_first, uint64_t *ret_last, struct pv_err *err)
{
    uint64_t first = UINT64_MAX, last = 0, n;
    int fd = openat(dir_fd, PV_LOG_JOURNAL_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        int rc = pv_fail(err, errno, "open the log's journal");
        if (fd >= 0)
            (void)close(fd);
        return rc;
    }
    for (struct dirent *e; (e = readdir(d));) {
        if (!segment_number(e->d_name, &n))
            continue;
        first = n < first ? n : first;
        last = n > last ? n : last;
    }
    (void)closedir(d);
    if (first > last)
        return pv_refuse(err, ENOENT, "the log's journal is empty");
    *ret_first = first;
    *ret_last = last;
    return 0;
}

int pv_log_written(int dir_fd, uint64_t *ret, struct pv_err *err)
{
    uint64_t first, last;
    char name[PV_LOG_SEGMENT_NAME_MAX];
    struct stat st;
    PV_TRY(pv_log_journal(dir_fd, &first, &last, err));
    snprintf(name, sizeof name, PV_LOG_LEAVES_FORMAT, (uintmax_t)last);
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return pv_fail(err, errno, "look at '%s' of the log", name);
    *ret = last * PV_LOG_SEGMENT_ENTRIES + (uint64_t)st.st_size / PV_HASH_BYTES;
    return 0;
}

static int open_file(struct pv_log_reader *r, const char *name, uint64_t entries,
                     struct pv_err *err)
{
    int fd = openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : pv_fail(err, errno, "open '%s' of the log", name);
    pv_framed_switch(&r->file, fd, 0);
    r->end = r->seq - r->seq % entries + entries;
    return 1;
}

/* Goes to where the entry stands, n behind the beginning of the file just opened. */
static int skip_to(struct pv_log_reader *r, uint64_t n, struct pv_err *err)
{
    const uint8_t *p;
    size_t len;
    for (; n > 0; n--) {
        int rc = pv_framed_next(&r->file, &p, &len, err);
        if (rc <= 0)
            return rc;
    }
    return 1;
}

static int open_archive(struct pv_log_reader *r, uint64_t *ret_skip, struct pv_err *err)
{
    uint64_t offset, first, end;
    int fd;
    int rc = pv_archive_find(r->dir_fd, r->seq, &fd, &offset, &first, &end, err);
    if (rc <= 0)
        return rc;
    pv_framed_switch(&r->file, fd, offset);
    r->end = end;
    *ret_skip = r->seq - first;
    return 1;
}

/* 1 = the file that holds the next entry is open there, 0 = there is none (yet). */
static int open_next(struct pv_log_reader *r, struct pv_err *err)
{
    char name[PV_TILE_PATH_MAX];
    uint64_t entries = PV_LOG_SEGMENT_ENTRIES;
    snprintf(name, sizeof name, PV_LOG_SEGMENT_FORMAT, (uintmax_t)(r->seq / entries));
    int rc = open_file(r, name, entries, err);
    r->in_journal = rc > 0;
    if (rc == 0) {
        entries = PV_TILE_WIDTH;
        pv_tile_path(PV_TILE_ENTRIES, r->seq / entries, PV_TILE_WIDTH, name);
        rc = open_file(r, name, entries, err);
    }
    uint64_t skip = r->seq % entries;
    if (rc == 0)
        rc = open_archive(r, &skip, err);
    if (rc > 0)
        rc = skip_to(r, skip, err);
    if (rc <= 0) {
        pv_framed_switch(&r->file, -1, 0);
        r->end = r->seq;
        r->in_journal = false;
    }
    return rc;
}

int pv_log_reader_open(struct pv_log_reader **ret, int dir_fd, uint64_t from, struct pv_err *err)
{
    PV_CLEANUP(pv_log_reader_free) struct pv_log_reader *r = calloc(1, sizeof *r);
    struct pv_log_entry before;
    uint64_t detached;
    if (!r)
        return pv_fail(err, ENOMEM, "allocate a log reader");
    r->file.fd = -1;
    r->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    if (r->dir_fd < 0)
        return pv_fail(err, errno, "duplicate the log directory");
    PV_TRY(pv_framed_init(&r->file, -1, 0, PV_LOG_ENTRY_MAX, err));
    PV_TRY(pv_log_detached(dir_fd, &detached, err));
    r->seq = r->end = from > detached ? from - 1 : from;
    int rc = from > detached ? pv_log_reader_next(r, &before, err) : 1;
    PV_TRY(rc);
    if (rc == 0)
        return pv_refuse(err, ESTALE, "the log has fewer entries than %ju", (uintmax_t)from);
    *ret = PV_TAKE_PTR(r);
    return 0;
}

int pv_log_reader_next(struct pv_log_reader *r, struct pv_log_entry *ret, struct pv_err *err)
{
    const uint8_t *p;
    size_t len;
    int rc = r->seq < r->end ? 1 : open_next(r, err);
    if (rc > 0)
        rc = pv_framed_next(&r->file, &p, &len, err);
    if (rc < 0)
        return pv_wrap(err, rc, "entry %ju", (uintmax_t)r->seq);
    if (rc == 0)
        return 0;
    if (len <= PV_TAG_BYTES)
        return pv_refuse(err, EBADMSG, "entry %ju is too short", (uintmax_t)r->seq);
    *ret = (struct pv_log_entry){.seq = r->seq,
                                 .bytes = p,
                                 .len = len,
                                 .event = p,
                                 .event_len = len - PV_TAG_BYTES,
                                 .tag = p + len - PV_TAG_BYTES};
    r->seq++;
    return 1;
}

void pv_log_reader_skip(struct pv_log_reader *r, uint64_t seq)
{
    pv_framed_switch(&r->file, -1, 0);
    r->seq = r->end = seq;
    r->in_journal = false;
}

int pv_log_reader_next_held(struct pv_log_reader *r, uint64_t detached, struct pv_log_entry *ret,
                            struct pv_err *err)
{
    int rc;
    while ((rc = pv_log_reader_next(r, ret, err)) == 0 && r->seq < detached)
        pv_log_reader_skip(r, r->seq - r->seq % PV_TILE_WIDTH + PV_TILE_WIDTH);
    return rc;
}

uint64_t pv_log_reader_seq(const struct pv_log_reader *r)
{
    return r->seq;
}

void pv_log_reader_place(const struct pv_log_reader *r, uint64_t *ret_segment, uint64_t *ret_offset)
{
    *ret_segment = r->seq / PV_LOG_SEGMENT_ENTRIES;
    *ret_offset = r->seq < r->end && r->in_journal ? pv_framed_offset(&r->file) : 0;
}

bool pv_log_is_live(int dir_fd)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    pv_autoclose int fd = openat(dir_fd, PV_LOG_CHECKPOINTS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool pv_log_look_again(int dir_fd, unsigned *round)
{
    enum { ROUNDS = 50, WAIT_NS = 20 * 1000 * 1000 };
    const struct timespec wait = {.tv_nsec = WAIT_NS};
    if (*round >= ROUNDS)
        return false;
    if (pv_log_is_live(dir_fd)) {
        (void)nanosleep(&wait, NULL);
        ++*round;
    } else {
        *round = ROUNDS; /* whoever wrote it may have ended just now */
    }
    return true;
}

bool pv_log_reader_look_again(const struct pv_log_reader *r, unsigned *round)
{
    return pv_log_look_again(r->dir_fd, round);
}

size_t pv_log_reader_torn(const struct pv_log_reader *r)
{
    return pv_framed_torn(&r->file);
}

void pv_log_reader_free(struct pv_log_reader *r)
{
    if (!r)
        return;
    pv_framed_done(&r->file);
    if (r->dir_fd >= 0)
        (void)close(r->dir_fd);
    free(r);
}

struct pv_checkpoint_reader {
    struct pv_framed file;
};

int pv_checkpoint_reader_open(struct pv_checkpoint_reader **ret, int dir_fd, uint64_t offset,
                              struct pv_err *err)
{
    pv_autofree struct pv_checkpoint_reader *r = calloc(1, sizeof *r);
    if (!r)
        return pv_fail(err, ENOMEM, "allocate a checkpoint reader");
    pv_autoclose int fd = openat(dir_fd, PV_LOG_CHECKPOINTS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return pv_fail(err, errno, "open the checkpoints");
    PV_TRY(pv_framed_init(&r->file, fd, offset, PV_NOTE_MAX, err));
    fd = -1;
    *ret = PV_TAKE_PTR(r);
    return 0;
}

enum { LATE_BYTES = 1 << 16 };

/* Whether whole notes of that origin, and at the end perhaps a torn one, are all there is from at
 * on. */
static bool notes_from(const uint8_t *p, size_t len, size_t at, const char *origin)
{
    size_t word = strlen(origin);
    unsigned whole = 0;
    while (len - at >= PV_FRAME_HEAD_BYTES) {
        size_t n = (size_t)p[at] << 8 | p[at + 1];
        if (n <= word || n > PV_NOTE_MAX)
            return false;
        if (len - at - PV_FRAME_HEAD_BYTES < n)
            break;
        at += PV_FRAME_HEAD_BYTES;
        if (memcmp(p + at, origin, word) != 0 || p[at + word] != '\n')
            return false;
        at += n;
        whole++;
    }
    return whole > 0;
}

/* Where in the file one of the last notes begins; 0 when that cannot be told. */
static uint64_t late_note(int dir_fd, const char *origin)
{
    struct stat st;
    pv_autofree uint8_t *p = malloc(LATE_BYTES);
    pv_autoclose int fd = openat(dir_fd, PV_LOG_CHECKPOINTS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (!p || fd < 0 || fstat(fd, &st) < 0 || st.st_size <= LATE_BYTES)
        return 0;
    uint64_t start = (uint64_t)st.st_size - LATE_BYTES;
    ssize_t n = pread(fd, p, LATE_BYTES, (off_t)start);
    for (size_t at = 0; n > 0 && at < (size_t)n && at < 2 * PV_NOTE_MAX; at++)
        if (notes_from(p, (size_t)n, at, origin))
            return start + at;
    return 0;
}

int pv_checkpoint_reader_open_late(struct pv_checkpoint_reader **ret, int dir_fd,
                                   const char *origin, struct pv_err *err)
{
    return pv_checkpoint_reader_open(ret, dir_fd, late_note(dir_fd, origin), err);
}

int pv_checkpoint_reader_next(struct pv_checkpoint_reader *r, const uint8_t **ret_note,
                              size_t *ret_len, struct pv_err *err)
{
    int rc = pv_framed_next(&r->file, ret_note, ret_len, err);
    return rc < 0 ? pv_wrap(err, rc, "checkpoints") : rc;
}

uint64_t pv_checkpoint_reader_offset(const struct pv_checkpoint_reader *r)
{
    return pv_framed_offset(&r->file);
}

size_t pv_checkpoint_reader_torn(const struct pv_checkpoint_reader *r)
{
    return pv_framed_torn(&r->file);
}

void pv_checkpoint_reader_free(struct pv_checkpoint_reader *r)
{
    if (!r)
        return;
    pv_framed_done(&r->file);
    free(r);
}
