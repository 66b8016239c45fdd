/* The routes of the REST API. docs/formats/api.md describes them. */
#pragma once
#include "conn.h"

/* Finds the handler of the request whose head is complete, after checking that the caller may use
 * it; NULL after it has been answered. */
gw_handler *gw_api_route(struct gw_conn *c);
