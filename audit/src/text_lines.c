#include "text_lines.h"

#include <string.h>

const char *pv_next_line(const char **at, const char *end, size_t *ret_len)
{
    const char *line = *at, *newline = memchr(line, '\n', (size_t)(end - line));
    if (!newline)
        return NULL;
    *ret_len = (size_t)(newline - line);
    *at = newline + 1;
    return line;
}

bool pv_parse_decimal(const char *s, size_t len, uint64_t *ret)
{
    uint64_t v = 0;
    if (len == 0 || (len > 1 && s[0] == '0'))
        return false;
    for (size_t i = 0; i < len; i++) {
        uint64_t digit = (uint64_t)(unsigned char)s[i] - '0';
        if (digit > 9 || v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *ret = v;
    return true;
}
