/* provost run: its arguments, and the two ways of running. */
#pragma once
#include "cli.h"
#include "pv/vm.h"

enum { RUN_ENV_MAX = 128, RUN_REPEAT_MAX = 1000000, RUN_INPUT_MAX = PV_HTTP_BODY_MAX };

/* Exit codes besides the program's own: those of env(1), timeout(1) and shells. */
enum run_exit {
    RUN_LIMIT = 124,     /* a limit or the deadline ended it */
    RUN_FAILED = 125,    /* provost run itself failed */
    RUN_CANNOT = 126,    /* the file cannot be run */
    RUN_NOT_FOUND = 127, /* there is no such file */
    RUN_SIGNAL = 128     /* plus the number of the signal that killed it */
};

struct run {
    struct cli *cli;
    const char *root;
    const char *cwd;
    const char *env[RUN_ENV_MAX + 1];
    unsigned n_env;
    uint64_t timeout_ms;
    uint64_t repeat;
    bool trace, stats, check;
    struct pv_vm_limits limits;
    enum pv_vm_finish finish;
    char starts[16];   /* the first call by which it wanted to start another program; "": none */
    char *const *argv; /* FILE and its arguments, NULL-terminated */
};

/* What the program gets, from the options. */
void run_spec(const struct run *r, int root_fd, const char *file, struct pv_vm_spec *ret);
/* Says on stderr how it ended, where that was not an ordinary exit: the exit code. */
int run_end(const struct pv_vm_result *result);
/* Prints an error of the library: the exit code. */
int run_error(const struct pv_err *err);
/* A snapshot at the first read, then r->repeat runs with a reset between. */
int run_repeat(const struct run *r, const struct pv_vm_spec *spec, const struct pv_vm_hooks *hooks);
