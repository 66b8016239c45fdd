#include "pv/size.h"

#include <inttypes.h>
#include <stdio.h>

const char *pv_size_text(uint64_t bytes, char out[PV_SIZE_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    unsigned i = 0;

    for (; bytes && bytes % 1024 == 0 && i + 1 < sizeof units / sizeof *units; i++)
        bytes /= 1024;
    snprintf(out, PV_SIZE_TEXT, "%" PRIu64 " %s", bytes, bytes == 1 && i == 0 ? "byte" : units[i]);
    return out;
}
