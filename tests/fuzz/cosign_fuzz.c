/* The bodies of add-checkpoint requests, cosigned notes and witness keys. What the witness takes
 * apart must hold nothing but parts of the input; and a note around the input as its text can be
 * cosigned and found. */
#include "pv/witness.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void cosigned_text(const struct pv_cosigner *c, const uint8_t *data, size_t size)
{
    struct pv_err err = PV_ERR_INIT;
    uint64_t at;
    pv_autobuf struct pv_buf note;
    pv_buf_init(&note, PV_NOTE_MAX);
    if (size == 0 || data[size - 1] != '\n')
        return;
    pv_buf_raw(&note, data, size);
    pv_buf_raw(&note, "\n", 1);
    if (pv_cosign(c, size, (const char *)data, size, &note, &err) < 0)
        return;
    int rc = pv_cosignature_check(&c->key, note.data, note.len, &at, &err);
    if (memchr(data, 0, size) ? rc != -EBADMSG : rc < 0 || at != size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pv_cosigner cosigner;
    static const uint8_t seed[32] = {1};
    struct pv_err err = PV_ERR_INIT;
    struct pv_witness_request q;
    struct pv_cosigner_key key;
    uint64_t at;
    if (!cosigner.key.name[0] &&
        (pv_crypto_init(&err) < 0 || pv_cosigner_init(&cosigner, "fuzz", seed, &err) < 0))
        abort();
    if (pv_witness_request_parse(data, size, &q, &err) == 0 &&
        (q.note < data || q.note + q.note_len != data + size || q.proof.n >= PV_PROOF_MAX))
        abort();
    if (pv_cosigner_key_parse((const char *)data, size, &key, &err) == 0 && !key.name[0])
        abort();
    if (pv_cosignature_check(&cosigner.key, data, size, &at, &err) == 0)
        abort(); /* nobody else has the key */
    cosigned_text(&cosigner, data, size);
    return 0;
}
