/* The parser's state, shared by its files. */
#pragma once
#include "pv/buf.h"
#include "pv/http.h"

enum body_state {
    BODY_NONE,
    BODY_LENGTH,
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    TRAILERS_END_LF,
};

enum stage { STAGE_HEAD, STAGE_BODY, STAGE_DONE, STAGE_ERROR };

struct pv_http_parser {
    unsigned forms;
    uint64_t max_body;
    enum stage stage;
    struct pv_buf raw; /* the head's bytes; strings of `head` point into it */
    struct pv_http_head head;
    bool started;
    bool seen_cr;
    bool first_line;    /* still inside the request line */
    bool skipped_empty; /* one empty line before the request line was tolerated */
    size_t line_len;
    enum body_state body;
    uint64_t remaining; /* bytes of the body, or of the chunk */
    uint64_t total;     /* body bytes announced by chunks so far */
    unsigned digits;    /* of the chunk size */
    size_t meta_len;    /* of the chunk's line, or of the trailers */
    unsigned status;
    const char *reason;
    char reason_text[96]; /* when it is none of the fixed ones */
};

/* Records a refusal and returns false. */
bool http_refuse(struct pv_http_parser *p, unsigned status, const char *reason);
/* The same for a part of the request that is over its limit. */
bool http_refuse_size(struct pv_http_parser *p, unsigned status, const char *part, uint64_t limit);
/* Parses p->raw, a complete head, into p->head. */
bool http_parse_head(struct pv_http_parser *p);
/* One step in a chunked body. */
enum pv_http_step http_chunked_step(struct pv_http_parser *p, const uint8_t *in, size_t len,
                                    size_t *ret_used, struct pv_http_span *ret_body);
