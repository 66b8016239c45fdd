/* Bundles: the input as the whole text, as the lines above a good checkpoint, and as the one entry
 * of a log of one entry, which passes the proofs and reaches what is behind them. */
#include "pv/bundle.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pv_note_signer signer;

static void check(const struct pv_buf *text)
{
    struct pv_bundle_result res;
    struct pv_err err = PV_ERR_INIT;
    if (!text->failed)
        (void)!pv_bundle_check(&signer.key, text->data, text->len, NULL, NULL, &res, &err);
}

static void with_checkpoint(struct pv_buf *text, uint64_t log_size, const uint8_t root[32])
{
    struct pv_err err = PV_ERR_INIT;
    pv_buf_raw(text, "\n", 1);
    if (pv_checkpoint_sign(&signer, NULL, log_size, root, text, &err) == 0)
        check(text);
}

static void as_lines(const uint8_t *data, size_t size)
{
    pv_autobuf struct pv_buf text;
    const uint8_t root[32] = {1};
    pv_buf_init(&text, 1 << 20);
    pv_buf_printf(&text, "provost-bundle@v1\n");
    pv_buf_raw(&text, data, size);
    with_checkpoint(&text, 1000, root);
}

static void as_entry(const uint8_t *data, size_t size)
{
    pv_autobuf struct pv_buf text;
    char line[sodium_base64_ENCODED_LEN(PV_LOG_ENTRY_MAX, sodium_base64_VARIANT_ORIGINAL)];
    uint8_t leaf[32];
    if (size > PV_LOG_ENTRY_MAX)
        return;
    pv_buf_init(&text, 1 << 20);
    sodium_bin2base64(line, sizeof line, data, size, sodium_base64_VARIANT_ORIGINAL);
    pv_buf_printf(&text, "provost-bundle@v1\n0 %s\n", line);
    pv_leaf_hash(data, size, leaf);
    with_checkpoint(&text, 1, leaf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[32] = {1};
    struct pv_err err = PV_ERR_INIT;
    struct pv_bundle_result res;
    if (!signer.key.name[0] &&
        (pv_crypto_init(&err) < 0 || pv_note_signer_init(&signer, "provost/fuzz", seed, &err) < 0))
        abort();
    if (pv_bundle_check(&signer.key, data, size, NULL, NULL, &res, &err) == 0)
        abort(); /* nobody else has the key */
    as_lines(data, size);
    as_entry(data, size);
    return 0;
}
