/* Secrets: one file each (0400 root) in the secrets directory, replaced in one step. */
#pragma once
#include "pv/buf.h"

/* Writes a secret of at most PV_SECRET_MAX bytes. */
PV_MUST_CHECK int pv_secret_put(int dir_fd, const char *name, const void *p, size_t len,
                                struct pv_err *err);
/* 0 when there is a secret of that name; -ENOENT, -EINVAL. */
PV_MUST_CHECK int pv_secret_find(int dir_fd, const char *name, struct pv_err *err);
PV_MUST_CHECK int pv_secret_delete(int dir_fd, const char *name, struct pv_err *err);
/* Appends "count u32, name str each", sorted, to b. */
PV_MUST_CHECK int pv_secret_list(int dir_fd, struct pv_buf *b, struct pv_err *err);
