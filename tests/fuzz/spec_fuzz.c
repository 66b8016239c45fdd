/* The specification's decoder: what it accepts must be within bounds and must encode to the very
 * bytes it came from, since those are what is measured. */
#include "pv/spec.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pv_autobuf struct pv_buf again;
    struct pv_err err = PV_ERR_INIT;
    struct pv_spec s;

    pv_buf_init(&again, PV_SPEC_MAX);
    if (pv_spec_decode(data, size, &s, &err) < 0)
        return 0;
    assert(s.argv.n > 0 && pv_name_ok(s.name));
    assert(pv_spec_check(&s, &err) == 0);
    assert(pv_spec_encode(&s, &again, &err) == 0);
    assert(again.len == size && memcmp(again.data, data, size) == 0);
    pv_spec_done(&s);
    return 0;
}
