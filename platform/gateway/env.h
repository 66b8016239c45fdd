/* The variables of a request: CGI (RFC 3875) and those of OpenFaaS's classic watchdog. */
#pragma once
#include "pv/buf.h"
#include "pv/http.h"

struct gw_env_request {
    const struct pv_http_head *head;
    const char *function;
    const char *path; /* what follows /function/NAME, "" or "/…", without the query */
    size_t path_len;
    const char *query;  /* without "?" */
    const char *remote; /* "ip:port" */
    const char *call_id;
    uint64_t start_ns;
    size_t body_len;
    const char *token; /* never passed on */
};
/* Writes "K=V" NUL each into b. -EMSGSIZE when it does not fit, -EINVAL for a path that is no
 * path. */
PV_MUST_CHECK int gw_env_build(struct pv_buf *b, const struct gw_env_request *q,
                               struct pv_err *err);
