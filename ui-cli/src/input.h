/* Data a user hands over: inline, from a file, or from stdin. */
#pragma once
#include "pv/buf.h"

/* "-" reads stdin to its end, anything else the named file; appended to b up to its ceiling. */
PV_MUST_CHECK int cli_read_input(const char *name, struct pv_buf *b, struct pv_err *err);
/* "@FILE" and "-" as cli_read_input, other text stands for itself. */
PV_MUST_CHECK int cli_read_data(const char *arg, struct pv_buf *b, struct pv_err *err);
/* Writes len bytes to the file name (replaced whole), or to stdout when name is NULL or "-". */
PV_MUST_CHECK int cli_write_output(const char *name, const void *p, size_t len, struct pv_err *err);
