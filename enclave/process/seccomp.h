/* The system calls of a domain's owner and of its functions. Two filters: the owner loads the
 * allow list of both, once, and instances inherit it for nothing; each instance then loads a short
 * list that takes away what only the owner needs. */
#pragma once
#include "pv/err.h"

#include <linux/filter.h>
#include <stdint.h>

/* Loads the allow list into the calling process. */
PV_MUST_CHECK int pv_filter_load_base(struct pv_err *err);
/* The instances' list. */
extern const struct sock_fprog pv_filter_function;

/* The same for a zygote and its children, with three exceptions. A clone with namespaces or for its
 * parent is handed to the tracer (PTRACE_EVENT_SECCOMP), and is an unknown call for who has none.
 * mount and capset are granted to who knows the secret, in the sixth argument, which they have no
 * use for. exit_group waits for who listens (ending.h). */
enum { PV_FILTER_MAX = 41 };
struct sock_fprog pv_filter_zygote(struct sock_filter rules[PV_FILTER_MAX], uint64_t secret);
