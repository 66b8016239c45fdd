#include "pv/escape.h"

#include <string.h>

/* Decodes one code point of well-formed UTF-8 (RFC 3629); returns its length, 0 when malformed. */
static size_t utf8_next(const uint8_t *p, size_t len, uint32_t *ret)
{
    static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (p[0] < 0x80) {
        *ret = p[0];
        return 1;
    }
    size_t n = (p[0] & 0xe0u) == 0xc0   ? 2
               : (p[0] & 0xf0u) == 0xe0 ? 3
               : (p[0] & 0xf8u) == 0xf0 ? 4
                                        : 0;
    if (n == 0 || n > len)
        return 0;
    uint32_t c = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0u) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    if (c < lowest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *ret = c;
    return n;
}

/* C1 controls, zero-width and bidirectional formatting, line separators, byte-order mark, tags. */
static bool steers_terminal(uint32_t c)
{
    return (c >= 0x80 && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
           (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
           (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

static void append_hex(struct pv_buf *b, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pv_buf_printf(b, "\\x%02x", (unsigned)p[i]);
}

/* Appends what stands for the character at p; returns how many bytes of input that was. */
static size_t append_one(struct pv_buf *b, const uint8_t *p, size_t len, enum cli_escape how)
{
    uint32_t c = 0;
    size_t n = utf8_next(p, len, &c);
    if (n == 0) {
        append_hex(b, p, 1);
        return 1;
    }
    bool line = how == CLI_ESCAPE_LINE;
    if (line && c == '\n')
        pv_buf_raw(b, "\\n", 2);
    else if (line && c == '\t')
        pv_buf_raw(b, "\\t", 2);
    else if (line && c == '\\')
        pv_buf_raw(b, "\\\\", 2);
    else if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f || steers_terminal(c))
        append_hex(b, p, n);
    else
        pv_buf_raw(b, p, n);
    return n;
}

void cli_escape_append(struct pv_buf *b, const void *p, size_t len, enum cli_escape how)
{
    const uint8_t *bytes = p;
    for (size_t off = 0; off < len;)
        off += append_one(b, bytes + off, len - off, how);
}

void cli_escape_write(FILE *f, const void *p, size_t len, enum cli_escape how)
{
    const uint8_t *bytes = p;
    pv_autobuf struct pv_buf piece;
    pv_buf_init(&piece, 64);
    for (size_t off = 0; off < len;) {
        pv_buf_reset(&piece);
        off += append_one(&piece, bytes + off, len - off, how);
        (void)fwrite(piece.data, 1, piece.len, f);
    }
}

const char *cli_escape_str(const char *s, char *out, size_t cap)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    size_t len = strlen(s);
    size_t used = 0;
    size_t cut_at = 0; /* the last end of a piece after which the ellipsis still fits */
    pv_autobuf struct pv_buf piece;
    pv_buf_init(&piece, 64);
    if (cap == 0)
        return out;
    for (size_t off = 0; off < len;) {
        pv_buf_reset(&piece);
        off += append_one(&piece, (const uint8_t *)s + off, len - off, CLI_ESCAPE_LINE);
        if (piece.failed || used + piece.len + 1 > cap) {
            used = cut_at;
            if (used + sizeof ellipsis <= cap) {
                memcpy(out + used, ellipsis, sizeof ellipsis - 1);
                used += sizeof ellipsis - 1;
            }
            break;
        }
        memcpy(out + used, piece.data, piece.len);
        used += piece.len;
        if (used + sizeof ellipsis <= cap)
            cut_at = used;
    }
    out[used] = '\0';
    return out;
}

size_t cli_text_width(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0u) != 0x80;
    return n;
}
