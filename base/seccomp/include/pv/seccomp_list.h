/* A role's list of system calls: what it may do once everything is open. */
#pragma once
#include "pv/err.h"

#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* A call that is allowed with this value of an argument (0: the first); several entries allow
 * several. */
struct pv_seccomp_checked {
    int call;
    uint64_t value;
    unsigned argument;
};

/* Calls are numbers as SCMP_SYS gives them. Everything is borrowed for the call below. */
struct pv_seccomp_list {
    const int *calls; /* whatever their arguments */
    size_t n_calls;
    const struct pv_seccomp_checked *checked;
    size_t n_checked;
    const int *absent; /* fail with ENOSYS, upon which libraries take others */
    size_t n_absent;
    const int *sanitizer; /* what the sanitizers' run time needs beside; unused in other builds */
    size_t n_sanitizer;
};
#define PV_SECCOMP_COUNT(table) (sizeof(table) / sizeof *(table))

/* Allows the calls of the list and fails the others with EPERM: for the calling thread and those it
 * starts, for good. -ENOMEM, or what the kernel says. */
PV_MUST_CHECK int pv_seccomp_load(const struct pv_seccomp_list *list, struct pv_err *err);
