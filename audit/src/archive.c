#include "pv/archive.h"

#include "archive_head.h"
#include "framed.h"
#include "pv/leaf_cache.h"

#include "pv/io.h"
#include "pv/log_reader.h"
#include "pv/own.h"
#include "pv/published.h"
#include "pv/tile.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

PV_DEFINE_CLEANUP(struct pv_leaf_cache, pv_leaf_cache_free)
PV_DEFINE_CLEANUP(struct pv_hasher, pv_hasher_free)
enum { WRITE_BYTES = 1 << 18 };

struct writer {
    int fd; /* borrowed */
    struct pv_hasher *hash;
    struct pv_buf out;
};

static int flush(struct writer *w, struct pv_err *err)
{
    PV_TRY(pv_buf_check(&w->out, "archive", err));
    if (w->out.len == 0)
        return 0;
    pv_hasher_update(w->hash, w->out.data, w->out.len);
    int rc = pv_write_all(w->fd, w->out.data, w->out.len, err);
    pv_buf_reset(&w->out);
    return rc;
}

/* What the published checkpoint says of the entries, before they are read. */
static int make_head(int dir_fd, const struct pv_note_key *key, struct pv_archive_head *h,
                     struct pv_checkpoint *ret, struct pv_err *err)
{
    pv_auto_tree_reader struct pv_tree_reader *before = NULL, *all = NULL;
    struct pv_signed_checkpoint latest;
    PV_TRY(pv_log_latest(dir_fd, key, &latest, err));
    *ret = latest.at;
    if (h->end > ret->size)
        return pv_refuse(err, EINVAL, "the published checkpoint covers %ju entries only",
                         (uintmax_t)ret->size);
    memcpy(h->note, latest.note, latest.len);
    h->note_len = latest.len;
    PV_TRY(pv_tree_reader_open(&before, dir_fd, h->first, err));
    PV_TRY(pv_tree_frontier(before, &h->before, err));
    PV_TRY(pv_tree_reader_open(&all, dir_fd, ret->size, err));
    return pv_tree_consistency(all, h->end, &h->proof, err);
}

static int copy_entries(int dir_fd, const struct pv_archive_head *h, struct writer *w,
                        struct pv_frontier *tree, struct pv_err *err)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    PV_CLEANUP(pv_leaf_cache_free) struct pv_leaf_cache *stored = NULL;
    PV_TRY(pv_leaf_cache_open(&stored, dir_fd, err));
    PV_TRY(pv_log_reader_open(&r, dir_fd, h->first, err));
    for (uint64_t seq = h->first; seq < h->end; seq++) {
        struct pv_log_entry e;
        uint8_t leaf[PV_HASH_BYTES];
        int rc = pv_log_reader_next(r, &e, err);
        PV_TRY(rc);
        if (rc == 0)
            return pv_refuse(err, ENOENT, "the log does not hold e%ju", (uintmax_t)seq);
        pv_leaf_hash(e.bytes, e.len, leaf);
        const uint8_t *want = pv_leaf_cache_get(stored, seq);
        if (!want || memcmp(want, leaf, sizeof leaf) != 0)
            return pv_refuse(err, EBADMSG,
                             "e%ju is not what its stored hash says: 'provost verify' tells which "
                             "of the two was changed",
                             (uintmax_t)seq);
        pv_frontier_add(tree, leaf);
        pv_buf_u16(&w->out, (uint16_t)e.len);
        pv_buf_raw(&w->out, e.bytes, e.len);
        if (w->out.len >= WRITE_BYTES / 2)
            PV_TRY(flush(w, err));
    }
    return flush(w, err);
}

/* Whether the entries read lead to the checkpoint. */
static bool leads_to(const struct pv_archive_head *h, const struct pv_frontier *tree,
                     const struct pv_checkpoint *c)
{
    uint8_t root[PV_HASH_BYTES];
    pv_frontier_root(tree, root);
    return tree->size == h->end &&
           pv_proof_is_consistent(&h->proof, h->end, root, c->size, c->root);
}

int pv_archive_write(int dir_fd, const struct pv_note_key *key, uint64_t first, uint64_t end,
                     int fd, struct pv_archive_info *ret, struct pv_err *err)
{
    PV_CLEANUP(pv_hasher_free) struct pv_hasher *hash = NULL;
    pv_autofree struct pv_archive_head *h = calloc(1, sizeof *h);
    struct pv_checkpoint c;
    if (!h)
        return pv_fail(err, ENOMEM, "allocate an archive");
    if (first >= end || first % PV_TILE_WIDTH || end % PV_TILE_WIDTH)
        return pv_refuse(err, EINVAL, "there is nothing to put into an archive");
    h->first = first;
    h->end = end;
    PV_TRY(make_head(dir_fd, key, h, &c, err));
    PV_TRY(pv_hasher_new(&hash, err));
    struct writer w = {.fd = fd, .hash = hash};
    struct pv_frontier tree = h->before;
    pv_buf_init(&w.out, WRITE_BYTES);
    int rc = pv_archive_head_print(h, &w.out, err);
    if (rc == 0)
        rc = copy_entries(dir_fd, h, &w, &tree, err);
    pv_buf_done(&w.out);
    PV_TRY(rc);
    if (!leads_to(h, &tree, &c))
        return pv_refuse(err, EBADMSG,
                         "the log's entries do not lead to its checkpoint; 'provost verify' names "
                         "what was changed");
    *ret = (struct pv_archive_info){.first = first, .end = end, .checkpoint = c};
    pv_frontier_root(&tree, ret->root);
    pv_hasher_final(hash, ret->hash);
    return 0;
}

static int read_head(int fd, struct pv_archive_head *ret, struct pv_err *err)
{
    pv_autofree char *text = malloc(PV_ARCHIVE_HEAD_MAX);
    struct stat st;
    if (!text)
        return pv_fail(err, ENOMEM, "allocate the head of an archive");
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return pv_refuse(err, EBADMSG, "it is no regular file");
    ssize_t n = pread(fd, text, PV_ARCHIVE_HEAD_MAX, 0);
    if (n < 0)
        return pv_fail(err, errno, "read the archive");
    return pv_archive_head_parse(text, (size_t)n, ret, err);
}

static int hash_file(int fd, uint8_t ret[PV_HASH_BYTES], struct pv_err *err)
{
    PV_CLEANUP(pv_hasher_free) struct pv_hasher *hash = NULL;
    pv_autofree uint8_t *piece = malloc(WRITE_BYTES);
    off_t at = 0;
    ssize_t n;
    if (!piece)
        return pv_fail(err, ENOMEM, "allocate a read buffer");
    PV_TRY(pv_hasher_new(&hash, err));
    while ((n = pread(fd, piece, WRITE_BYTES, at)) > 0) {
        pv_hasher_update(hash, piece, (size_t)n);
        at += n;
    }
    if (n < 0)
        return pv_fail(err, errno, "read the archive");
    pv_hasher_final(hash, ret);
    return 0;
}

static int read_entries(struct pv_framed *f, const struct pv_archive_head *h,
                        struct pv_frontier *tree, struct pv_err *err)
{
    const uint8_t *p;
    size_t len;
    for (uint64_t seq = h->first; seq < h->end; seq++) {
        uint8_t leaf[PV_HASH_BYTES];
        int rc = pv_framed_next(f, &p, &len, err);
        if (rc < 0)
            return pv_wrap(err, rc, "e%ju in the archive", (uintmax_t)seq);
        if (rc == 0)
            return pv_refuse(err, EBADMSG, "the archive ends before e%ju", (uintmax_t)seq);
        pv_leaf_hash(p, len, leaf);
        pv_frontier_add(tree, leaf);
    }
    int rc = pv_framed_next(f, &p, &len, err);
    if (rc > 0 || (rc == 0 && pv_framed_torn(f)))
        return pv_refuse(err, EBADMSG, "the archive has bytes behind its entries");
    return rc;
}

int pv_archive_check(int fd, const struct pv_note_key *key, struct pv_archive_info *ret,
                     struct pv_err *err)
{
    pv_autofree struct pv_archive_head *h = malloc(sizeof *h);
    struct pv_archive_info info = {0};
    if (!h)
        return pv_fail(err, ENOMEM, "allocate an archive");
    PV_TRY(read_head(fd, h, err));
    PV_TRY(pv_checkpoint_open(key, h->note, h->note_len, &info.checkpoint, err));
    struct pv_frontier tree = h->before;
    struct pv_framed f;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return pv_fail(err, errno, "duplicate the archive");
    int rc = pv_framed_init(&f, own, h->bytes, PV_LOG_ENTRY_MAX, err);
    if (rc < 0) {
        (void)close(own);
        return rc;
    }
    rc = read_entries(&f, h, &tree, err);
    pv_framed_done(&f);
    PV_TRY(rc);
    if (!leads_to(h, &tree, &info.checkpoint))
        return pv_refuse(err, EBADMSG, "its entries are not those that its checkpoint signs");
    PV_TRY(hash_file(fd, info.hash, err));
    pv_frontier_root(&tree, info.root);
    info.first = h->first;
    info.end = h->end;
    *ret = info;
    return 0;
}
