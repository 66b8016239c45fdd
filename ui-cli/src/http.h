/* The platform's REST API over libcurl: one request, one answer, both bounded. */
#pragma once
#include "cli.h"
#include "pv/buf.h"

#include <stdint.h>

struct cli_request {
    const char *method;
    const char *target; /* begins with '/', already percent-encoded */
    const void *body;   /* NULL: none */
    size_t body_len;
    const char *const *headers; /* "Name: value" */
    unsigned n_headers;
    bool admin;          /* send the control plane's token */
    uint64_t timeout_ms; /* 0: none, the answer may stream for ever */
    /* Takes the body as it arrives when set and the status is 2xx; false stops the transfer. */
    bool (*on_body)(void *arg, const void *p, size_t len);
    void *arg;
};

struct cli_response {
    long status;
    char call_id[40];   /* X-Call-Id, "" when absent */
    struct pv_buf head; /* status line and header lines as received, CRLF */
    struct pv_buf body; /* whole body, unless on_body took it */
    uint64_t duration_ns;
};

/* -EHOSTUNREACH when the gateway does not answer, -EACCES when the token cannot be read. The caller
 * calls cli_response_done also after a failure. */
PV_MUST_CHECK int cli_http(const struct cli *cli, const struct cli_request *req,
                           struct cli_response *ret, struct pv_err *err);
void cli_response_done(struct cli_response *r);
#define cli_autoresponse __attribute__((cleanup(cli_response_done)))

/* Reports an answer that is no success: its sentence on stderr, returns the exit code. what says
 * what was being done ("deploy 'echo'"). */
int cli_http_problem(const struct cli *cli, const struct cli_response *r, const char *what);
/* An admin call with a JSON body (may be NULL) whose JSON answer goes to ret (may be NULL). Reports
 * every failure; returns an exit code. */
int cli_admin(const struct cli *cli, const char *method, const char *target, json_t *body,
              const char *what, json_t **ret);
/* The same for what has no upper bound of its duration: it waits as long as the gateway works. */
int cli_admin_patient(const struct cli *cli, const char *method, const char *target, json_t *body,
                      const char *what, json_t **ret);
/* Writes prefix and the percent-encoded name to out. */
PV_MUST_CHECK int cli_target(char *out, size_t cap, const char *prefix, const char *name,
                             struct pv_err *err);
