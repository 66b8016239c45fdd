/* System calls: one function each, in a table by number. a: the six arguments as in the registers.
 * A function returns what Linux's call returns (-errno on failure) or one of the two below. */
#pragma once
#include "guest.h"

/* The thread waits, and the call is made again when something has changed; t->until_ns ends the
 * wait. t->again tells a repetition from the first time. */
#define PV_CALL_WAIT ((int64_t)-5000)
/* Registers and state are as they should be: nothing is returned. */
#define PV_CALL_DONE ((int64_t)-5001)

typedef int64_t (*pv_call_fn)(struct pv_vm *vm, struct pv_thread *t,
                              const uint64_t a[PV_CALL_ARGS]);

struct pv_call_entry {
    const char *name;
    const char *shape; /* one letter an argument: d number, x bits or address, s path, u unsigned */
    pv_call_fn fn;
};
enum { PV_CALLS_MAX = 512 };
/* NULL: not known. */
const struct pv_call_entry *pv_call_entry(uint64_t nr);

/* Answers the call in t->nr and t->args: the result, PV_CALL_WAIT or PV_CALL_DONE. */
int64_t pv_call_answer(struct pv_vm *vm, struct pv_thread *t);
/* Notes for the report that the program made that call and no program here may; false: it has
 * been noted already. */
bool pv_call_in_vain(struct pv_vm *vm, uint64_t nr);

/* The absolute CLOCK_MONOTONIC time of a timeout that begins now; at least 1. */
uint64_t pv_call_until(uint64_t timeout_ns);
/* Nanoseconds of a guest timespec: 0, -EFAULT, -EINVAL. Saturates. */
int pv_call_timespec(struct pv_vm *vm, uint64_t at, uint64_t *ret_ns);
/* A path from the guest: its length or -errno. */
int pv_call_path(struct pv_vm *vm, uint64_t at, char ret[4096]);
/* Result of a call of the files layer: PV_FILES_WAIT becomes PV_CALL_WAIT. */
int64_t pv_call_files(int64_t rc);
/* Copies n bytes out when rc is no error: rc or -EFAULT. */
int64_t pv_call_out(struct pv_vm *vm, int64_t rc, uint64_t to, const void *from, uint64_t n);

#define PV_CALL(name) int64_t name(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
