/* From a path in the root to a process at its first instruction. */
#pragma once
#include "guest.h"

enum { PV_ARGS_MAX = 4096, PV_ARGS_BYTES_MAX = 1 << 20, PV_SCRIPT_LINE_MAX = 256 };

/* What will be executed for what was asked: the program, or the interpreter of its "#!" line. */
struct pv_executable {
    int fd;                             /* owned */
    char path[PV_EXE_BYTES];            /* in the root, as opened */
    char real[PV_EXE_BYTES];            /* in the root, links followed */
    char script[2][PV_SCRIPT_LINE_MAX]; /* words of the "#!" line; "" where there are none */
};
/* Opens path within root (never outside it). */
PV_MUST_CHECK int pv_executable_open(struct pv_executable *x, int root_fd, const char *path,
                                     const char *cwd, struct pv_err *err);
void pv_executable_done(struct pv_executable *x);

/* Loads it into the VM's fresh memory and lays out arguments, environment and the room for a run's
 * variables; fills vm->program and the main thread's registers. */
PV_MUST_CHECK int pv_program_load(struct pv_vm *vm, const struct pv_vm_spec *spec,
                                  const struct pv_executable *x, struct pv_err *err);
/* Writes a run's variables ("K=V" NUL each) into the room; -E2BIG when they do not fit, -EINVAL
 * when they are malformed. */
PV_MUST_CHECK int pv_program_variables(struct pv_vm *vm, const char *env, size_t len,
                                       struct pv_err *err);
/* Gives the program new bytes where AT_RANDOM points. */
PV_MUST_CHECK int pv_program_random(struct pv_vm *vm, struct pv_err *err);
/* Whether the program has a copy of a placeholder of its room, or a pointer to one, outside the
 * environment block: found says what. */
bool pv_program_took_room(const struct pv_vm *vm);
