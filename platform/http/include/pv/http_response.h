/* What Provost reads of responses: the status line of a server behind the egress proxy, and the
 * header block of a CGI program (RFC 3875 section 6). */
#pragma once
#include "pv/buf.h"
#include "pv/http.h"

enum { PV_CGI_FIELDS_MAX = 48 };

/* Finds the status in a stream that is relayed unchanged. Zero-initialise. */
struct pv_http_status_scan {
    char line[16]; /* "HTTP/1.1 200" and one more byte */
    size_t len;
    unsigned status; /* 0 until known, or when the stream is no HTTP/1 response */
};
void pv_http_status_feed(struct pv_http_status_scan *s, const uint8_t *p, size_t len);

struct pv_cgi_response {
    struct pv_buf text; /* owned: the header block, cut into strings */
    unsigned status;    /* 200 unless the program said else; 302 for Location alone */
    unsigned n_fields;
    struct pv_http_field fields[PV_CGI_FIELDS_MAX]; /* without Status and hop-by-hop fields */
    const char *content_type;                       /* one of fields, or NULL */
    size_t body_off;                                /* where the content starts in the output */
};
/* Parses the output of a CGI program. -EBADMSG, naming the fault, when it has no valid header
 * block. done is needed after success only. */
PV_MUST_CHECK int pv_cgi_parse(const uint8_t *p, size_t len, struct pv_cgi_response *ret,
                               struct pv_err *err);
void pv_cgi_done(struct pv_cgi_response *r);
