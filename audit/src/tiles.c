#include "tiles.h"

#include "pv/io.h"
#include "pv/merkle.h"
#include "pv/own.h"
#include "pv/tile.h"
#include "workers.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BUNDLE_BYTES_MAX = PV_TILE_WIDTH * (2 + PV_LOG_ENTRY_MAX),
    SEGMENT_BUNDLES = PV_LOG_SEGMENT_ENTRIES / PV_TILE_WIDTH,
};

struct level {
    unsigned n; /* hashes of the tile that is not full yet */
    uint64_t tile;
    uint8_t hash[PV_TILE_WIDTH][PV_HASH_BYTES];
};
struct sync {
    struct pv_job job;
    int dir_fd;       /* borrowed */
    uint64_t bundles; /* that were there when it began */
    int error;        /* an errno, once it is done */
};
struct pv_tiles {
    int dir_fd;                    /* owned */
    struct pv_log_reader *journal; /* owned */
    struct pv_buf bundle;          /* framed entries since the last full bundle */
    struct level level[PV_TILE_LEVELS];
    uint64_t size;             /* entries taken in */
    uint64_t durable;          /* bundles that are on the disk with all above them */
    struct pv_workers *worker; /* owned: a thread, for nobody else waits so long */
    struct sync sync;
    bool syncing;
};
PV_DEFINE_CLEANUP(struct pv_tiles, pv_tiles_free)

void pv_tiles_free(struct pv_tiles *t)
{
    if (!t)
        return;
    if (t->syncing)
        pv_workers_wait(t->worker, &t->sync.job);
    pv_workers_free(t->worker);
    pv_log_reader_free(t->journal);
    pv_buf_done(&t->bundle);
    if (t->dir_fd >= 0)
        (void)close(t->dir_fd);
    free(t);
}

static int make_directories(int dir_fd, const char *path, struct pv_err *err)
{
    char dir[PV_TILE_PATH_MAX];
    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(dir, sizeof dir, "%.*s", (int)(slash - path), path);
        if (mkdirat(dir_fd, dir, 0755) < 0 && errno != EEXIST)
            return pv_fail(err, errno, "create the directory '%s'", dir);
    }
    return 0;
}

static int fill_new(int dir_fd, const char *path, const void *p, size_t len, struct pv_err *err)
{
    pv_autoclose int fd =
        openat(dir_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return pv_fail(err, errno, "create '%s'", path);
    int rc = pv_write_all(fd, p, len, err);
    if (rc == 0 && fchmod(fd, 0644) < 0)
        rc = pv_fail(err, errno, "write '%s'", path);
    return rc;
}

/* A file is made once. It is there already only after a crash, and made again then: what a failed
 * sync left unwritten would look written. */
static int put_file(int dir_fd, const char *path, const void *p, size_t len, struct pv_err *err)
{
    int rc = fill_new(dir_fd, path, p, len, err);
    if (rc == -ENOENT) {
        PV_TRY(make_directories(dir_fd, path, err));
        rc = fill_new(dir_fd, path, p, len, err);
    }
    if (rc == -EEXIST) {
        if (unlinkat(dir_fd, path, 0) < 0)
            return pv_fail(err, errno, "remove the old '%s'", path);
        rc = fill_new(dir_fd, path, p, len, err);
    }
    if (rc < 0 && rc != -EEXIST)
        (void)unlinkat(dir_fd, path, 0);
    return rc;
}

static inline void close_dir(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

/* The partial tiles of a tile that is full now. */
static void drop_partials(int dir_fd, int level, uint64_t n)
{
    char path[PV_TILE_PATH_MAX];
    pv_tile_path(level, n, 1, path);
    *strrchr(path, '/') = 0;
    int fd = openat(dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    __attribute__((cleanup(close_dir))) DIR *d = fd < 0 ? NULL : fdopendir(fd);
    for (const struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (e->d_name[0] != '.')
            (void)unlinkat(fd, e->d_name, 0);
    if (d)
        (void)unlinkat(dir_fd, path, AT_REMOVEDIR);
    else if (fd >= 0)
        (void)close(fd);
}

static int put_tile(struct pv_tiles *t, int level, unsigned width, struct pv_err *err)
{
    char path[PV_TILE_PATH_MAX];
    const struct level *l = &t->level[level];
    pv_tile_path(level, l->tile, width, path);
    PV_TRY(put_file(t->dir_fd, path, l->hash, width * (size_t)PV_HASH_BYTES, err));
    if (width == PV_TILE_WIDTH)
        drop_partials(t->dir_fd, level, l->tile);
    return 0;
}

static int put_bundle(struct pv_tiles *t, struct pv_err *err)
{
    char path[PV_TILE_PATH_MAX];
    pv_tile_path(PV_TILE_ENTRIES, t->level[0].tile, PV_TILE_WIDTH, path);
    PV_TRY(pv_buf_check(&t->bundle, "bundle of entries", err));
    PV_TRY(put_file(t->dir_fd, path, t->bundle.data, t->bundle.len, err));
    drop_partials(t->dir_fd, PV_TILE_ENTRIES, t->level[0].tile);
    return 0;
}

/* The entry stays in the bundle at hand until all that it completes is written. */
static int take(struct pv_tiles *t, struct pv_err *err)
{
    struct pv_log_entry e;
    struct level *l = &t->level[0];
    int rc = pv_log_reader_next(t->journal, &e, err);
    PV_TRY(rc);
    if (rc == 0)
        return pv_refuse(err, EBADMSG, "the journal ends at entry %ju", (uintmax_t)t->size);
    pv_buf_u16(&t->bundle, (uint16_t)e.len);
    pv_buf_raw(&t->bundle, e.bytes, e.len);
    pv_leaf_hash(e.bytes, e.len, l->hash[l->n++]);
    t->size++;
    return 0;
}

/* A full tile goes up a level as one hash. */
static void promote(struct pv_tiles *t, int level)
{
    struct level *l = &t->level[level], *up = l + 1;
    pv_tile_root((const uint8_t(*)[PV_HASH_BYTES])l->hash, PV_TILE_WIDTH, up->hash[up->n++]);
    l->n = 0;
    l->tile++;
}

/* Writes what is full, which then goes up a level as one hash. State changes only once the files
 * are there, so a failure is made good by the next call. */
static int settle(struct pv_tiles *t, struct pv_err *err)
{
    for (int level = 0; level + 1 < PV_TILE_LEVELS; level++) {
        if (t->level[level].n < PV_TILE_WIDTH)
            continue;
        if (level == 0)
            PV_TRY(put_bundle(t, err));
        PV_TRY(put_tile(t, level, PV_TILE_WIDTH, err));
        promote(t, level);
        if (level == 0)
            pv_buf_reset(&t->bundle);
    }
    return 0;
}

void pv_tiles_seed(struct pv_tiles *t, const uint8_t leaf[PV_HASH_BYTES])
{
    struct level *l = &t->level[0];
    memcpy(l->hash[l->n++], leaf, PV_HASH_BYTES);
    t->size++;
    for (int level = 0; level + 1 < PV_TILE_LEVELS && t->level[level].n == PV_TILE_WIDTH; level++)
        promote(t, level);
}

int pv_tiles_resume(struct pv_tiles *t, struct pv_tree_reader *r, uint64_t size, struct pv_err *err)
{
    assert(t->size == 0 && size % PV_TILE_WIDTH == 0);
    for (int level = 0; level < PV_TILE_LEVELS; level++) {
        int n = pv_tree_last_tile(r, level, t->level[level].hash, err);
        PV_TRY(n);
        t->level[level].n = (unsigned)n;
        t->level[level].tile = (size >> (8 * level)) / PV_TILE_WIDTH;
    }
    t->size = size;
    return 0;
}

int pv_tiles_start(struct pv_tiles *t, struct pv_err *err)
{
    assert(t->size % PV_TILE_WIDTH == 0);
    t->durable = t->size / PV_TILE_WIDTH;
    return pv_log_reader_open(&t->journal, t->dir_fd, t->size, err);
}

int pv_tiles_advance(struct pv_tiles *t, uint64_t size, struct pv_err *err)
{
    PV_TRY(settle(t, err));
    while (t->size < size) {
        PV_TRY(take(t, err));
        PV_TRY(settle(t, err));
    }
    return 0;
}

int pv_tiles_publish(struct pv_tiles *t, uint64_t size, struct pv_err *err)
{
    char path[PV_TILE_PATH_MAX];
    PV_TRY(pv_tiles_advance(t, size, err));
    if (t->level[0].n) {
        pv_tile_path(PV_TILE_ENTRIES, t->level[0].tile, t->level[0].n, path);
        PV_TRY(pv_buf_check(&t->bundle, "bundle of entries", err));
        PV_TRY(put_file(t->dir_fd, path, t->bundle.data, t->bundle.len, err));
    }
    for (int level = 0; level < PV_TILE_LEVELS; level++)
        if (t->level[level].n)
            PV_TRY(put_tile(t, level, t->level[level].n, err));
    return 0;
}

static void sync_all(struct pv_job *job)
{
    struct sync *s = (struct sync *)job;
    s->error = syncfs(s->dir_fd) < 0 ? errno : 0;
}

/* After a failed sync the kernel may have dropped what it could not write: no trying again. */
static int sync_done(struct pv_tiles *t, struct pv_err *err)
{
    t->syncing = false;
    if (t->sync.error)
        return pv_refuse(err, EIO, "sync the log's tiles: %s", strerror(t->sync.error));
    t->durable = t->sync.bundles;
    return 0;
}

static void begin_sync(struct pv_tiles *t)
{
    t->sync = (struct sync){
        .job.run = sync_all, .dir_fd = t->dir_fd, .bundles = t->level[0].tile};
    t->syncing = true;
    pv_workers_submit(t->worker, &t->sync.job);
}

int pv_tiles_sync(struct pv_tiles *t, bool begin, struct pv_err *err)
{
    /* for less nothing could be let go */
    bool worth = t->durable / SEGMENT_BUNDLES < t->level[0].tile / SEGMENT_BUNDLES;

    if (begin && worth && !t->syncing)
        begin_sync(t);
    return t->syncing && pv_workers_done(t->worker, &t->sync.job) ? sync_done(t, err) : 0;
}

uint64_t pv_tiles_durable(const struct pv_tiles *t)
{
    return t->durable * PV_TILE_WIDTH;
}

int pv_tiles_new(struct pv_tiles **ret, int dir_fd, struct pv_err *err)
{
    PV_CLEANUP(pv_tiles_free) struct pv_tiles *t = calloc(1, sizeof *t);
    if (!t)
        return pv_fail(err, ENOMEM, "allocate the log's tiles");
    pv_buf_init(&t->bundle, BUNDLE_BYTES_MAX);
    t->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    if (t->dir_fd < 0)
        return pv_fail(err, errno, "duplicate the log directory");
    if (pv_workers_new(&t->worker, 1, err) < 0)
        PV_TRY(pv_workers_new(&t->worker, 0, err)); /* it then syncs itself */
    *ret = PV_TAKE_PTR(t);
    return 0;
}
