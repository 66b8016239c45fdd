/* Makes a graph anew from its log and swaps it in. */
#include "db.h"

#include "pv/graph_follow.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BATCH = 20000 };

static int remove_with_journal(const char *path, struct pv_err *err)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    char name[PATH_MAX];
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, parts[i]);
        if (unlink(name) < 0 && errno != ENOENT)
            return pv_fail(err, errno, "remove '%s'", name);
    }
    return 0;
}

static int build(const char *path, int log_dir_fd, void (*progress)(void *ctx, uint64_t entries),
                 void *ctx, struct pv_err *err)
{
    PV_CLEANUP(pv_stitch_close) struct pv_stitch *s = NULL;
    PV_CLEANUP(pv_follow_close) struct pv_follow *f = NULL;
    int n;
    PV_TRY(pv_stitch_open(&s, path, err));
    PV_TRY(pv_follow_open(&f, s, log_dir_fd, err));
    do {
        n = pv_follow_step(f, BATCH, err);
        PV_TRY(n);
        PV_TRY(pv_stitch_commit(s, err));
        if (progress)
            progress(ctx, pv_stitch_next_seq(s));
    } while (n > 0);
    return 0;
}

/* All into one file, on disk: the journal's name would not survive the renaming. */
static int settle(const char *path, struct pv_err *err)
{
    {
        pv_autodb sqlite3 *db = NULL;
        PV_TRY(pv_db_open(&db, path, PV_DB_WRITE, err));
        PV_TRY(
            pv_db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE", err));
    }
    pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return pv_fail(err, errno, "write '%s'", path);
    return 0;
}

/* The new file belongs to whom the old one belonged to: the stitcher must be able to write it. */
static int keep_owner(const char *old, const char *fresh, struct pv_err *err)
{
    struct stat st;
    if (stat(old, &st) < 0)
        return errno == ENOENT ? 0 : pv_fail(err, errno, "look at '%s'", old);
    if (geteuid() == 0 && chown(fresh, st.st_uid, st.st_gid) < 0)
        return pv_fail(err, errno, "change the owner of '%s'", fresh);
    if (chmod(fresh, st.st_mode & 07777) < 0)
        return pv_fail(err, errno, "change the mode of '%s'", fresh);
    return 0;
}

int pv_graph_rebuild(const char *path, int log_dir_fd,
                     void (*progress)(void *ctx, uint64_t entries), void *ctx, struct pv_err *err)
{
    char fresh[PATH_MAX], journal[PATH_MAX];
    (void)snprintf(fresh, sizeof fresh, "%s.rebuild", path);
    PV_TRY(remove_with_journal(fresh, err));
    int rc = build(fresh, log_dir_fd, progress, ctx, err);
    if (rc < 0)
        return pv_wrap(err, rc, "rebuild the graph '%s'", path);
    PV_TRY(settle(fresh, err));
    PV_TRY(keep_owner(path, fresh, err));
    /* The old journal must not be applied to the new file. */
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(journal, sizeof journal, "%s%s", path, i ? "-shm" : "-wal");
        if (unlink(journal) < 0 && errno != ENOENT)
            return pv_fail(err, errno, "remove '%s'", journal);
    }
    if (rename(fresh, path) < 0)
        return pv_fail(err, errno, "put the new graph in place of '%s'", path);
    return 0;
}
