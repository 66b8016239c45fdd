/* Whether something of a process that waits in its first read would be missing in a fork of it, or
 * be shared with it, or stand in its way. */
#pragma once
#include "pv/err.h"

#include <stdint.h>
#include <sys/types.h>

struct pv_pipes;

/* 0, or -ENOTSUP and err says what it is. Its descriptors may be 0, 1, 2 and PV_ZYGOTE_CONTROL_FD,
 * which must be the socket with that inode. */
PV_MUST_CHECK int pv_unforkable(pid_t pid, const struct pv_pipes *p, uint64_t control_inode,
                                struct pv_err *err);
