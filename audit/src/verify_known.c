#include "verifier.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the log is compared with beside itself. */
struct known {
    const struct pv_checkpoint *checkpoint; /* or NULL */
    const char *name;
};
enum { KNOWN = 2 };

static void known_checkpoints(const struct pv_verifier *v, struct known ret[KNOWN])
{
    ret[0] = (struct known){v->opt->pinned, "the pinned checkpoint"};
    ret[1] = (struct known){v->opt->witnessed, "the checkpoint that the witness cosigned"};
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
    struct known k[KNOWN];
    uint8_t root[PV_HASH_BYTES];
    known_checkpoints(v, k);
    for (unsigned i = 0; i < KNOWN; i++) {
        if (!k[i].checkpoint || k[i].checkpoint->size != v->tree.size)
            continue;
        pv_frontier_root(&v->tree, root);
        if (memcmp(root, k[i].checkpoint->root, sizeof root) != 0)
            return judge_fork(v, &k[i]);
    }
    return 0;
}

/* What is known of sizes that will not be passed any more: the tree must begin with it. */
int pv_verifier_check_known_before(struct pv_verifier *v, struct pv_tree_reader *r,
                                   struct pv_err *err)
{
    struct known k[KNOWN];
    struct pv_proof proof;
    known_checkpoints(v, k);
    for (unsigned i = 0; i < KNOWN; i++) {
        const struct pv_checkpoint *c = k[i].checkpoint;
        if (!c || c->size == 0 || c->size >= v->good.size)
            continue;
        PV_TRY(pv_tree_consistency(r, c->size, &proof, err));
        if (!pv_proof_is_consistent(&proof, c->size, c->root, v->good.size, v->res->root))
            return judge_fork(v, &k[i]);
    }
    return 0;
}

int pv_verifier_check_rollback(struct pv_verifier *v)
{
    struct known k[KNOWN];
    char text[256];
    known_checkpoints(v, k);
    for (unsigned i = 0; i < KNOWN; i++) {
        if (!k[i].checkpoint || k[i].checkpoint->size <= v->res->signed_entries)
            continue;
        snprintf(text, sizeof text,
                 "the log signs %" PRIu64 " entries, %s %" PRIu64 ": it was rolled back",
                 v->res->signed_entries, k[i].name, k[i].checkpoint->size);
        return pv_verifier_judge(v, PV_VERDICT_ROLLBACK, v->res->signed_entries, text);
    }
    return 0;
}
