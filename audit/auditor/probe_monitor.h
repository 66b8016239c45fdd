/* Records of sealed monitors into events; see probe_translate.h. */
#pragma once
#include "probe_translate.h"

int pv_probe_from_alarm(const void *rec, struct pv_probe_texts *texts, struct pv_event *e);
int pv_probe_from_monitor_open(const void *rec, struct pv_probe_texts *texts, struct pv_event *e);
