/* The parser of c2sp.org/tlog-proof@v1: whatever is accepted is written again and gives the same.
 */
#include "pv/proof.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_tlog_proof p, again;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, 1 << 20);
    if (pv_tlog_proof_parse(data, size, &p, &err) < 0)
        return 0;
    if (pv_tlog_proof_print(&p, &text, &err) < 0 ||
        pv_tlog_proof_parse(text.data, text.len, &again, &err) < 0)
        abort();
    if (again.index != p.index || again.path.n != p.path.n ||
        memcmp(again.path.hash, p.path.hash, p.path.n * (size_t)PV_HASH_BYTES) != 0 ||
        again.checkpoint_len != p.checkpoint_len)
        abort();
    return 0;
}
