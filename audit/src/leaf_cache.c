#include "pv/leaf_cache.h"

#include "log_files.h"

#include "pv/log_reader.h"
#include "pv/own.h"
#include "pv/tile.h"

#include <fcntl.h>
#include <stdio.h>

struct pv_leaf_cache {
    int dir_fd;     /* owned */
    uint64_t first; /* index of the first hash in buf */
    size_t n;       /* hashes in buf */
    uint8_t buf[PV_TILE_BYTES];
};

int pv_leaf_cache_open(struct pv_leaf_cache **ret, int dir_fd, struct pv_err *err)
{
    pv_autofree struct pv_leaf_cache *c = calloc(1, sizeof *c);
    if (!c)
        return pv_fail(err, ENOMEM, "allocate the cache of leaves");
    c->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    if (c->dir_fd < 0)
        return pv_fail(err, errno, "duplicate the log directory");
    *ret = PV_TAKE_PTR(c);
    return 0;
}

/* Hashes of the file at offset; 0 when there are none. */
static size_t read_hashes(struct pv_leaf_cache *c, const char *path, uint64_t offset)
{
    pv_autoclose int fd = openat(c->dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? 0 : pread(fd, c->buf, sizeof c->buf, (off_t)offset);
    return n > 0 ? (size_t)n / PV_HASH_BYTES : 0;
}

static void load(struct pv_leaf_cache *c, uint64_t i)
{
    char path[PV_TILE_PATH_MAX];
    uint64_t tile = i / PV_TILE_WIDTH;
    c->first = tile * PV_TILE_WIDTH;
    pv_tile_path(0, tile, PV_TILE_WIDTH, path);
    c->n = read_hashes(c, path, 0);
    if (c->n == PV_TILE_WIDTH)
        return;
    snprintf(path, sizeof path, PV_LOG_LEAVES_FORMAT, (uintmax_t)(i / PV_LOG_SEGMENT_ENTRIES));
    c->n = read_hashes(c, path, c->first % PV_LOG_SEGMENT_ENTRIES * PV_HASH_BYTES);
}

const uint8_t *pv_leaf_cache_get(struct pv_leaf_cache *c, uint64_t i)
{
    if (i < c->first || i >= c->first + c->n)
        load(c, i);
    return i < c->first + c->n ? c->buf + (i - c->first) * PV_HASH_BYTES : NULL;
}

void pv_leaf_cache_free(struct pv_leaf_cache *c)
{
    if (!c)
        return;
    (void)close(c->dir_fd);
    free(c);
}
