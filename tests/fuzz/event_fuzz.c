/* The event decoder: whatever it accepts must encode to the very same bytes. */
#include "pv/event.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_event e;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, PV_EVENT_MAX);
    if (pv_event_decode(data, size, &e, &err) < 0)
        return 0;
    if (pv_event_encode(&e, &b, &err) < 0 || b.len != size || memcmp(b.data, data, size) != 0)
        abort();
    return 0;
}
