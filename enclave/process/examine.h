/* Whether a program has used its environment before its first read of stdin: if so, what it would
 * be given at request time comes too late. */
#pragma once
#include "environment.h"

/* Looks through the writable memory of a probe that waits: for the canary or the numbers outside
 * the block, for pointers to a variable's value, and for pointers to a variable outside the stack.
 * 1: found (why says what), 0: not, negative: could not look. */
PV_MUST_CHECK int pv_examine(const struct pv_environment *e, pid_t pid, struct pv_err *why);
