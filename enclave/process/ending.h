/* Notices that a process is about to exit (seccomp's user notification of exit_group), which come
 * before its memory is taken apart: an answer need not wait for that. */
#pragma once
#include "pv/err.h"

#include <stdint.h>
#include <sys/types.h>

struct pv_ending {
    uint64_t id;
    pid_t pid; /* of the thread that exits */
    uint32_t code;
};

/* Takes a notice, if there is one: 1; 0: there is none, or who sent it is gone; -EPIPE: there will
 * be none, for nobody is left who could send one; or another negative errno. Does not wait. */
PV_MUST_CHECK int pv_ending_take(int listener, struct pv_ending *ret, struct pv_err *err);
/* Lets that process exit. */
void pv_ending_pass(int listener, uint64_t id);
