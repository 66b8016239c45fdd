/* Where checking begins: at the first entry, or behind what was verified earlier. */
#include "verifier.h"

#include "pv/own.h"
#include "pv/tile.h"

#include <string.h>

/* The tree as the verifier knew it: if the log's tiles still give it, nothing before was changed,
 * as far as the tree is concerned. */
static int adopt_since(struct pv_verifier *v, uint64_t base, struct pv_err *err)
{
    const struct pv_checkpoint *since = v->opt->since;
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    uint8_t root[PV_HASH_BYTES];
    struct pv_err why = PV_ERR_INIT;
    PV_TRY(pv_tree_reader_open(&r, v->dir_fd, since->size, err));
    int rc = pv_tree_frontier(r, &v->tree, &why);
    if (rc == 0)
        rc = pv_tile_check_start(v->tiles, base, &why);
    if (rc == -EBADMSG)
        return pv_verifier_judge(v, PV_VERDICT_ROLLBACK, 0, why.text);
    if (rc < 0) {
        *err = why;
        return rc;
    }
    pv_frontier_root(&v->tree, root);
    if (memcmp(root, since->root, sizeof root) != 0)
        return pv_verifier_judge(
            v, PV_VERDICT_FORK, 0,
            "the log's tiles contradict the checkpoint it was verified up to before: it "
            "was forked or rewritten before that");
    v->good = v->tree;
    v->res->entries = v->res->signed_entries = since->size;
    memcpy(v->res->root, root, sizeof root);
    return pv_verifier_check_known_before(v, r, err);
}

/* The entries of that bundle before the one where checking begins are read only for the check of
 * tiles; when they were detached, their stored hashes do. */
static int pass_over(struct pv_verifier *v, uint64_t seq, struct pv_err *err)
{
    struct pv_log_entry entry;
    uint8_t hash[PV_HASH_BYTES];
    const uint8_t *leaf = hash;
    int rc = pv_log_reader_next(v->entries, &entry, err);
    bool there = rc > 0;
    if (there)
        pv_leaf_hash(entry.bytes, entry.len, hash);
    if (rc == 0 && seq >= v->detached)
        PV_TRY(pv_verifier_learn_detached(v, err));
    if (rc == 0 && seq < v->detached) {
        if (!v->leaves)
            PV_TRY(pv_leaf_cache_open(&v->leaves, v->dir_fd, err));
        leaf = pv_leaf_cache_get(v->leaves, seq);
        rc = leaf != NULL;
    }
    if (rc == 0 || rc == -EBADMSG)
        return pv_verifier_judge(v, PV_VERDICT_ROLLBACK, seq,
                                 "the log ends before what was verified earlier");
    PV_TRY(rc);
    int odd = pv_tile_check_add(v->tiles, there ? &entry : NULL, leaf, v->tile_root, err);
    return odd < 0 ? odd : 0;
}

/* Opens the entries where checking begins: at the first, or behind what was verified earlier. */
int pv_verifier_start(struct pv_verifier *v, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    if (!v->opt->since)
        return pv_log_reader_open(&v->entries, v->dir_fd, 0, err);
    uint64_t size = v->opt->since->size, base = size - size % PV_TILE_WIDTH;
    int rc = adopt_since(v, base, err);
    if (rc)
        return rc;
    rc = pv_log_reader_open(&v->entries, v->dir_fd, base, &why);
    if (rc == -ESTALE)
        return pv_verifier_judge(v, PV_VERDICT_ROLLBACK, 0, why.text);
    if (rc < 0)
        *err = why;
    for (uint64_t i = base; rc == 0 && i < size; i++)
        rc = pass_over(v, i, err);
    return rc;
}
