/* Text that came from outside, made fit to be shown. */
#include "pv/graph_export.h"

#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 character at p (RFC 3629), 0 when there is none that may be shown. */
static size_t shown_len(const unsigned char *p)
{
    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f;
    size_t n = p[0] >= 0xc2 && p[0] < 0xe0   ? 2
               : p[0] >= 0xe0 && p[0] < 0xf0 ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0)
        return 0; /* C1 controls */
    if (n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0)))
        return 0;
    /* Bidirectional controls and line separators turn text around: U+200B..200F, 2028..202E,
     * 2066..2069. */
    if (p[0] == 0xe2 &&
        ((p[1] == 0x80 && ((p[2] >= 0x8b && p[2] <= 0x8f) || (p[2] >= 0xa8 && p[2] <= 0xae))) ||
         (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)))
        return 0;
    if (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)))
        return 0;
    return n;
}

static size_t count(const unsigned char *p)
{
    size_t n = 0;
    for (; *p; n++) {
        size_t len = shown_len(p);
        p += len ? len : 1;
    }
    return n;
}

void pv_graph_printable(const char *text, size_t max, char *out, size_t cap)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t total = count(p), at = 0, head = max / 3, tail = max > head ? max - head - 1 : 0;
    out[0] = 0;
    for (size_t i = 0; *p; i++) {
        size_t n = shown_len(p);
        bool keep = total <= max || i < head || i >= total - tail;
        if (at + 8 >= cap)
            return;
        if (!keep && i == head)
            at += (size_t)snprintf(out + at, cap - at, "…");
        else if (keep && n)
            at += (size_t)snprintf(out + at, cap - at, "%.*s", (int)n, (const char *)p);
        else if (keep)
            at += (size_t)snprintf(out + at, cap - at, "\\x%02x", *p);
        p += n ? n : 1;
    }
}
