/* Programs run on the host and in micro-VMs, and their answers compared. */
#pragma once
#include "pv/vm.h"

enum { ANSWER_MAX = 1 << 20, NOBODY = 65534 };
#ifdef PV_SANITIZED
enum { TIMEOUT_MS = 60000 };
#else
enum { TIMEOUT_MS = 20000 };
#endif

struct answer {
    enum pv_vm_end end;
    int code, signal;
    char text[PV_VM_TEXT_MAX];
    char out[ANSWER_MAX]; /* NUL-terminated */
    size_t len;
};

/* Takes the directory of the programs under test from the command line. 0, or the exit code of a
 * test that cannot run here. */
int vm_ready(int argc, char **argv);
/* Absolute path of one of them; a string of the caller's next call. */
const char *vm_program(const char *name);
/* A spec for argv (argv[0] an absolute path) as nobody, root "/", with room for variables. */
struct pv_vm_spec vm_spec(const char *const *argv);
/* Runs argv on the host as nobody. */
void run_native(const char *const *argv, const char *request, size_t len, struct answer *ret);
/* Boots argv in a micro-VM for one run. */
void run_booted(const struct pv_vm_spec *spec, const char *request, size_t len, uint64_t timeout_ms,
                struct answer *ret);
/* One run of a VM. */
void run_vm(struct pv_vm *vm, const char *request, size_t len, const char *env, size_t env_len,
            uint64_t timeout_ms, struct answer *ret);
struct pv_vm_image *make_image(const struct pv_vm_spec *spec, struct pv_vm_report *report);
/* Open descriptors of this process. */
int count_descriptors(void);
