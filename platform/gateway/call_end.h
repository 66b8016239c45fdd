/* How an invocation ends: its last events, its answer, and the end of what it opened. */
#pragma once
#include "call.h"

#include "pv/msg.h"

/* Records, answers with "NAME: text" and frees. The call is in no queue and not counted as in
 * flight any more. */
void gw_call_end_text(struct gw_call *call, unsigned status, const char *outcome, const char *text);
/* Records and answers; the call stays until its host reports. */
void gw_call_answer_early(struct gw_call *call, unsigned status, const char *outcome,
                          const char *text);
/* PV_HOST_RESULT. */
void gw_call_result(struct gw_version *v, struct pv_msg *m, struct pv_reader *r);
/* Ends the calls of a version that wait, or run, with an error for their clients. */
void gw_calls_fail_queued(struct gw_version *v, unsigned status, const char *why);
void gw_calls_fail_running(struct gw_version *v, const char *why);
