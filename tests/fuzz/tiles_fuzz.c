/* Tiles from anywhere: the tree that a reader makes of them, as a witness reads them from a web
 * server. What comes out of full tiles is consistent in itself only when they are; it must never be
 * more than proofs, and a witness signs nothing that its log did not. Also lists of changes of
 * keys. */
#include "pv/proof.h"
#include "pv/rotations.h"
#include "pv/tile.h"
#include "pv/witness.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p;
    size_t len;
};

/* Each path is a slice of the input, some are missing; "checkpoint" is all of it. */
static int slice(void *ctx, const char *path, struct pv_buf *out, struct pv_err *err)
{
    const struct input *in = ctx;
    unsigned h = 2166136261u;
    for (const char *c = path; *c; c++)
        h = (h ^ (unsigned char)*c) * 16777619u;
    if (strcmp(path, "checkpoint") == 0 || strcmp(path, "rotations") == 0) {
        pv_buf_raw(out, in->p, in->len);
        return out->failed ? pv_refuse(err, EMSGSIZE, "too large") : 0;
    }
    if (in->len == 0 || h % 7 == 0)
        return pv_refuse(err, ENOENT, "no '%s'", path);
    if (h % 31 == 1)
        return pv_refuse(err, EHOSTUNREACH, "'%s' does not come", path);
    for (size_t n = h % (PV_TILE_BYTES + 64); n > 0 && !out->failed;) {
        size_t part = n < in->len ? n : in->len;
        pv_buf_raw(out, in->p, part);
        n -= part;
    }
    return out->failed ? pv_refuse(err, EMSGSIZE, "too large") : 0;
}

static void read_tree(const struct pv_log_source *source, uint64_t size, uint64_t at)
{
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    struct pv_err err = PV_ERR_INIT;
    struct pv_proof proof;
    struct pv_frontier f;
    uint8_t root[PV_HASH_BYTES] = {0}, again[PV_HASH_BYTES];
    uint8_t hash[PV_TILE_WIDTH][PV_HASH_BYTES];
    if (pv_tree_reader_open_source(&r, source, size, &err) < 0)
        return; /* larger than a tree can be */
    int rc = pv_tree_root(r, root, &err);
    if (pv_tree_frontier(r, &f, &err) == 0 && rc == 0) {
        pv_frontier_root(&f, again);
        if (memcmp(root, again, sizeof root) != 0)
            abort(); /* two ways to the root of one tree */
    }
    if (pv_tree_inclusion(r, at, &proof, &err) == 0 && (at >= size || proof.n > 63))
        abort();
    if (pv_tree_consistency(r, at, &proof, &err) == 0 && (at > size || proof.n > PV_PROOF_MAX))
        abort();
    for (int level = 0; level < PV_TILE_LEVELS; level++)
        (void)!pv_tree_last_tile(r, level, hash, &err);
}

static struct pv_witness *witness(struct pv_note_key *ret)
{
    static char name[] = "/dev/shm/pv-fuzz-witness-XXXXXX";
    static const uint8_t seed[32] = {5};
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_signer s;
    struct pv_cosigner c;
    struct pv_witness *w;
    if (!mkdtemp(name))
        abort();
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (pv_crypto_init(&err) < 0 || pv_note_signer_init(&s, "provost/fuzz", seed, &err) < 0 ||
        pv_cosigner_create(&c, fd, "witness.key", "w", &err) < 0 ||
        pv_witness_open(&w, fd, &s.key, &err) < 0)
        abort();
    *ret = s.key;
    return w;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pv_witness *w;
    static struct pv_note_key key;
    struct input in = {data, size};
    struct pv_log_source source = {slice, &in};
    struct pv_err err = PV_ERR_INIT;
    uint64_t n[2] = {0, 0};
    if (!w)
        w = witness(&key);
    memcpy(n, data, size < sizeof n ? size : sizeof n);
    read_tree(&source, n[0] % 70000, n[1] % 70000);
    read_tree(&source, n[0], n[1]);
    if (pv_witness_follow(w, &source, 1, 0, &err) == PV_WITNESS_COSIGNED)
        abort(); /* nobody else has the key */
    struct pv_note_key followed = key;
    if (pv_rotations_follow(&followed, data, size, &err) == 0 && followed.n_older)
        abort();
    return 0;
}
