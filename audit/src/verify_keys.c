/* Which keys may sign, as the log itself says it. */
#include "verifier.h"

#include <string.h>

static void note(struct pv_verifier *v, uint64_t seq, const uint8_t old_key[32],
                 const uint8_t new_key[32])
{
    memcpy(v->rotation_key, new_key, sizeof v->rotation_key);
    memcpy(v->rotation_old, old_key, sizeof v->rotation_old);
    v->rotation_seq = seq;
    v->rotating = true;
}

void pv_verifier_note_rotation(struct pv_verifier *v, uint64_t seq, const struct pv_event *e)
{
    if (e->kind != PV_K_KEY_ROTATION)
        return;
    const struct pv_value *k = pv_event_field(e, "new_key"), *old = pv_event_field(e, "old_key");
    if (!k || k->len != sizeof v->rotation_key || !old || old->len != sizeof v->rotation_old)
        return;
    note(v, seq, old->bytes, k->bytes);
}

/* An event that went into an archive counts as if it were read when the log's list of changes has
 * an entry with the hash that stands in the tree. */
void pv_verifier_note_detached_rotation(struct pv_verifier *v, uint64_t seq,
                                        const uint8_t leaf[PV_HASH_BYTES])
{
    if (!v->claims_read)
        v->n_claims = pv_rotations_claims(v->dir_fd, v->claims);
    v->claims_read = true;
    for (unsigned i = 0; i < v->n_claims; i++)
        if (memcmp(v->claims[i].leaf, leaf, PV_HASH_BYTES) == 0)
            note(v, seq, v->claims[i].old_key, v->claims[i].new_key);
}

/* A change that was cut short leaves its event and the old key in force; the key that it names is
 * nobody's. It took place when the new key signed the checkpoint over it, or is known from
 * elsewhere. */
static bool is_rotated(const struct pv_verifier *v)
{
    struct pv_note_key next;
    struct pv_checkpoint c;
    struct pv_err ignored = PV_ERR_INIT;
    return pv_note_key_knows(v->opt->key, v->rotation_key) ||
           (pv_note_key_init(&next, v->key.name, v->rotation_key, &ignored) == 0 &&
            pv_checkpoint_open(&next, v->res->note, v->res->note_len, &c, &ignored) == 0);
}

/* A signed event brings in a key with the first checkpoint over it, when both keys signed that; the
 * key before signs nothing larger. */
int pv_verifier_adopt_key(struct pv_verifier *v, struct pv_err *err)
{
    if (!v->rotating || v->rotation_seq >= v->good.size)
        return 0;
    v->rotating = false;
    if (!is_rotated(v))
        return 0;
    PV_TRY(pv_note_key_add(&v->key, v->rotation_key, err));
    pv_note_key_retire(&v->key, v->rotation_old, v->good.size);
    v->res->rotations++;
    return 0;
}

/* Where checking begins late, the events that ended older keys, and brought in newer ones, are not
 * seen. The log's list of changes tells; a key whose end it does not show has ended before. */
void pv_verifier_keys_before(struct pv_verifier *v)
{
    pv_autobuf struct pv_buf text;
    struct pv_err ignored = PV_ERR_INIT;
    pv_buf_init(&text, PV_ROTATIONS_MAX);
    if (!v->opt->since)
        return;
    if (pv_rotations_read(v->dir_fd, &text, &ignored) == 0 && text.len)
        (void)!pv_rotations_follow(&v->key, text.data, text.len, &ignored);
    for (unsigned i = 0; i < v->key.n_older; i++)
        if (v->key.older[i].until == 0)
            v->key.older[i].until = v->opt->since->size;
}
