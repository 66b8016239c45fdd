/* A function's environment. At exec the block is
 *     static variables (deployment, proxy, PATH), then a reserve: one padding string,
 *     then placeholders, each of them a pointer the request's variables can take.
 * A first-read instance gets its variables by having the reserve overwritten while it is blocked
 * in its first read. */
#pragma once
#include "pv/domain.h"

#include <sys/types.h>

/* Pointers: of an exec instance up to 160 request variables, of a first-read one fewer. */
enum { PV_ENV_POINTERS_MAX = PV_ENV_MAX + 160 + 16 };

struct pv_environment {
    char *strings;                   /* owned: all text of the block as it is at exec */
    char *envp[PV_ENV_POINTERS_MAX]; /* into strings; static, reserve, NULL */
    unsigned n_static, n_all;
    size_t reserve_off, len; /* within strings */
    uint32_t numbers[2];     /* probe: values of the length variables */
    char canary[17];         /* probe: value of the others; "" otherwise */
};

/* Names a program is likely to ask for before it reads, in either class: what it finds must count as
 * use. Of the lengths the value is used as a number. NULL-terminated. */
extern const char *const pv_environment_likely[];
extern const char *const pv_environment_lengths[];

/* reserve: false for instances that wait at the gate. */
PV_MUST_CHECK int pv_environment_make(struct pv_environment *ret, const struct pv_spec *spec,
                                      bool reserve, bool probe, struct pv_err *err);
void pv_environment_done(struct pv_environment *e);

/* Where the block lies in a process after exec. */
struct pv_environment_place {
    uint64_t envp;           /* address of the pointer array */
    uint64_t text, text_end; /* the reserve's text */
    uint64_t stack;          /* the initial stack pointer: argc */
};
/* Reads /proc/PID/stat and the stack; refuses when the process changed its block. */
PV_MUST_CHECK int pv_environment_find(const struct pv_environment *e, pid_t pid,
                                      struct pv_environment_place *ret, struct pv_err *err);
/* Writes the request's variables ("K=V" NUL each) into the reserve found there. */
PV_MUST_CHECK int pv_environment_write(const struct pv_environment *e,
                                       const struct pv_environment_place *place, pid_t pid,
                                       const char *env, size_t len, struct pv_err *err);
