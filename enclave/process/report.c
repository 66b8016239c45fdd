#include "sandbox.h"

#include <string.h>

static const char *const steps[] = {
    [PV_STEP_DESCRIPTORS] = "arrange descriptors",
    [PV_STEP_CGROUP] = "enter the cgroups",
    [PV_STEP_NETWORK] = "enter the network namespace",
    [PV_STEP_MOUNT] = "mount /tmp and /proc",
    [PV_STEP_LIMITS] = "set resource limits",
    [PV_STEP_PRIVILEGES] = "give up privileges",
    [PV_STEP_LANDLOCK] = "apply Landlock",
    [PV_STEP_SECCOMP] = "load the system call filter",
    [PV_STEP_GATE] = "wait for a request",
};

int pv_sandbox_explain(const struct pv_sandbox_report *r, const char *argv0, struct pv_err *err)
{
    int e = r->error;

    if (r->step == PV_STEP_EXEC)
        return pv_refuse(err, e, "cannot execute '%.128s': %s%s", argv0, strerror(e),
                         e == EACCES
                             ? " (is it, and the interpreter its #! line names, executable?)"
                         : e == ENOENT ? " (or its interpreter is missing)"
                                       : "");
    return pv_refuse(err, e, "cannot prepare an instance: %s: %s",
                     r->step > 0 && r->step < PV_STEP_EXEC ? steps[r->step] : "start", strerror(e));
}
