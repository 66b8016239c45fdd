/* Any bytes as a probe record: refused, or an event that encodes and decodes. */
#include "probe_translate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pv_probe_texts texts;
    struct pv_err err = PV_ERR_INIT;
    struct pv_event e;
    struct pv_event again;

    /* a copy of that very size: aligned, and a read past it is seen */
    uint8_t *rec = malloc(size ? size : 1);
    if (!rec)
        return 0;
    if (size)
        memcpy(rec, data, size);
    if (pv_probe_translate(rec, size, 12345, &texts, &e, &err) == 0) {
        struct pv_buf b;

        pv_buf_init(&b, PV_EVENT_MAX);
        if (pv_event_encode(&e, &b, &err) == 0 && pv_event_decode(b.data, b.len, &again, &err) < 0)
            abort();
        pv_buf_done(&b);
    }
    free(rec);
    return 0;
}
