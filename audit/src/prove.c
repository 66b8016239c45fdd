#include "pv/prove.h"

#include "pv/leaf_cache.h"

#include "pv/archive.h"
#include "pv/own.h"

#include <string.h>

PV_DEFINE_CLEANUP(struct pv_leaf_cache, pv_leaf_cache_free)

/* The stored hash of an entry that the log does not hold any more: its proof needs no more. */
static int read_leaf(int dir_fd, uint64_t seq, uint8_t ret_leaf[PV_HASH_BYTES], struct pv_err *err)
{
    PV_CLEANUP(pv_leaf_cache_free) struct pv_leaf_cache *c = NULL;
    PV_TRY(pv_leaf_cache_open(&c, dir_fd, err));
    const uint8_t *leaf = pv_leaf_cache_get(c, seq);
    if (!leaf)
        return pv_refuse(err, EBADMSG, "the log lacks the leaf hash of entry %ju", (uintmax_t)seq);
    memcpy(ret_leaf, leaf, PV_HASH_BYTES);
    return 0;
}

static int read_entry(int dir_fd, uint64_t seq, struct pv_buf *ret_entry,
                      uint8_t ret_leaf[PV_HASH_BYTES], struct pv_err *err)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_log_entry e;
    uint64_t detached;
    PV_TRY(pv_log_detached(dir_fd, &detached, err));
    PV_TRY(pv_log_reader_open(&r, dir_fd, seq, err));
    int rc = pv_log_reader_next(r, &e, err);
    PV_TRY(rc);
    if (rc == 0 && seq < detached && !ret_entry)
        return read_leaf(dir_fd, seq, ret_leaf, err);
    if (rc == 0)
        return seq < detached
                   ? pv_refuse(err, ENOENT,
                               "e%ju was moved into an archive; 'provost audit attach' brings it "
                               "back",
                               (uintmax_t)seq)
                   : pv_refuse(err, EBADMSG, "the log lacks entry %ju", (uintmax_t)seq);
    pv_leaf_hash(e.bytes, e.len, ret_leaf);
    if (ret_entry)
        pv_buf_raw(ret_entry, e.bytes, e.len);
    return 0;
}

int pv_log_prove(int dir_fd, const struct pv_signed_checkpoint *under, uint64_t seq,
                 struct pv_buf *ret_proof, struct pv_buf *ret_entry, struct pv_err *err)
{
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    const struct pv_checkpoint *c = &under->at;
    struct pv_tlog_proof p = {
        .index = seq, .checkpoint = under->note, .checkpoint_len = under->len};
    uint8_t leaf[PV_HASH_BYTES];
    if (seq >= c->size)
        return pv_refuse(
            err, ESTALE,
            "e%ju does not lie under the published checkpoint, which covers %ju events",
            (uintmax_t)seq, (uintmax_t)c->size);
    PV_TRY(read_entry(dir_fd, seq, ret_entry, leaf, err));
    PV_TRY(pv_tree_reader_open(&r, dir_fd, c->size, err));
    PV_TRY(pv_tree_inclusion(r, seq, &p.path, err));
    if (!pv_proof_includes(&p.path, seq, c->size, leaf, c->root))
        return pv_refuse(err, EBADMSG,
                         "the log's tiles do not lead from e%ju to the signed root; 'provost "
                         "verify' names what was changed",
                         (uintmax_t)seq);
    return pv_tlog_proof_print(&p, ret_proof, err);
}

int pv_proof_check(const struct pv_note_key *key, const void *proof, size_t proof_len,
                   const void *entry, size_t entry_len, uint64_t *ret_seq,
                   struct pv_checkpoint *ret_checkpoint, struct pv_err *err)
{
    struct pv_tlog_proof p;
    struct pv_checkpoint c;
    uint8_t leaf[PV_HASH_BYTES];
    PV_TRY(pv_tlog_proof_parse(proof, proof_len, &p, err));
    PV_TRY(pv_checkpoint_open(key, p.checkpoint, p.checkpoint_len, &c, err));
    pv_leaf_hash(entry, entry_len, leaf);
    if (!pv_proof_includes(&p.path, p.index, c.size, leaf, c.root))
        return pv_refuse(err, EBADMSG,
                         "the proof does not lead from this entry to the signed root");
    *ret_seq = p.index;
    *ret_checkpoint = c;
    return 0;
}
