/* Secrets: one file each (0400 root) in the secrets directory, replaced in one step. */
#pragma once
#include "pv/buf.h"

#include <stdbool.h>

/* Writes a secret of at most PV_SECRET_MAX bytes; *ret_replaced: there was one of that name. */
PV_MUST_CHECK int pv_secret_put(int dir_fd, const char *name, const void *p, size_t len,
                                bool *ret_replaced, struct pv_err *err);
PV_MUST_CHECK int pv_secret_delete(int dir_fd, const char *name, struct pv_err *err);
/* Appends "count u32, name str each", sorted, to b. */
PV_MUST_CHECK int pv_secret_list(int dir_fd, struct pv_buf *b, struct pv_err *err);
