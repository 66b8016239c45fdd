/* Names of status codes, and the status of a relayed response. */
#include "pv/http_response.h"

#include <string.h>

static const struct {
    unsigned status;
    const char *text;
} names[] = {
    {100, "Continue"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
};

const char *pv_http_status_text(unsigned status)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].status == status)
            return names[i].text;
    return "Unknown";
}

enum { STATUS_LINE_BYTES = 12 }; /* "HTTP/1.1 200" */

void pv_http_status_feed(struct pv_http_status_scan *s, const uint8_t *p, size_t len)
{
    if (s->len >= STATUS_LINE_BYTES)
        return;
    while (len && s->len < STATUS_LINE_BYTES) {
        s->line[s->len++] = (char)*p++;
        len--;
    }
    if (s->len < STATUS_LINE_BYTES || memcmp(s->line, "HTTP/1.", 7) != 0 || s->line[8] != ' ')
        return;
    unsigned status = 0;
    for (int i = 9; i < STATUS_LINE_BYTES; i++) {
        if (s->line[i] < '0' || s->line[i] > '9')
            return;
        status = status * 10 + (unsigned)(s->line[i] - '0');
    }
    s->status = status;
}
