#include "syntax.h"

#include "pv/http.h"

#include <string.h>
#include <strings.h>

static bool is_alnum(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool http_is_token_char(uint8_t c)
{
    return is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

bool http_is_token(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!http_is_token_char((uint8_t)p[i]))
            return false;
    return len > 0;
}

/* Wider than RFC 3986: '{', '|' and '}' are sent by browsers and harmless here. */
bool http_is_target_char(uint8_t c)
{
    return c > 0x20 && c < 0x7f && !strchr("#\"<>\\^`", c);
}

bool http_is_host_char(uint8_t c)
{
    return is_alnum(c) || (c && strchr("-._~!$&'()*+,;=:%[]", c));
}

bool http_is_control(uint8_t c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

bool http_list_has(const char *value, const char *token)
{
    size_t want = strlen(token);
    while (*value) {
        value += strspn(value, ", \t");
        size_t len = strcspn(value, ",");
        size_t trimmed = len;
        while (trimmed && (value[trimmed - 1] == ' ' || value[trimmed - 1] == '\t'))
            trimmed--;
        if (trimmed == want && strncasecmp(value, token, want) == 0)
            return true;
        value += len;
    }
    return false;
}

static bool parse_port(const char *p, size_t len, uint16_t *ret)
{
    unsigned port = 0;
    if (len == 0 || len > 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        port = port * 10 + (unsigned)(p[i] - '0');
    }
    if (port == 0 || port > UINT16_MAX)
        return false;
    *ret = (uint16_t)port;
    return true;
}

static bool copy_host(const char *p, size_t len, char *out, size_t cap)
{
    if (len == 0 || len >= cap)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)p[i];
        if (!is_alnum(c) && c != '.' && c != '-' && c != '_' && c != ':')
            return false;
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    out[len] = 0;
    return true;
}

bool pv_http_split_authority(const char *text, size_t len, uint16_t default_port, char *host,
                             size_t host_cap, uint16_t *ret_port)
{
    const char *name = text;
    size_t name_len;
    size_t rest;
    if (len && text[0] == '[') {
        const char *end = memchr(text, ']', len);
        if (!end)
            return false;
        name = text + 1;
        name_len = (size_t)(end - name);
        rest = (size_t)(end - text) + 1;
        if (!memchr(name, ':', name_len))
            return false;
    } else {
        const char *colon = memchr(text, ':', len);
        name_len = colon ? (size_t)(colon - text) : len;
        rest = name_len;
    }
    uint16_t port = default_port;
    if (rest < len && (text[rest] != ':' || !parse_port(text + rest + 1, len - rest - 1, &port)))
        return false;
    if (port == 0 || !copy_host(name, name_len, host, host_cap))
        return false;
    *ret_port = port;
    return true;
}
