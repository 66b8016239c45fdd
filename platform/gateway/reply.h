/* Answers: exactly one for each request. */
#pragma once
#include "conn_state.h"

#include <jansson.h>

void gw_conn_reply(struct gw_conn *c, unsigned status, const char *type, const void *p, size_t len);
void gw_conn_text(struct gw_conn *c, unsigned status, const char *fmt, ...) PV_PRINTF(3, 4);
/* Takes the reference. */
void gw_conn_json(struct gw_conn *c, unsigned status, json_t *json);
/* The status for an operation of the control plane that failed with errno rc (of either sign): 400
 * unless it is no fault of what was asked for. */
unsigned gw_status_of_errno(int rc);
/* An answer in parts: begin, fields, then finish, or finish_payload, which takes the payload and
 * sends it from its byte `from`. */
void gw_reply_begin(struct gw_conn *c, unsigned status);
void gw_reply_field(struct gw_conn *c, const char *name, const char *value);
void gw_reply_finish(struct gw_conn *c, const void *p, size_t len);
void gw_reply_finish_payload(struct gw_conn *c, struct pv_payload *p, size_t from);
