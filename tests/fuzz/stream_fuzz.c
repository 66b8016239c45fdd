/* Any bytes as a recorded stream: refused, or items in sequence whose sums agree with the end. */
#include "pv/probe_stream.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_all(struct pv_stream *s)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_stream_item item;
    uint64_t records = 0;
    uint64_t emitted = 0;
    int rc = 0;

    while ((rc = pv_stream_next(s, &item, &err)) > 0) {
        if (item.cpu >= pv_stream_info(s)->n_cpus || (!item.rec && item.count == 0))
            abort();
        records += item.rec != NULL;
    }
    for (uint32_t cpu = 0; cpu < pv_stream_info(s)->n_cpus; cpu++)
        emitted += pv_stream_count(s, cpu).emitted;
    if (rc == 0 && records != emitted)
        abort();
    /* what was refused stays so */
    if (rc < 0 && pv_stream_next(s, &item, &err) >= 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_stream *s = NULL;
    FILE *f = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;

    if (!f)
        return 0;
    if (pv_stream_open(&s, f, &err) == 0)
        read_all(s);
    pv_stream_close(s);
    (void)fclose(f);
    return 0;
}
