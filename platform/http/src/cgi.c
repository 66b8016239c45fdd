/* The header block of a CGI program's output (RFC 3875 section 6.2). */
#include "pv/http_response.h"

#include "syntax.h"

#include <string.h>
#include <strings.h>

void pv_cgi_done(struct pv_cgi_response *r)
{
    pv_buf_done(&r->text);
}

/* Length of the header block with its empty line; 0 when there is none within the limit. */
static size_t block_len(const uint8_t *p, size_t len)
{
    size_t line = 0;
    for (size_t i = 0; i < len && i < PV_HTTP_HEAD_MAX - 1; i++) {
        if (p[i] != '\n') {
            line++;
            continue;
        }
        if (line == 0 || (line == 1 && p[i - 1] == '\r'))
            return i + 1;
        line = 0;
    }
    return 0;
}

/* Fields that belong to the gateway: it frames, dates and names the response itself. */
static bool is_gateways(const char *name)
{
    static const char *const own[] = {"connection",        "content-length", "date",
                                      "keep-alive",        "server",         "te",
                                      "trailer",           "upgrade",        "x-call-id",
                                      "transfer-encoding", "x-start-time",   "x-duration-seconds"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcasecmp(own[i], name) == 0)
            return true;
    return false;
}

static int parse_status(struct pv_cgi_response *r, const char *value, struct pv_err *err)
{
    unsigned status = 0;
    for (int i = 0; i < 3; i++) {
        if (value[i] < '0' || value[i] > '9')
            return pv_refuse(err, EBADMSG, "its Status field is no number of three digits");
        status = status * 10 + (unsigned)(value[i] - '0');
    }
    if ((value[3] && value[3] != ' ') || status < 200 || status > 599)
        return pv_refuse(err, EBADMSG, "its Status field is not between 200 and 599");
    r->status = status;
    return 0;
}

static int parse_line(struct pv_cgi_response *r, char *line, bool *location, struct pv_err *err)
{
    char *colon = strchr(line, ':');
    if (!colon || !http_is_token(line, (size_t)(colon - line)))
        return pv_refuse(err, EBADMSG, "a line of its header block is no header field");
    *colon = 0;
    char *value = colon + 1 + strspn(colon + 1, " \t");
    for (const char *c = value; *c; c++)
        if (http_is_control((uint8_t)*c))
            return pv_refuse(err, EBADMSG, "its field '%s' has a control byte", line);
    if (strcasecmp(line, "status") == 0)
        return parse_status(r, value, err);
    if (is_gateways(line))
        return 0;
    if (r->n_fields == PV_CGI_FIELDS_MAX)
        return pv_refuse(err, EBADMSG, "it has more than %d header fields", PV_CGI_FIELDS_MAX);
    if (strcasecmp(line, "content-type") == 0)
        r->content_type = value;
    if (strcasecmp(line, "location") == 0)
        *location = true;
    r->fields[r->n_fields++] = (struct pv_http_field){line, value};
    return 0;
}

static int parse_block(struct pv_cgi_response *r, struct pv_err *err)
{
    bool location = false;
    for (char *line = (char *)r->text.data; *line;) {
        size_t len = strcspn(line, "\n");
        char *next = line + len + 1;
        line[len] = 0;
        if (len && line[len - 1] == '\r')
            line[len - 1] = 0;
        if (*line == 0)
            break;
        PV_TRY(parse_line(r, line, &location, err));
        line = next;
    }
    if (r->status == 0)
        r->status = location ? 302 : 200;
    return 0;
}

int pv_cgi_parse(const uint8_t *p, size_t len, struct pv_cgi_response *ret, struct pv_err *err)
{
    struct pv_cgi_response r = {.body_off = block_len(p, len)};
    if (r.body_off == 0)
        return pv_refuse(err, EBADMSG, "it does not start with a CGI header block");
    if (memchr(p, 0, r.body_off))
        return pv_refuse(err, EBADMSG, "its header block has a NUL byte");
    pv_buf_init(&r.text, PV_HTTP_HEAD_MAX);
    pv_buf_raw(&r.text, p, r.body_off);
    pv_buf_u8(&r.text, 0);
    int rc = pv_buf_check(&r.text, "CGI header block", err);
    if (rc == 0)
        rc = parse_block(&r, err);
    if (rc < 0) {
        pv_cgi_done(&r);
        return rc;
    }
    *ret = r;
    return 0;
}
