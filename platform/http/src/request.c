/* The parser's outer steps: collecting the head, then the body. */
#include "parser.h"
#include "pv/size.h"
#include "syntax.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_LINE_EXTRA = 64 }; /* method, version and blanks beside the target */

bool http_refuse(struct pv_http_parser *p, unsigned status, const char *reason)
{
    p->stage = STAGE_ERROR;
    p->status = status;
    p->reason = reason;
    return false;
}

bool http_refuse_size(struct pv_http_parser *p, unsigned status, const char *part, uint64_t limit)
{
    char size[PV_SIZE_TEXT];
    snprintf(p->reason_text, sizeof p->reason_text, "%s is over %s, the most that is taken", part,
             pv_size_text(limit, size));
    return http_refuse(p, status, p->reason_text);
}

int pv_http_parser_new(struct pv_http_parser **ret, unsigned forms, uint64_t max_body,
                       struct pv_err *err)
{
    struct pv_http_parser *p = calloc(1, sizeof *p);
    if (!p)
        return pv_fail(err, ENOMEM, "allocate an HTTP parser");
    p->forms = forms;
    p->max_body = max_body;
    pv_buf_init(&p->raw, PV_HTTP_HEAD_MAX);
    pv_http_parser_reset(p);
    *ret = p;
    return 0;
}

void pv_http_parser_free(struct pv_http_parser *p)
{
    if (!p)
        return;
    pv_buf_done(&p->raw);
    free(p);
}

void pv_http_parser_reset(struct pv_http_parser *p)
{
    pv_buf_reset(&p->raw);
    p->head.n_fields = 0;
    p->stage = STAGE_HEAD;
    p->started = p->seen_cr = p->skipped_empty = false;
    p->first_line = true;
    p->line_len = 0;
    p->body = BODY_NONE;
    p->remaining = p->total = 0;
    p->digits = 0;
    p->meta_len = 0;
    p->status = 0;
    p->reason = "";
}

const struct pv_http_head *pv_http_parser_head(const struct pv_http_parser *p)
{
    assert(p->stage == STAGE_BODY || p->stage == STAGE_DONE || p->stage == STAGE_ERROR);
    return &p->head;
}

bool pv_http_parser_started(const struct pv_http_parser *p)
{
    return p->started;
}

unsigned pv_http_parser_status(const struct pv_http_parser *p)
{
    return p->status;
}

const char *pv_http_parser_reason(const struct pv_http_parser *p)
{
    return p->reason;
}

/* The end of a line inside the head. 1: the head is complete, 0: go on, -1: refused. */
static int end_line(struct pv_http_parser *p, bool *ret_skip)
{
    *ret_skip = false;
    if (p->line_len > 0) {
        p->line_len = 0;
        p->first_line = false;
        return 0;
    }
    if (!p->first_line)
        return 1;
    /* RFC 9112 2.2: a server ignores an empty line before the request line; one is enough. */
    if (p->skipped_empty) {
        (void)http_refuse(p, 400, "the request starts with empty lines");
        return -1;
    }
    p->skipped_empty = true;
    *ret_skip = true;
    return 0;
}

static bool head_byte(struct pv_http_parser *p, uint8_t c)
{
    if (p->seen_cr)
        return http_refuse(p, 400, "a CR that no LF follows");
    if (c == '\r') {
        p->seen_cr = true;
        return true;
    }
    if (http_is_control(c))
        return http_refuse(p, 400, "a control byte in the head");
    p->line_len++;
    if (p->first_line && p->line_len > PV_HTTP_TARGET_MAX + REQUEST_LINE_EXTRA)
        return http_refuse_size(p, 414, "the request target", PV_HTTP_TARGET_MAX);
    return true;
}

/* Collects head bytes; true when the head is complete. */
static bool collect_head(struct pv_http_parser *p, const uint8_t *in, size_t len, size_t *ret_used)
{
    size_t from = 0;
    size_t i = 0;
    int complete = 0;
    for (; i < len && !complete; i++) {
        if (in[i] != '\n') {
            if (!head_byte(p, in[i]))
                return false;
            continue;
        }
        if (!p->seen_cr)
            return http_refuse(p, 400, "an LF without CR");
        p->seen_cr = false;
        bool skip;
        complete = end_line(p, &skip);
        if (complete < 0)
            return false;
        if (skip) {
            from = i + 1;
            pv_buf_reset(&p->raw); /* a CR may have come with an earlier range */
        }
    }
    *ret_used = i;
    pv_buf_raw(&p->raw, in + from, i - from);
    if (p->raw.failed)
        return http_refuse_size(p, 431, "the request's head", PV_HTTP_HEAD_MAX);
    return complete;
}

static void start_body(struct pv_http_parser *p)
{
    p->stage = STAGE_BODY;
    if (p->head.chunked) {
        p->body = CHUNK_SIZE;
    } else if (p->head.content_length > 0) {
        p->body = BODY_LENGTH;
        p->remaining = p->head.content_length;
    }
}

static enum pv_http_step head_step(struct pv_http_parser *p, const uint8_t *in, size_t len,
                                   size_t *ret_used)
{
    if (len)
        p->started = true;
    if (collect_head(p, in, len, ret_used) && http_parse_head(p)) {
        start_body(p);
        return PV_HTTP_HEAD;
    }
    return p->stage == STAGE_ERROR ? PV_HTTP_ERROR : PV_HTTP_MORE;
}

static enum pv_http_step length_step(struct pv_http_parser *p, const uint8_t *in, size_t len,
                                     size_t *ret_used, struct pv_http_span *ret_body)
{
    if (len == 0)
        return PV_HTTP_MORE;
    size_t n = p->remaining < len ? (size_t)p->remaining : len;
    p->remaining -= n;
    if (p->remaining == 0)
        p->body = BODY_NONE;
    *ret_used = n;
    *ret_body = (struct pv_http_span){in, n};
    return PV_HTTP_BODY;
}

enum pv_http_step pv_http_parse(struct pv_http_parser *p, const uint8_t *in, size_t len,
                                size_t *ret_used, struct pv_http_span *ret_body)
{
    *ret_used = 0;
    *ret_body = (struct pv_http_span){NULL, 0};
    switch (p->stage) {
    case STAGE_HEAD:
        return head_step(p, in, len, ret_used);
    case STAGE_BODY:
        if (p->body == BODY_LENGTH)
            return length_step(p, in, len, ret_used, ret_body);
        if (p->body != BODY_NONE)
            return http_chunked_step(p, in, len, ret_used, ret_body);
        p->stage = STAGE_DONE;
        return PV_HTTP_DONE;
    case STAGE_DONE:
        return PV_HTTP_DONE;
    case STAGE_ERROR:
        break;
    }
    return PV_HTTP_ERROR;
}
