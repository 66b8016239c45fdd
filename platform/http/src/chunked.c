/* Chunked bodies and their trailer fields (RFC 9112 section 7.1), a byte at a time but for data. */
#include "parser.h"
#include "syntax.h"

enum { SIZE_DIGITS_MAX = 8 };

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool size_byte(struct pv_http_parser *p, uint8_t c)
{
    int digit = hex_digit(c);
    if (digit >= 0) {
        if (++p->digits > SIZE_DIGITS_MAX)
            return http_refuse(p, 413, "a chunk size has more than 8 digits");
        p->remaining = p->remaining << 4 | (unsigned)digit;
        return true;
    }
    if (p->digits == 0 || (c != ';' && c != '\r'))
        return http_refuse(p, 400, "a chunk size is malformed");
    p->body = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
    return true;
}

static bool size_line_end(struct pv_http_parser *p, uint8_t c)
{
    if (c != '\n')
        return http_refuse(p, 400, "a chunk's line does not end in CR LF");
    p->digits = 0;
    p->meta_len = 0;
    if (p->remaining == 0) {
        p->body = TRAILER_START;
        return true;
    }
    if (p->remaining > p->max_body || p->total > p->max_body - p->remaining)
        return http_refuse_size(p, 413, "the body", p->max_body);
    p->total += p->remaining;
    p->body = CHUNK_DATA;
    return true;
}

static bool extension_byte(struct pv_http_parser *p, uint8_t c)
{
    if (c == '\r')
        p->body = CHUNK_SIZE_LF;
    else if (http_is_control(c))
        return http_refuse(p, 400, "a control byte in a chunk extension");
    return true;
}

static bool trailer_byte(struct pv_http_parser *p, uint8_t c)
{
    if (p->body == TRAILER_START && c == '\r') {
        p->body = TRAILERS_END_LF;
    } else if (p->body == TRAILER_VALUE) {
        if (c == '\r')
            p->body = TRAILER_LF;
        else if (http_is_control(c))
            return http_refuse(p, 400, "a control byte in a trailer field");
    } else if (p->body == TRAILER_NAME && c == ':') {
        p->body = TRAILER_VALUE;
    } else if (http_is_token_char(c)) {
        p->body = TRAILER_NAME;
    } else {
        return http_refuse(p, 400, "a trailer field is malformed");
    }
    return true;
}

static bool expect_byte(struct pv_http_parser *p, uint8_t c, uint8_t want, enum body_state next)
{
    if (c != want)
        return http_refuse(p, 400, "a chunk does not end in CR LF");
    p->body = next;
    return true;
}

static bool meta_byte(struct pv_http_parser *p, uint8_t c)
{
    switch (p->body) {
    case CHUNK_SIZE:
        return size_byte(p, c);
    case CHUNK_EXTENSION:
        return extension_byte(p, c);
    case CHUNK_SIZE_LF:
        return size_line_end(p, c);
    case CHUNK_DATA_CR:
        return expect_byte(p, c, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF:
        p->meta_len = 0;
        return expect_byte(p, c, '\n', CHUNK_SIZE);
    case TRAILER_LF:
        return expect_byte(p, c, '\n', TRAILER_START);
    case TRAILERS_END_LF:
        return expect_byte(p, c, '\n', BODY_NONE);
    case TRAILER_START:
    case TRAILER_NAME:
    case TRAILER_VALUE:
        return trailer_byte(p, c);
    case BODY_NONE:
    case BODY_LENGTH:
    case CHUNK_DATA:
        break;
    }
    return http_refuse(p, 400, "a chunk is malformed");
}

static bool meta_too_long(const struct pv_http_parser *p)
{
    bool trailer = p->body >= TRAILER_START;
    return p->meta_len > (trailer ? (size_t)PV_HTTP_HEAD_MAX : (size_t)PV_HTTP_CHUNK_LINE_MAX);
}

static enum pv_http_step data_step(struct pv_http_parser *p, const uint8_t *in, size_t len,
                                   size_t *ret_used, struct pv_http_span *ret_body)
{
    size_t n = p->remaining < len ? (size_t)p->remaining : len;
    p->remaining -= n;
    if (p->remaining == 0)
        p->body = CHUNK_DATA_CR;
    ret_body->data = in + *ret_used;
    ret_body->len = n;
    *ret_used += n;
    return PV_HTTP_BODY;
}

enum pv_http_step http_chunked_step(struct pv_http_parser *p, const uint8_t *in, size_t len,
                                    size_t *ret_used, struct pv_http_span *ret_body)
{
    while (*ret_used < len) {
        if (p->body == CHUNK_DATA)
            return data_step(p, in, len - *ret_used, ret_used, ret_body);
        uint8_t c = in[(*ret_used)++];
        p->meta_len++;
        if (!meta_byte(p, c))
            return PV_HTTP_ERROR;
        if (meta_too_long(p)) {
            (void)http_refuse(p, 431, "a chunk's line or the trailers are too long");
            return PV_HTTP_ERROR;
        }
        if (p->body == BODY_NONE) {
            p->stage = STAGE_DONE;
            return PV_HTTP_DONE;
        }
    }
    return PV_HTTP_MORE;
}
