#include "tile_check.h"

#include "pv/leaf_cache.h"

#include "pv/io.h"
#include "pv/own.h"
#include "pv/proof.h"
#include "pv/tile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BUNDLE_BYTES_MAX = PV_TILE_WIDTH * (2 + PV_LOG_ENTRY_MAX) };

struct pv_tile_check {
    int dir_fd;                   /* owned */
    struct pv_leaf_cache *leaves; /* owned */
    uint64_t lagging, partial;
    uint64_t size;
    bool odd;     /* a file was found to be other than the entries give */
    bool missing; /* a full one that the published checkpoint promises is */
    struct pv_buf bundle;
    struct pv_buf file; /* what a file holds */
    char what[160];     /* was found odd */
    struct {
        unsigned n;
        uint64_t tile;
        uint8_t hash[PV_TILE_WIDTH][PV_HASH_BYTES];
    } level[PV_TILE_LEVELS];
};
PV_DEFINE_CLEANUP(struct pv_tile_check, pv_tile_check_free)

void pv_tile_check_free(struct pv_tile_check *c)
{
    if (!c)
        return;
    pv_leaf_cache_free(c->leaves);
    pv_buf_done(&c->bundle);
    pv_buf_done(&c->file);
    if (c->dir_fd >= 0)
        (void)close(c->dir_fd);
    free(c);
}

int pv_tile_check_new(struct pv_tile_check **ret, int dir_fd, uint64_t lagging, uint64_t partial,
                      struct pv_err *err)
{
    PV_CLEANUP(pv_tile_check_free) struct pv_tile_check *c = calloc(1, sizeof *c);
    if (!c)
        return pv_fail(err, ENOMEM, "allocate the check of tiles");
    pv_buf_init(&c->bundle, BUNDLE_BYTES_MAX);
    pv_buf_init(&c->file, BUNDLE_BYTES_MAX);
    c->lagging = lagging;
    c->partial = partial;
    c->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    if (c->dir_fd < 0)
        return pv_fail(err, errno, "duplicate the log directory");
    PV_TRY(pv_leaf_cache_open(&c->leaves, dir_fd, err));
    *ret = PV_TAKE_PTR(c);
    return 0;
}

int pv_tile_check_start(struct pv_tile_check *c, uint64_t first, struct pv_err *err)
{
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    PV_TRY(pv_tree_reader_open(&r, c->dir_fd, first, err));
    for (int level = 0; level < PV_TILE_LEVELS; level++) {
        int n = pv_tree_last_tile(r, level, c->level[level].hash, err);
        PV_TRY(n);
        c->level[level].n = (unsigned)n;
        c->level[level].tile = (first >> (8 * level)) / PV_TILE_WIDTH;
    }
    c->size = first;
    return 0;
}

static int compare_once(struct pv_tile_check *c, int level, uint64_t n, unsigned width,
                        bool may_lack, struct pv_err *err)
{
    char path[PV_TILE_PATH_MAX];
    const void *want = level < 0 ? c->bundle.data : c->level[level].hash[0];
    size_t len = level < 0 ? c->bundle.len : width * (size_t)PV_HASH_BYTES;
    struct pv_err why = PV_ERR_INIT;
    pv_tile_path(level, n, width, path);
    pv_buf_reset(&c->file);
    int rc = pv_read_file_at(c->dir_fd, path, &c->file, &why);
    if (rc == -ENOENT && may_lack) {
        c->missing |= width == PV_TILE_WIDTH && c->size <= c->partial;
        return 0;
    }
    if (rc == -ENOENT) {
        snprintf(c->what, sizeof c->what, "the file '%s' of the log is missing", path);
        return 1;
    }
    if (rc < 0 && rc != -EMSGSIZE) {
        if (err)
            *err = why;
        return rc;
    }
    if (rc == 0 && c->file.len == len && memcmp(c->file.data, want, len) == 0)
        return 0;
    snprintf(c->what, sizeof c->what, "the file '%s' is not what the log's entries give", path);
    return 1;
}

/* A file that may be missing still may be there by half: it is being written. Once one is not, the
 * log is not as it was written, and no other is waited for. */
static int compare(struct pv_tile_check *c, int level, uint64_t n, unsigned width, bool may_lack,
                   struct pv_err *err)
{
    size_t len = level < 0 ? c->bundle.len : width * (size_t)PV_HASH_BYTES;
    unsigned round = 0;
    int rc;
    do
        rc = compare_once(c, level, n, width, may_lack, err);
    while (rc > 0 && may_lack && !c->odd && c->file.len < len &&
           pv_log_look_again(c->dir_fd, &round));
    c->odd |= rc > 0;
    return rc;
}

static int check_full(struct pv_tile_check *c, const uint8_t root[PV_HASH_BYTES],
                      struct pv_err *err)
{
    bool may_lack = c->size > c->lagging;
    int rc = 0;
    for (int level = 0; level + 1 < PV_TILE_LEVELS && c->level[level].n == PV_TILE_WIDTH; level++) {
        uint64_t n = c->level[level].tile++;
        if (rc == 0 && level == 0 && may_lack) /* below, the entries were read from it */
            rc = compare(c, PV_TILE_ENTRIES, n, PV_TILE_WIDTH, may_lack, err);
        if (rc == 0)
            rc = compare(c, level, n, PV_TILE_WIDTH, may_lack, err);
        uint8_t *up = c->level[level + 1].hash[c->level[level + 1].n++];
        if (level == 0)
            memcpy(up, root, PV_HASH_BYTES);
        else
            pv_tile_root((const uint8_t(*)[PV_HASH_BYTES])c->level[level].hash, PV_TILE_WIDTH, up);
        c->level[level].n = 0;
    }
    if (c->level[0].n == 0)
        pv_buf_reset(&c->bundle);
    return rc;
}

/* Whether the file of entries that the next one belongs to is to be compared: not where the entries
 * are read from it. */
static bool wants_bundle(const struct pv_tile_check *c)
{
    return c->size >= c->lagging || c->size / PV_TILE_WIDTH == c->partial / PV_TILE_WIDTH;
}

int pv_tile_check_add(struct pv_tile_check *c, const struct pv_log_entry *entry,
                      const uint8_t leaf[PV_HASH_BYTES], const uint8_t root[PV_HASH_BYTES],
                      struct pv_err *err)
{
    memcpy(c->level[0].hash[c->level[0].n++], leaf, PV_HASH_BYTES);
    if (entry && wants_bundle(c)) {
        pv_buf_u16(&c->bundle, (uint16_t)entry->len);
        pv_buf_raw(&c->bundle, entry->bytes, entry->len);
    }
    PV_TRY(pv_buf_check(&c->bundle, "bundle of entries", err));
    const uint8_t *stored = c->size >= c->lagging ? pv_leaf_cache_get(c->leaves, c->size) : NULL;
    bool other = stored && memcmp(stored, leaf, PV_HASH_BYTES) != 0;
    c->size++;
    int rc = check_full(c, root, err);
    if (rc == 0 && other) {
        snprintf(c->what, sizeof c->what, "its stored leaf hash is another");
        rc = 1;
    }
    return rc;
}

bool pv_tile_check_missing(const struct pv_tile_check *c)
{
    return c->missing ||
           (c->partial > 0 && faccessat(c->dir_fd, "tile", F_OK, 0) < 0 && errno == ENOENT);
}

const char *pv_tile_check_what(const struct pv_tile_check *c)
{
    return c->what;
}

int pv_tile_check_partial(struct pv_tile_check *c, struct pv_err *err)
{
    /* Once a tile is full its partial ones go, at whatever moment this looks. */
    int rc = 0;
    if (c->level[0].n)
        rc = compare(c, PV_TILE_ENTRIES, c->level[0].tile, c->level[0].n, true, err);
    for (int level = 0; rc == 0 && level < PV_TILE_LEVELS; level++)
        if (c->level[level].n)
            rc = compare(c, level, c->level[level].tile, c->level[level].n, true, err);
    return rc;
}
