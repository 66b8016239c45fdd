/* Quantities as people type them. Every parser refuses what it does not understand completely. */
#pragma once
#include "pv/err.h"

#include <stddef.h>
#include <stdint.h>

/* "64M", "64Mi", "64MiB", "1G", "512k", "4096": bytes; every suffix counts in powers of 1024. */
PV_MUST_CHECK int cli_parse_size(const char *text, uint64_t *ret_bytes, struct pv_err *err);
/* "10s", "500ms", "2m", "1h30m", "1d"; a bare number counts seconds. */
PV_MUST_CHECK int cli_parse_duration(const char *text, uint64_t *ret_ms, struct pv_err *err);
/* "0.5", "2" (CPUs) or "500m" (thousandths): thousandths of a CPU, never 0. */
PV_MUST_CHECK int cli_parse_cpu(const char *text, uint32_t *ret_millis, struct pv_err *err);
/* A decimal number of at most max. */
PV_MUST_CHECK int cli_parse_count(const char *text, uint64_t max, uint64_t *ret,
                                  struct pv_err *err);
/* A moment: a duration before now ("10m") or "2026-11-21[T10:00[:00[.123]][Z]]" in UTC. */
PV_MUST_CHECK int cli_parse_moment(const char *text, uint64_t now_ns, uint64_t *ret_ns,
                                   struct pv_err *err);
/* "64.0 MiB", "812 B". */
const char *cli_format_size(uint64_t bytes, char *out, size_t cap);
/* "2026-11-21T10:00:00.123456Z". */
const char *cli_format_time(uint64_t ns, char *out, size_t cap);
