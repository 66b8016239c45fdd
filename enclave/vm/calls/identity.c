/* Who the program is, what machine it sees, what it may. */
#include "calls/theme.h"

#include <asm/prctl.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

int64_t call_zero(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    (void)t;
    (void)a;
    return 0;
}

int64_t call_eperm(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)a;
    vm->wanted_process = vm->wanted_process || t->nr == SYS_execve || t->nr == SYS_execveat;
    (void)pv_call_in_vain(vm, t->nr);
    pv_vm_tell(vm, PV_VM_EVENT_DENIED, pv_vm_call_name(t->nr), "", -EPERM);
    return -EPERM;
}

int64_t call_echild(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    (void)t;
    (void)a;
    return -ECHILD;
}

int64_t call_enosys(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    (void)t;
    (void)a;
    return -ENOSYS;
}

int64_t call_getpid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    (void)t;
    (void)a;
    return PV_PID;
}

int64_t call_getppid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_zero(vm, t, a);
}

int64_t call_gettid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    (void)a;
    return t->tid;
}

int64_t call_getuid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    (void)a;
    return vm->process.uid;
}

int64_t call_getgid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    (void)a;
    return vm->process.gid;
}

static int64_t give_three(struct pv_vm *vm, const uint64_t *a, uint32_t id)
{
    for (int i = 0; i < 3; i++)
        if (pv_copy_out(&vm->space, a[i], &id, sizeof id) < 0)
            return -EFAULT;
    return 0;
}

int64_t call_getresuid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return give_three(vm, a, vm->process.uid);
}

int64_t call_getresgid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return give_three(vm, a, vm->process.gid);
}

int64_t call_getgroups(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    (void)t;
    return (int)a[0] < 0 ? -EINVAL : 0;
}

int64_t call_getpgid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    (void)t;
    return (int)a[0] == 0 || (int)a[0] == PV_PID ? PV_PID : -ESRCH;
}

/* A program may become what it is. */
static int64_t keep_id(uint64_t wanted, uint32_t id)
{
    return (uint32_t)wanted == id || (uint32_t)wanted == UINT32_MAX ? 0 : -EPERM;
}

int64_t call_setuid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return keep_id(a[0], vm->process.uid);
}

int64_t call_setgid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return keep_id(a[0], vm->process.gid);
}

int64_t call_setresuid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return keep_id(a[0], vm->process.uid) | keep_id(a[1], vm->process.uid);
}

int64_t call_setresgid(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return keep_id(a[0], vm->process.gid) | keep_id(a[1], vm->process.gid);
}

int64_t call_uname(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    static const struct utsname name = {"Linux",          "provost", "6.1.0",
                                        "#1 SMP Provost", "x86_64",  "(none)"};

    (void)t;
    return pv_call_out(vm, 0, a[0], &name, sizeof name);
}

int64_t call_sysinfo(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct sysinfo info = {.totalram = vm->memory.n_frames * PV_PAGE,
                           .freeram = pv_memory_left(&vm->memory) * PV_PAGE,
                           .procs = 1,
                           .mem_unit = 1};
    struct timespec ts;

    (void)t;
    (void)vm->files_host.now(vm, CLOCK_BOOTTIME, &ts);
    info.uptime = ts.tv_sec;
    return pv_call_out(vm, 0, a[0], &info, sizeof info);
}

static int get_limit(const struct pv_vm *vm, int what, uint64_t v[2])
{
    if (what < 0 || what >= RLIM_NLIMITS)
        return -EINVAL;
    v[0] = v[1] = UINT64_MAX;
    if (what == RLIMIT_STACK) {
        v[0] = vm->process.stack_limit;
    } else if (what == RLIMIT_NOFILE) {
        v[0] = vm->process.descriptor_limit;
        v[1] = vm->limits.descriptors;
    } else if (what == RLIMIT_NPROC) {
        v[0] = v[1] = vm->limits.threads;
    } else if (what == RLIMIT_CORE) {
        v[0] = v[1] = 0;
    }
    return 0;
}

static int set_limit(struct pv_vm *vm, int what, const uint64_t v[2])
{
    uint64_t now[2];

    PV_TRY(get_limit(vm, what, now));
    if (v[0] > v[1])
        return -EINVAL;
    if (v[1] > now[1])
        return -EPERM;
    if (what == RLIMIT_STACK)
        vm->process.stack_limit = v[0];
    else if (what == RLIMIT_NOFILE)
        vm->process.descriptor_limit = v[0];
    return 0;
}

int64_t call_getrlimit(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint64_t v[2];

    (void)t;
    PV_TRY(get_limit(vm, (int)a[0], v));
    return pv_call_out(vm, 0, a[1], v, sizeof v);
}

int64_t call_setrlimit(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint64_t v[2];

    (void)t;
    if (pv_copy_in(&vm->space, v, a[1], sizeof v) < 0)
        return -EFAULT;
    return set_limit(vm, (int)a[0], v);
}

int64_t call_prlimit64(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint64_t old[2];
    uint64_t new[2];

    (void)t;
    if ((int)a[0] != 0 && (int)a[0] != PV_PID)
        return -ESRCH;
    PV_TRY(get_limit(vm, (int)a[1], old));
    if (a[2]) {
        if (pv_copy_in(&vm->space, new, a[2], sizeof new) < 0)
            return -EFAULT;
        PV_TRY(set_limit(vm, (int)a[1], new));
    }
    return a[3] ? pv_call_out(vm, 0, a[3], old, sizeof old) : 0;
}

int64_t call_prctl(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    char name[PV_THREAD_NAME_BYTES] = {0};

    switch ((int)a[0]) {
    case PR_SET_NAME:
        if (pv_copy_string(&vm->space, name, a[1], sizeof name - 1) == -EFAULT)
            return -EFAULT;
        memcpy(t->name, name, sizeof name);
        return 0;
    case PR_GET_NAME:
        return pv_call_out(vm, 0, a[1], t->name, sizeof t->name);
    case PR_GET_DUMPABLE:
        return 1;
    case PR_SET_DUMPABLE:
    case PR_SET_PDEATHSIG:
    case PR_SET_NO_NEW_PRIVS:
    case PR_SET_TIMERSLACK:
    case PR_CAPBSET_READ:
        return 0;
    case PR_GET_NO_NEW_PRIVS:
        return 1;
    default:
        return -EINVAL;
    }
}

int64_t call_arch_prctl(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    switch ((int)a[0]) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (a[1] >= PV_USER_MAX)
            return -EPERM;
        *((int)a[0] == ARCH_SET_FS ? &t->r.fs_base : &t->r.gs_base) = a[1];
        return 0;
    case ARCH_GET_FS:
        return pv_call_out(vm, 0, a[1], &t->r.fs_base, sizeof t->r.fs_base);
    case ARCH_GET_GS:
        return pv_call_out(vm, 0, a[1], &t->r.gs_base, sizeof t->r.gs_base);
    default:
        return -EINVAL;
    }
}

int64_t call_personality(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    (void)t;
    return (uint32_t)a[0] == UINT32_MAX || a[0] == 0 ? 0 : -EINVAL;
}

int64_t call_capget(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const struct __user_cap_data_struct none[2] = {{0}, {0}};
    struct __user_cap_header_struct head;

    (void)t;
    if (pv_copy_in(&vm->space, &head, a[0], sizeof head) < 0)
        return -EFAULT;
    if (head.version != _LINUX_CAPABILITY_VERSION_3) {
        head.version = _LINUX_CAPABILITY_VERSION_3;
        return pv_copy_out(&vm->space, a[0], &head, sizeof head) < 0 ? -EFAULT : a[1] ? -EINVAL : 0;
    }
    return a[1] ? pv_call_out(vm, 0, a[1], none, sizeof none) : 0;
}

int64_t call_getpriority(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    (void)t;
    (void)a;
    return 20; /* nice 0, as the call reports it */
}
