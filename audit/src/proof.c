#include "pv/proof.h"

#include <string.h>

bool pv_proof_includes(const struct pv_proof *p, uint64_t index, uint64_t size,
                       const uint8_t leaf[PV_HASH_BYTES], const uint8_t root[PV_HASH_BYTES])
{
    uint8_t r[PV_HASH_BYTES];
    uint64_t fn = index, sn = size - 1;
    if (index >= size || p->n > PV_PROOF_MAX)
        return false;
    memcpy(r, leaf, sizeof r);
    for (unsigned i = 0; i < p->n; i++) {
        if (sn == 0)
            return false;
        if (!(fn & 1) && fn != sn) {
            pv_node_hash(r, p->hash[i], r);
        } else {
            pv_node_hash(p->hash[i], r, r);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(r, root, sizeof r) == 0;
}

static bool is_power_of_two(uint64_t n)
{
    return n && !(n & (n - 1));
}

/* Sizes of 0 < old_size < size. */
static bool consistent_part(const struct pv_proof *p, uint64_t old_size,
                            const uint8_t old_root[PV_HASH_BYTES], uint64_t size,
                            const uint8_t root[PV_HASH_BYTES])
{
    uint8_t fr[PV_HASH_BYTES], sr[PV_HASH_BYTES];
    uint64_t fn = old_size - 1, sn = size - 1;
    unsigned i = 0;
    if (p->n == 0 || p->n > PV_PROOF_MAX)
        return false;
    memcpy(fr, is_power_of_two(old_size) ? old_root : p->hash[i++], sizeof fr);
    memcpy(sr, fr, sizeof sr);
    while (fn & 1) {
        fn >>= 1;
        sn >>= 1;
    }
    for (; i < p->n; i++) {
        if (sn == 0)
            return false;
        if (fn & 1 || fn == sn) {
            pv_node_hash(p->hash[i], fr, fr);
            pv_node_hash(p->hash[i], sr, sr);
            while (!(fn & 1) && fn != 0) {
                fn >>= 1;
                sn >>= 1;
            }
        } else {
            pv_node_hash(sr, p->hash[i], sr);
        }
        fn >>= 1;
        sn >>= 1;
    }
    return sn == 0 && memcmp(fr, old_root, sizeof fr) == 0 && memcmp(sr, root, sizeof sr) == 0;
}

bool pv_proof_is_consistent(const struct pv_proof *p, uint64_t old_size,
                            const uint8_t old_root[PV_HASH_BYTES], uint64_t size,
                            const uint8_t root[PV_HASH_BYTES])
{
    if (old_size == 0 || old_size > size)
        return false;
    if (old_size == size)
        return p->n == 0 && memcmp(old_root, root, PV_HASH_BYTES) == 0;
    return consistent_part(p, old_size, old_root, size, root);
}
