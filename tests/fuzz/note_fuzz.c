/* Verifier keys, notes and checkpoints. Signatures cannot be guessed, so a note is also signed here
 * around the input as its text. */
#include "pv/checkpoint.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void signed_text(const struct pv_note_signer *s, const uint8_t *data, size_t size)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_checkpoint c;
    const char *text;
    size_t len;
    pv_autobuf struct pv_buf note;
    pv_buf_init(&note, PV_NOTE_MAX);
    if (pv_note_sign(s, (const char *)data, size, &note, &err) < 0)
        return;
    int rc = pv_note_open(&s->key, note.data, note.len, &text, &len, &err);
    if (memchr(data, 0, size)) {
        if (rc != -EBADMSG)
            abort();
        return;
    }
    if (rc < 0 || len != size || memcmp(text, data, size) != 0)
        abort();
    (void)!pv_checkpoint_open(&s->key, note.data, note.len, &c, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pv_note_signer signer;
    static const uint8_t seed[32] = {1};
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key key;
    struct pv_checkpoint c;
    if (!signer.key.name[0] &&
        (pv_crypto_init(&err) < 0 || pv_note_signer_init(&signer, "provost/fuzz", seed, &err) < 0))
        abort();
    (void)!pv_note_key_parse((const char *)data, size, &key, &err);
    (void)!pv_checkpoint_open(&signer.key, data, size, &c, &err);
    signed_text(&signer, data, size);
    return 0;
}
