#include "base64.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

bool gw_base64_decode(const char *text, size_t len, uint8_t *out, size_t cap, size_t *ret_len)
{
    size_t n = 0;
    if (len % 4)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        bool last = i + 4 == len;
        unsigned pad = !last || text[i + 3] != '=' ? 0 : text[i + 2] == '=' ? 2 : 1;
        uint32_t word = 0;
        for (unsigned j = 0; j < 4; j++) {
            int d = j >= 4 - pad ? 0 : digit(text[i + j]);
            if (d < 0)
                return false;
            word = word << 6 | (uint32_t)d;
        }
        if ((pad == 1 && word & 0xff) || (pad == 2 && word & 0xffff) || cap - n < 3 - pad)
            return false;
        for (unsigned j = 0; j < 3 - pad; j++)
            out[n++] = (uint8_t)(word >> (16 - 8 * j));
    }
    *ret_len = n;
    return true;
}
