/* The stitcher's own parts. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Loads the list of system calls the stitcher needs once it runs; anything else fails with EPERM.
 */
PV_MUST_CHECK int stitcher_confine(struct pv_err *err);

/* Its share of the processors. Requests do not wait for the graph: it takes what they leave, and no
 * more than a twentieth of one processor while keeping up would take more; but is never starved.
 * When it has not come to the end of the log for 30 s, or somebody asks for what it lacks, it takes
 * a full share until it has. */
struct stitcher_share {
    int autogroup_fd; /* owned; -1: none */
    bool policy;      /* it may be SCHED_IDLE: the way back is open */
    bool rest;        /* takes what others leave */
    uint64_t at_end_ns;
    uint64_t last_ns, last_size; /* the log then */
};
struct stitcher_turn {
    uint64_t now_ns;
    uint64_t worked_ns; /* of CPU */
    uint64_t done;      /* entries */
    uint64_t log_size;  /* entries */
    bool at_end;        /* the end of the log was reached */
    bool asked;         /* somebody waits */
};
/* To be called before privileges are given up; a full share until the first turn. */
void stitcher_share_open(struct stitcher_share *s);
void stitcher_share_close(struct stitcher_share *s);
/* After every turn. Returns for how many ns the next one is to be put off. */
uint64_t stitcher_share_turn(struct stitcher_share *s, const struct stitcher_turn *t);
/* From now on nothing else matters. */
void stitcher_share_full(struct stitcher_share *s);
