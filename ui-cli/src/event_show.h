/* Events of the log, for people and as JSON. */
#pragma once
#include "cli.h"
#include "pv/event.h"

#include <stdio.h>

/* {"id","seq","kind","time","time_ns","domain","invocation" (or null),"fields":{…}}; bytes as hex.
 */
json_t *cli_event_json(uint64_t seq, const struct pv_event *e);
/* The fields alone. */
json_t *cli_event_fields_json(const struct pv_event *e);
/* One line: id, time, kind, call, fields. */
void cli_event_print(FILE *f, uint64_t seq, const struct pv_event *e);
/* Whether text is the event's call id (or a prefix), or part of one of its text fields. */
bool cli_event_matches(const struct pv_event *e, const char *text);
