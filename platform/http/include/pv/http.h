/* A strict HTTP/1.1 request parser (RFC 9112), fed with byte ranges as they arrive. What two
 * parsers could read differently is refused: framing by both Content-Length and Transfer-Encoding,
 * repeated Content-Length, obsolete folding, bare CR or LF, whitespace before a colon, control
 * bytes, a missing or repeated Host. One thread at a time. */
#pragma once
#include "pv/err.h"
#include "pv/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Forms of a request target (RFC 9112 section 3.2), to be combined as a mask of what is accepted.
 */
enum pv_http_form {
    PV_HTTP_ORIGIN = 1,    /* /path?query */
    PV_HTTP_ABSOLUTE = 2,  /* http://host/path: to a proxy */
    PV_HTTP_AUTHORITY = 4, /* host:port: CONNECT */
};

struct pv_http_field {
    const char *name;  /* as sent; compare without regard to case */
    const char *value; /* without surrounding white space */
};

/* A complete head. All strings are borrowed from the parser until it is reset. */
struct pv_http_head {
    const char *method;
    const char *target;
    enum pv_http_form form;
    unsigned minor;   /* HTTP/1.minor: 0 or 1 */
    const char *host; /* the Host field, "" when HTTP/1.0 has none */
    unsigned n_fields;
    struct pv_http_field fields[PV_HTTP_HEADERS_MAX];
    bool chunked;
    bool has_length;
    uint64_t content_length;
    bool keep_alive;
    bool expect_continue;
};

enum pv_http_step {
    PV_HTTP_MORE,  /* all input was used, more is needed */
    PV_HTTP_HEAD,  /* the head is complete: pv_http_parser_head */
    PV_HTTP_BODY,  /* *ret_body is the next piece of the body, borrowed from the input */
    PV_HTTP_DONE,  /* the request is complete; reset before the next one */
    PV_HTTP_ERROR, /* refused: pv_http_parser_status and _reason; answer and close */
};

struct pv_http_span {
    const uint8_t *data;
    size_t len;
};

struct pv_http_parser;
/* forms: which targets are accepted; max_body: a longer body is refused with 413. */
PV_MUST_CHECK int pv_http_parser_new(struct pv_http_parser **ret, unsigned forms, uint64_t max_body,
                                     struct pv_err *err);
/* Accepts NULL. */
void pv_http_parser_free(struct pv_http_parser *p);
/* Ready for the next request of the connection; invalidates the head. */
void pv_http_parser_reset(struct pv_http_parser *p);
/* Takes one step over in[0..len) and says in *ret_used how many bytes it consumed. A step with
 * len 0 can still return HEAD's follower DONE: call until MORE. */
enum pv_http_step pv_http_parse(struct pv_http_parser *p, const uint8_t *in, size_t len,
                                size_t *ret_used, struct pv_http_span *ret_body);
/* Valid from PV_HTTP_HEAD until reset. */
const struct pv_http_head *pv_http_parser_head(const struct pv_http_parser *p);
/* True once the first byte of a request has been seen. */
bool pv_http_parser_started(const struct pv_http_parser *p);
/* The status to answer with after PV_HTTP_ERROR, and one sentence for the client (borrowed
 * until reset). */
unsigned pv_http_parser_status(const struct pv_http_parser *p);
const char *pv_http_parser_reason(const struct pv_http_parser *p);

/* The first field of that name, or NULL. */
const char *pv_http_field(const struct pv_http_head *h, const char *name);
/* Whether the field concerns this connection only and must not be passed on (RFC 9110 section
 * 7.6.1): one of the known ones, or named in Connection. Never one that frames the body. */
bool pv_http_is_hop_field(const struct pv_http_head *h, const char *name);
/* Splits "host:port" or "[v6]:port" (no user info). default_port 0: the port is mandatory. host is
 * lower-cased, without brackets. */
bool pv_http_split_authority(const char *text, size_t len, uint16_t default_port, char *host,
                             size_t host_cap, uint16_t *ret_port);
/* "Not Found" and so on; "Unknown" for a status without a name. */
const char *pv_http_status_text(unsigned status);

static inline void pv_http_parser_cleanup_(struct pv_http_parser **p)
{
    pv_http_parser_free(*p);
}
#define pv_autofree_http __attribute__((cleanup(pv_http_parser_cleanup_)))
