/* An archive becomes a durable file before the log lets go of what it holds. */
#include "pv/archive.h"

#include "pv/limits.h"
#include "pv/own.h"
#include "pv/proof.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARCHIVE_MODE = 0640 };

/* What it holds may be read by those who may read the log, as far as it can be given to their
 * group, and by nobody else. */
static int restrict_to_readers(int fd, int log_fd, const char *name, struct pv_err *err)
{
    struct stat log;
    if (fstat(log_fd, &log) < 0)
        return pv_fail(err, errno, "look at the log directory");
    if (fchown(fd, (uid_t)-1, log.st_gid) < 0 && errno != EPERM)
        return pv_fail(err, errno, "give '%s' to the log's group", name);
    return fchmod(fd, ARCHIVE_MODE) < 0 ? pv_fail(err, errno, "protect '%s'", name) : 0;
}

/* Under another name until it is whole and durable. */
static int write_file(int dir_fd, const char *name, int log_fd, const struct pv_note_key *key,
                      struct pv_archive_info *info, struct pv_err *err)
{
    char tmp[PV_PATH_MAX];
    if (snprintf(tmp, sizeof tmp, ".%s.tmp", name) >= (int)sizeof tmp)
        return pv_refuse(err, EINVAL, "the name '%s' is too long", name);
    pv_autoclose int fd =
        openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return pv_fail(err, errno, "create '%s'", tmp);
    int rc = restrict_to_readers(fd, log_fd, name, err);
    if (rc == 0)
        rc = pv_archive_write(log_fd, key, info->first, info->end, fd, info, err);
    if (rc == 0 && fsync(fd) < 0)
        rc = pv_fail(err, errno, "write '%s'", name);
    if (rc == 0 && renameat(dir_fd, tmp, dir_fd, name) < 0)
        rc = pv_fail(err, errno, "create '%s'", name);
    if (rc == 0 && fsync(dir_fd) < 0)
        rc = pv_fail(err, errno, "sync the directory of '%s'", name);
    if (rc < 0)
        (void)unlinkat(dir_fd, tmp, 0);
    return rc;
}

int pv_archive_is_of(const struct pv_archive_info *info, int log_fd, struct pv_err *err)
{
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    uint8_t root[PV_HASH_BYTES];
    PV_TRY(pv_tree_reader_open(&r, log_fd, info->end, err));
    PV_TRY(pv_tree_root(r, root, err));
    if (memcmp(root, info->root, sizeof root) != 0)
        return pv_refuse(err, EBADMSG, "the archive's entries are not those of this log");
    return 0;
}

int pv_archive_store(int dir_fd, const char *name, int log_fd, const struct pv_note_key *key,
                     struct pv_archive_info *info, struct pv_err *err)
{
    struct pv_archive_info found;
    pv_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return write_file(dir_fd, name, log_fd, key, info, err);
    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", name);
    struct pv_err why = PV_ERR_INIT;
    int rc = pv_archive_check(fd, key, &found, &why);
    if (rc < 0)
        return pv_refuse(err, EEXIST,
                         "'%s' exists already, and is no archive of this log (%s): name another "
                         "file, or remove this one",
                         name, why.text);
    /* Of an earlier run that came through, which is asked for again. */
    bool gone = found.end <= info->first && info->first >= info->end;
    if (!gone && (found.first != info->first || found.end > info->end))
        return pv_refuse(err, EEXIST,
                         "'%s' exists already, and holds e%" PRIu64 " to e%" PRIu64
                         ": name another file",
                         name, found.first, found.end - 1);
    if (pv_archive_is_of(&found, log_fd, &why) < 0)
        return pv_refuse(err, EEXIST, "'%s' exists already, and %s: name another file", name,
                         why.text);
    if (fsync(fd) < 0 || fsync(dir_fd) < 0)
        return pv_fail(err, errno, "sync '%s'", name);
    *info = found;
    return 0;
}
