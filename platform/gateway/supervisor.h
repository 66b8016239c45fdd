/* The gateway's side of its control socket: requests to the supervisor and their answers. */
#pragma once
#include "pv/msg.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway;

/* An answer: rc is 0 or a positive errno, error the supervisor's sentence. body is positioned after
 * both; msg holds the descriptors. Both are borrowed for the call. */
struct gw_answer {
    unsigned rc;
    const char *error;
    struct pv_msg *msg;
    struct pv_reader *body;
};
typedef void gw_answer_fn(struct gateway *gw, void *ctx, struct gw_answer *a);

/* What the supervisor says unasked. */
struct gw_supervisor_upward {
    /* A version's host was replaced (PV_SUP_HOST_STARTED without a tag), or that failed. */
    void (*restarted)(struct gateway *gw, struct gw_answer *a);
    /* PV_SUP_HOST_EXITED. */
    void (*exited)(struct gateway *gw, struct pv_msg *m);
};

/* Watches the control socket. upward is borrowed for good. Nothing below before this. */
PV_MUST_CHECK int gw_supervisor_start(struct gateway *gw, const struct gw_supervisor_upward *upward,
                                      struct pv_err *err);
/* Starts a message of that type with a fresh tag. */
void gw_supervisor_init(struct gateway *gw, struct pv_msg *m, uint16_t type, uint64_t *ret_tag);
/* Sends it; fn gets the answer of answer_type once, or ETIMEDOUT. Refused when too many wait. */
PV_MUST_CHECK int gw_supervisor_ask(struct gateway *gw, const struct pv_msg *m, uint64_t tag,
                                    uint16_t answer_type, gw_answer_fn *fn, void *ctx,
                                    struct pv_err *err);
/* True for the error of asking a supervisor that has more to do than it can queue: asking again
 * later helps. */
bool gw_supervisor_busy(int rc);
/* Forgets answers for ctx. */
void gw_supervisor_forget(struct gateway *gw, const void *ctx);
/* Gives up on answers that are overdue. */
void gw_supervisor_tick(struct gateway *gw, uint64_t now_ns);
