/* A complete head: request line, fields, and what they say about framing (RFC 9112 sections 3 to
 * 7). Works in place: the collected bytes are cut into strings. */
#include "parser.h"
#include "syntax.h"

#include <string.h>
#include <strings.h>

enum { METHOD_MAX = 32, LENGTH_DIGITS_MAX = 18 };

/* Which of the fields that frame a request have been seen. */
struct seen {
    bool host;
    bool length;
    bool encoding;
    bool connection_close;
    bool connection_keep_alive;
};

/* Cuts the next line off the collected head; NULL at the empty line. */
static char *next_line(char **cursor)
{
    char *line = *cursor;
    char *end = strstr(line, "\r\n");
    if (!end || end == line)
        return NULL;
    *end = 0;
    *cursor = end + 2;
    return line;
}

static bool parse_version(struct pv_http_parser *p, const char *version)
{
    if (strcmp(version, "HTTP/1.1") == 0)
        p->head.minor = 1;
    else if (strcmp(version, "HTTP/1.0") == 0)
        p->head.minor = 0;
    else if (strncmp(version, "HTTP/", 5) == 0 && strlen(version) == 8)
        return http_refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    else
        return http_refuse(p, 400, "the request line is malformed");
    return true;
}

static bool classify_target(struct pv_http_parser *p)
{
    const char *target = p->head.target;
    if (strcmp(p->head.method, "CONNECT") == 0)
        p->head.form = PV_HTTP_AUTHORITY;
    else if (target[0] == '/')
        p->head.form = PV_HTTP_ORIGIN;
    else if (strncasecmp(target, "http://", 7) == 0)
        p->head.form = PV_HTTP_ABSOLUTE;
    else
        return http_refuse(p, 400, "this form of request target is not accepted");
    if (!(p->forms & p->head.form))
        return http_refuse(p, 400, "this form of request target is not accepted");
    return true;
}

static bool parse_request_line(struct pv_http_parser *p, char *line)
{
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;
    if (!version)
        return http_refuse(p, 400, "the request line is malformed");
    *target++ = 0;
    *version++ = 0;
    size_t method_len = strlen(line);
    if (method_len > METHOD_MAX || !http_is_token(line, method_len))
        return http_refuse(p, 400, "the method is malformed");
    if (strlen(target) > PV_HTTP_TARGET_MAX)
        return http_refuse_size(p, 414, "the request target", PV_HTTP_TARGET_MAX);
    if (!*target)
        return http_refuse(p, 400, "the request target is missing");
    for (const char *c = target; *c; c++)
        if (!http_is_target_char((uint8_t)*c))
            return http_refuse(p, 400, "the request target has characters that must be encoded");
    p->head.method = line;
    p->head.target = target;
    return parse_version(p, version) && classify_target(p);
}

static bool field_host(struct pv_http_parser *p, struct seen *seen, const char *value)
{
    if (seen->host)
        return http_refuse(p, 400, "Host is given twice");
    seen->host = true;
    if (!*value)
        return http_refuse(p, 400, "Host is empty");
    for (const char *c = value; *c; c++)
        if (!http_is_host_char((uint8_t)*c))
            return http_refuse(p, 400, "Host is malformed");
    p->head.host = value;
    return true;
}

static bool field_length(struct pv_http_parser *p, struct seen *seen, const char *value)
{
    size_t len = strlen(value);
    if (seen->length)
        return http_refuse(p, 400, "Content-Length is given twice");
    seen->length = true;
    if (len == 0 || strspn(value, "0123456789") != len)
        return http_refuse(p, 400, "Content-Length is no number");
    if (len > LENGTH_DIGITS_MAX)
        return http_refuse_size(p, 413, "the body", p->max_body);
    uint64_t n = 0;
    for (const char *c = value; *c; c++)
        n = n * 10 + (uint64_t)(*c - '0');
    p->head.has_length = true;
    p->head.content_length = n;
    return true;
}

static bool field_encoding(struct pv_http_parser *p, struct seen *seen, const char *value)
{
    if (seen->encoding)
        return http_refuse(p, 400, "Transfer-Encoding is given twice");
    seen->encoding = true;
    if (strcasecmp(value, "chunked") != 0)
        return http_refuse(p, 501, "the only transfer coding understood is chunked");
    p->head.chunked = true;
    return true;
}

static bool known_field(struct pv_http_parser *p, struct seen *seen, const char *name,
                        const char *value)
{
    if (strcasecmp(name, "host") == 0)
        return field_host(p, seen, value);
    if (strcasecmp(name, "content-length") == 0)
        return field_length(p, seen, value);
    if (strcasecmp(name, "transfer-encoding") == 0)
        return field_encoding(p, seen, value);
    if (strcasecmp(name, "connection") == 0) {
        seen->connection_close |= http_list_has(value, "close");
        seen->connection_keep_alive |= http_list_has(value, "keep-alive");
    } else if (strcasecmp(name, "expect") == 0) {
        if (strcasecmp(value, "100-continue") != 0)
            return http_refuse(p, 417, "the only expectation understood is 100-continue");
        p->head.expect_continue = true;
    }
    return true;
}

static bool parse_field(struct pv_http_parser *p, struct seen *seen, char *line)
{
    struct pv_http_head *h = &p->head;
    if (*line == ' ' || *line == '\t')
        return http_refuse(p, 400, "folded header fields are obsolete and refused");
    char *colon = strchr(line, ':');
    if (!colon || !http_is_token(line, (size_t)(colon - line)))
        return http_refuse(p, 400, "a header field's name is malformed");
    if (h->n_fields == PV_HTTP_HEADERS_MAX)
        return http_refuse(p, 431, "there are too many header fields");
    *colon = 0;
    char *value = colon + 1;
    value += strspn(value, " \t");
    size_t len = strlen(value);
    while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
        value[--len] = 0;
    h->fields[h->n_fields++] = (struct pv_http_field){line, value};
    return known_field(p, seen, line, value);
}

static bool check_framing(struct pv_http_parser *p, const struct seen *seen)
{
    struct pv_http_head *h = &p->head;
    if (!seen->host && h->minor == 1)
        return http_refuse(p, 400, "Host is missing");
    if (seen->length && seen->encoding)
        return http_refuse(p, 400, "both Content-Length and Transfer-Encoding are given");
    if (seen->encoding && h->minor == 0)
        return http_refuse(p, 400, "HTTP/1.0 knows no Transfer-Encoding");
    if (h->form == PV_HTTP_AUTHORITY && (h->chunked || h->content_length))
        return http_refuse(p, 400, "CONNECT has no body");
    if (h->has_length && h->content_length > p->max_body)
        return http_refuse_size(p, 413, "the body", p->max_body);
    h->keep_alive = !seen->connection_close && (h->minor == 1 || seen->connection_keep_alive);
    return true;
}

bool http_parse_head(struct pv_http_parser *p)
{
    /* The collected bytes end in CR LF CR LF and hold no NUL; strstr stops at the empty line. */
    pv_buf_u8(&p->raw, 0);
    if (p->raw.failed)
        return http_refuse_size(p, 431, "the request's head", PV_HTTP_HEAD_MAX);
    struct pv_http_head *h = &p->head;
    h->host = "";
    h->n_fields = 0;
    h->chunked = h->has_length = h->expect_continue = false;
    h->content_length = 0;
    char *cursor = (char *)p->raw.data;
    char *line = next_line(&cursor);
    if (!line || !parse_request_line(p, line))
        return line ? false : http_refuse(p, 400, "the request line is missing");
    struct seen seen = {0};
    while ((line = next_line(&cursor)))
        if (!parse_field(p, &seen, line))
            return false;
    return check_framing(p, &seen);
}

bool pv_http_is_hop_field(const struct pv_http_head *h, const char *name)
{
    static const char *const hop[] = {"connection", "proxy-connection",    "keep-alive", "te",
                                      "trailer",    "proxy-authorization", "upgrade",    "expect"};
    for (size_t i = 0; i < sizeof hop / sizeof hop[0]; i++)
        if (strcasecmp(name, hop[i]) == 0)
            return true;
    if (strcasecmp(name, "content-length") == 0 || strcasecmp(name, "transfer-encoding") == 0)
        return false;
    for (unsigned i = 0; i < h->n_fields; i++)
        if (strcasecmp(h->fields[i].name, "connection") == 0 &&
            http_list_has(h->fields[i].value, name))
            return true;
    return false;
}

const char *pv_http_field(const struct pv_http_head *h, const char *name)
{
    for (unsigned i = 0; i < h->n_fields; i++)
        if (strcasecmp(h->fields[i].name, name) == 0)
            return h->fields[i].value;
    return NULL;
}
