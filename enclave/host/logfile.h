/* A function's stderr log: whole lines with time and call id, bounded in size. */
#pragma once
#include "pv/id.h"
#include "pv/limits.h"

#include <stddef.h>

struct pv_log_file {
    int fd; /* O_APPEND */
    uint64_t len_bytes;
};

enum { PV_LOG_LINE_MAX = 2048 };

/* The line being collected from one instance. */
struct pv_log_lines {
    char text[PV_LOG_LINE_MAX];
    size_t len;
    uint64_t total_bytes; /* of the instance so far */
};

/* Takes fd. */
void pv_log_file_init(struct pv_log_file *l, int fd);
/* Adds what an instance wrote; call is all zero before it has a request. */
void pv_log_lines_add(struct pv_log_file *l, struct pv_log_lines *lines,
                      const struct pv_call_id *call, const char *p, size_t len);
/* Writes an unfinished last line and starts over. */
void pv_log_lines_end(struct pv_log_file *l, struct pv_log_lines *lines,
                      const struct pv_call_id *call);
