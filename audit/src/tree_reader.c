/* Hashes of any part of the log's tree, out of its tiles; what is in none yet is made from the leaf
 * hashes beside the journal. */
#include "pv/proof.h"

#include "pv/leaf_cache.h"

#include "pv/io.h"
#include "pv/log_source.h"
#include "pv/own.h"
#include "pv/tile.h"

#include <fcntl.h>
#include <string.h>

struct tile {
    uint64_t n;
    unsigned width; /* 0: nothing loaded */
    uint8_t hash[PV_TILE_WIDTH][PV_HASH_BYTES];
};
struct pv_tree_reader {
    int dir_fd; /* owned; -1 when the files come from elsewhere */
    uint64_t size;
    struct pv_log_source source;
    struct pv_buf file;           /* the one read last */
    struct pv_leaf_cache *leaves; /* owned; NULL when there is no journal to turn to */
    struct tile at[PV_TILE_LEVELS];
};
PV_DEFINE_CLEANUP(struct pv_tree_reader, pv_tree_reader_free)

void pv_tree_reader_free(struct pv_tree_reader *r)
{
    if (!r)
        return;
    pv_leaf_cache_free(r->leaves);
    pv_buf_done(&r->file);
    if (r->dir_fd >= 0)
        (void)close(r->dir_fd);
    free(r);
}

/* The names of tiles end there. */
enum { SIZE_BITS_MAX = 56 };

static int check_size(uint64_t size, struct pv_err *err)
{
    return size >> SIZE_BITS_MAX
               ? pv_refuse(err, EBADMSG, "a tree of %ju entries cannot be", (uintmax_t)size)
               : 0;
}

static struct pv_tree_reader *new_reader(uint64_t size)
{
    struct pv_tree_reader *r = calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->size = size;
    r->dir_fd = -1;
    pv_buf_init(&r->file, PV_TILE_BYTES);
    return r;
}

int pv_tree_reader_open(struct pv_tree_reader **ret, int dir_fd, uint64_t size, struct pv_err *err)
{
    PV_TRY(check_size(size, err));
    PV_CLEANUP(pv_tree_reader_free) struct pv_tree_reader *r = new_reader(size);
    if (!r)
        return pv_fail(err, ENOMEM, "allocate a reader of the tree");
    r->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    if (r->dir_fd < 0)
        return pv_fail(err, errno, "duplicate the log directory");
    r->source = pv_log_source_dir(&r->dir_fd);
    PV_TRY(pv_leaf_cache_open(&r->leaves, dir_fd, err));
    *ret = PV_TAKE_PTR(r);
    return 0;
}

int pv_tree_reader_open_source(struct pv_tree_reader **ret, const struct pv_log_source *source,
                               uint64_t size, struct pv_err *err)
{
    PV_TRY(check_size(size, err));
    struct pv_tree_reader *r = new_reader(size);
    if (!r)
        return pv_fail(err, ENOMEM, "allocate a reader of the tree");
    r->source = *source;
    *ret = r;
    return 0;
}

/* 1 = the first width hashes of the tile are there, 0 = no such file, or it is too short. */
static int load_file(struct pv_tree_reader *r, int level, uint64_t n, unsigned file_width,
                     unsigned width, struct pv_err *err)
{
    char path[PV_TILE_PATH_MAX];
    struct pv_err why = PV_ERR_INIT;
    size_t want = width * (size_t)PV_HASH_BYTES;
    pv_tile_path(level, n, file_width, path);
    pv_buf_reset(&r->file);
    int rc = r->source.read(r->source.ctx, path, &r->file, &why);
    /* what is in the way of the journal's leaf hashes does not matter where there are any */
    if (rc < 0 && rc != -ENOENT && rc != -EMSGSIZE && !r->leaves) {
        if (err)
            *err = why;
        return rc;
    }
    if (rc < 0 || r->file.len < want)
        return 0;
    memcpy(r->at[level].hash, r->file.data, want);
    return 1;
}

static int load_tile(struct pv_tree_reader *r, int level, uint64_t n, struct pv_err *err);

static int compute_tile(struct pv_tree_reader *r, int level, uint64_t n, unsigned width,
                        struct pv_err *err)
{
    if (!r->leaves)
        return pv_refuse(err, EBADMSG, "the log lacks tile %ju of level %d", (uintmax_t)n, level);
    for (unsigned i = 0; i < width; i++) {
        uint64_t below = n * PV_TILE_WIDTH + i;
        if (level == 0) {
            const uint8_t *leaf = pv_leaf_cache_get(r->leaves, below);
            if (!leaf)
                return pv_refuse(err, EBADMSG, "the log lacks the leaf hash of entry %ju",
                                 (uintmax_t)below);
            memcpy(r->at[0].hash[i], leaf, PV_HASH_BYTES);
        } else {
            PV_TRY(load_tile(r, level - 1, below, err));
            pv_tile_root((const uint8_t(*)[PV_HASH_BYTES])r->at[level - 1].hash, PV_TILE_WIDTH,
                         r->at[level].hash[i]);
        }
    }
    return 0;
}

static int load_tile(struct pv_tree_reader *r, int level, uint64_t n, struct pv_err *err)
{
    struct tile *t = &r->at[level];
    uint64_t all = r->size >> (8 * level), left = all - n * PV_TILE_WIDTH;
    unsigned width = left < PV_TILE_WIDTH ? (unsigned)left : PV_TILE_WIDTH;
    if (t->width == width && t->n == n)
        return 0;
    t->width = 0;
    int rc = load_file(r, level, n, PV_TILE_WIDTH, width, err);
    if (rc == 0 && width < PV_TILE_WIDTH)
        rc = load_file(r, level, n, width, width, err);
    PV_TRY(rc);
    if (rc == 0)
        PV_TRY(compute_tile(r, level, n, width, err));
    t->n = n;
    t->width = width;
    return 0;
}

/* The complete subtree of 2^height leaves from index * 2^height on. */
static int complete(struct pv_tree_reader *r, unsigned height, uint64_t index,
                    uint8_t out[PV_HASH_BYTES], struct pv_err *err)
{
    int level = (int)(height / 8);
    unsigned span = 1u << (height % 8);
    uint64_t first = index * span;
    if (level >= PV_TILE_LEVELS)
        return pv_refuse(err, EBADMSG, "a tree of that size cannot be");
    PV_TRY(load_tile(r, level, first / PV_TILE_WIDTH, err));
    pv_tile_root((const uint8_t(*)[PV_HASH_BYTES])r->at[level].hash + first % PV_TILE_WIDTH, span,
                 out);
    return 0;
}

/* Largest power of two below n, n > 1. */
static uint64_t split(uint64_t n)
{
    return 1ull << (63 - __builtin_clzll(n - 1));
}

/* MTH(D[start:start + n]), RFC 6962 section 2.1. */
static int subtree(struct pv_tree_reader *r, uint64_t start, uint64_t n, uint8_t out[PV_HASH_BYTES],
                   struct pv_err *err)
{
    uint8_t right[PV_HASH_BYTES];
    if (!(n & (n - 1))) {
        unsigned height = (unsigned)__builtin_ctzll(n);
        return complete(r, height, start >> height, out, err);
    }
    uint64_t k = split(n);
    PV_TRY(subtree(r, start, k, out, err));
    PV_TRY(subtree(r, start + k, n - k, right, err));
    pv_node_hash(out, right, out);
    return 0;
}

int pv_tree_root(struct pv_tree_reader *r, uint8_t ret[PV_HASH_BYTES], struct pv_err *err)
{
    if (r->size == 0) {
        pv_sha256("", 0, ret);
        return 0;
    }
    return subtree(r, 0, r->size, ret, err);
}

static int add(struct pv_tree_reader *r, uint64_t start, uint64_t n, struct pv_proof *p,
               struct pv_err *err)
{
    PV_TRY(subtree(r, start, n, p->hash[p->n], err));
    p->n++;
    return 0;
}

/* PATH(m, D[start:start + n]), RFC 6962 section 2.1.1. */
static int path(struct pv_tree_reader *r, uint64_t m, uint64_t start, uint64_t n,
                struct pv_proof *p, struct pv_err *err)
{
    if (n == 1)
        return 0;
    uint64_t k = split(n);
    if (m < k) {
        PV_TRY(path(r, m, start, k, p, err));
        return add(r, start + k, n - k, p, err);
    }
    PV_TRY(path(r, m - k, start + k, n - k, p, err));
    return add(r, start, k, p, err);
}

int pv_tree_inclusion(struct pv_tree_reader *r, uint64_t index, struct pv_proof *ret,
                      struct pv_err *err)
{
    if (index >= r->size)
        return pv_refuse(err, EINVAL, "entry %ju is not among the first %ju", (uintmax_t)index,
                         (uintmax_t)r->size);
    ret->n = 0;
    return path(r, index, 0, r->size, ret, err);
}

/* SUBPROOF(m, D[start:start + n], b), RFC 6962 section 2.1.2. */
static int subproof(struct pv_tree_reader *r, uint64_t m, uint64_t start, uint64_t n, bool whole,
                    struct pv_proof *p, struct pv_err *err)
{
    if (m == n)
        return whole ? 0 : add(r, start, n, p, err);
    uint64_t k = split(n);
    if (m <= k) {
        PV_TRY(subproof(r, m, start, k, whole, p, err));
        return add(r, start + k, n - k, p, err);
    }
    PV_TRY(subproof(r, m - k, start + k, n - k, false, p, err));
    return add(r, start, k, p, err);
}

int pv_tree_consistency(struct pv_tree_reader *r, uint64_t old_size, struct pv_proof *ret,
                        struct pv_err *err)
{
    if (old_size > r->size)
        return pv_refuse(err, EINVAL, "a tree of %ju entries does not begin with %ju",
                         (uintmax_t)r->size, (uintmax_t)old_size);
    ret->n = 0;
    if (old_size == 0 || old_size == r->size)
        return 0;
    return subproof(r, old_size, 0, r->size, true, ret, err);
}

int pv_tree_frontier(struct pv_tree_reader *r, struct pv_frontier *ret, struct pv_err *err)
{
    memset(ret, 0, sizeof *ret);
    for (unsigned h = 0; h < PV_TREE_LEVELS && r->size >> h; h++)
        if (r->size >> h & 1)
            PV_TRY(complete(r, h, (r->size >> h) - 1, ret->node[h], err));
    ret->size = r->size;
    return 0;
}

int pv_tree_last_tile(struct pv_tree_reader *r, int level, uint8_t (*ret)[PV_HASH_BYTES],
                      struct pv_err *err)
{
    uint64_t hashes = r->size >> (8 * level);
    unsigned n = (unsigned)(hashes % PV_TILE_WIDTH);
    if (n == 0)
        return 0;
    PV_TRY(load_tile(r, level, hashes / PV_TILE_WIDTH, err));
    memcpy(ret, r->at[level].hash, n * (size_t)PV_HASH_BYTES);
    return (int)n;
}
