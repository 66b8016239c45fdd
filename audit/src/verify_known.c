#include "verifier.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the log is compared with beside itself: one after the other. */
struct known {
    const struct pv_checkpoint *checkpoint;
    const char *name;
};

static bool next_known(const struct pv_verifier *v, unsigned *i, struct known *ret)
{
    const struct pv_verify_options *o = v->opt;
    if (*i == 0 && !o->pinned)
        ++*i;
    if (*i > o->n_witnessed)
        return false;
    *ret = *i == 0
               ? (struct known){o->pinned, "the pinned checkpoint"}
               : (struct known){&o->witnessed[*i - 1], "the checkpoint that the witness cosigned"};
    ++*i;
    return true;
}

static int judge_fork(struct pv_verifier *v, const struct known *k)
{
    char text[200];
    snprintf(
        text, sizeof text,
        "the log contradicts %s: it was forked or rewritten somewhere between e0 and e%" PRIu64,
        k->name, k->checkpoint->size ? k->checkpoint->size - 1 : 0);
    return pv_verifier_judge(v, PV_VERDICT_FORK, 0, text);
}

int pv_verifier_check_known(struct pv_verifier *v)
{
    struct known k;
    uint8_t root[PV_HASH_BYTES];
    for (unsigned i = 0; next_known(v, &i, &k);) {
        if (k.checkpoint->size != v->tree.size)
            continue;
        pv_frontier_root(&v->tree, root);
        if (memcmp(root, k.checkpoint->root, sizeof root) != 0)
            return judge_fork(v, &k);
    }
    return 0;
}

/* What is known of sizes that will not be passed any more: the tree must begin with it. */
int pv_verifier_check_known_before(struct pv_verifier *v, struct pv_tree_reader *r,
                                   struct pv_err *err)
{
    struct known k;
    struct pv_proof proof;
    for (unsigned i = 0; next_known(v, &i, &k);) {
        const struct pv_checkpoint *c = k.checkpoint;
        if (c->size == 0 || c->size >= v->good.size)
            continue;
        PV_TRY(pv_tree_consistency(r, c->size, &proof, err));
        if (!pv_proof_is_consistent(&proof, c->size, c->root, v->good.size, v->res->root))
            return judge_fork(v, &k);
    }
    return 0;
}

int pv_verifier_check_rollback(struct pv_verifier *v)
{
    struct known k;
    char text[256];
    for (unsigned i = 0; next_known(v, &i, &k);) {
        if (k.checkpoint->size <= v->res->signed_entries)
            continue;
        snprintf(text, sizeof text,
                 "the log signs %" PRIu64 " entries, %s %" PRIu64 ": it was rolled back",
                 v->res->signed_entries, k.name, k.checkpoint->size);
        return pv_verifier_judge(v, PV_VERDICT_ROLLBACK, v->res->signed_entries, text);
    }
    return 0;
}
