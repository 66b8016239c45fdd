#include "seccomp.h"

#include "filter.h"
#include "filters_made.h"

#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

int pv_filter_load_base(struct pv_err *err)
{
    return pv_filter_load(pv_base_rules, COUNT(pv_base_rules), 0, err);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HIGH(field)                                                                           \
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + sizeof(uint32_t))
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, action)
/* here: the instruction's own index; a jump counts from the one behind it. */
#define IF_EQUAL(here, value, there)                                                               \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, (there) - (here)-1, 0)
#define IF_ANY(here, bits, there, otherwise)                                                       \
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, (there) - (here)-1, (otherwise) - (here)-1)
#define NAMESPACES                                                                                 \
    (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |     \
     CLONE_NEWCGROUP)
#define IF_ABOVE(here, value, there, otherwise)                                                    \
    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, value, (there) - (here)-1, (otherwise) - (here)-1)
#define UNLESS_EQUAL(here, value, otherwise)                                                       \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, (otherwise) - (here)-1)
enum {
    AT_MOUNT = 1,
    AT_CAPSET = 4,
    AT_LAST = 14,
    AT_CLONE,
    AT_NAMESPACES,
    AT_PRCTL,
    AT_GROUP = 21,
    AT_IOCTL = 25,
    AT_ALLOW = 28,
    AT_UNKNOWN,
    AT_REFUSE,
    AT_END
};

/* Written by hand, as the kernel compiles it anew and tries every call number on it for each
 * instance that executes. Architecture and x32 are checked by the base filter, which stays in
 * force. clone3 hides its flags, so libraries are sent back to clone. Low words suffice: all the
 * flags lie there, and an ioctl's command and a process id have 32 bits. */
static const struct sock_filter function_filter[AT_END] = {
    LOAD(nr),
    [AT_MOUNT] = IF_EQUAL(1, SYS_mount, AT_REFUSE),
    IF_EQUAL(2, SYS_umount2, AT_REFUSE),
    IF_EQUAL(3, SYS_setns, AT_REFUSE),
    [AT_CAPSET] = IF_EQUAL(4, SYS_capset, AT_REFUSE),
    IF_EQUAL(5, SYS_seccomp, AT_REFUSE),
    IF_EQUAL(6, SYS_process_vm_readv, AT_REFUSE),
    IF_EQUAL(7, SYS_process_vm_writev, AT_REFUSE),
    IF_EQUAL(8, SYS_ptrace, AT_REFUSE),
    IF_EQUAL(9, SYS_listen, AT_REFUSE),
    IF_EQUAL(10, SYS_clone3, AT_UNKNOWN),
    IF_EQUAL(11, SYS_clone, AT_CLONE),
    IF_EQUAL(12, SYS_prctl, AT_PRCTL),
    IF_EQUAL(13, SYS_setpgid, AT_GROUP),
    [AT_LAST] = BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, AT_IOCTL - 15, AT_ALLOW - 15),
    [AT_CLONE] = LOAD(args[0]),
    [AT_NAMESPACES] = IF_ANY(16, NAMESPACES, AT_REFUSE, AT_ALLOW),
    /* taking back that it dies with its owner */
    [AT_PRCTL] = LOAD(args[0]),
    UNLESS_EQUAL(18, PR_SET_PDEATHSIG, AT_ALLOW),
    LOAD(args[1]),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SIGKILL, AT_ALLOW - 21, AT_REFUSE - 21),
    /* the first process of a pid namespace that joins another's process group: when that one is
     * dead, it waits for good to be alone in the namespace (zap_pid_ns_processes), and its parent
     * with it. setpgid(0 or 1, neither 0 nor 1). */
    [AT_GROUP] = LOAD(args[0]),
    IF_ABOVE(22, 1, AT_ALLOW, 23),
    LOAD(args[1]),
    IF_ABOVE(24, 1, AT_REFUSE, AT_ALLOW),
    /* pushing characters into a terminal's input */
    [AT_IOCTL] = LOAD(args[1]),
    IF_EQUAL(26, TIOCSTI, AT_REFUSE),
    IF_EQUAL(27, TIOCLINUX, AT_REFUSE),
    [AT_ALLOW] = ANSWER(SECCOMP_RET_ALLOW),
    [AT_UNKNOWN] = ANSWER(SECCOMP_RET_ERRNO | ENOSYS),
    [AT_REFUSE] = ANSWER(SECCOMP_RET_ERRNO | EPERM),
};
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "an argument's low word comes first");

const struct sock_fprog pv_filter_function = {
    .len = COUNT(function_filter),
    .filter = (struct sock_filter *)(uintptr_t)function_filter,
};

struct sock_fprog pv_filter_zygote(struct sock_filter rules[PV_FILTER_MAX], uint64_t secret)
{
    const struct sock_filter more[] = {
        LOAD(args[5]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)secret, 0, 3),
        LOAD_HIGH(args[5]),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(secret >> 32), 0, 1),
        ANSWER(SECCOMP_RET_ALLOW),
        ANSWER(SECCOMP_RET_ERRNO | EPERM),
        ANSWER(SECCOMP_RET_TRACE),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        ANSWER(SECCOMP_RET_USER_NOTIF),
        ANSWER(SECCOMP_RET_ALLOW),
    };
    enum { TRACE = 6, EXIT };

    _Static_assert(AT_END + COUNT(more) == PV_FILTER_MAX, "both have room");
    memcpy(rules, function_filter, sizeof function_filter);
    memcpy(rules + AT_END, more, sizeof more);
    rules[AT_MOUNT].jt = AT_END - AT_MOUNT - 1;
    rules[AT_CAPSET].jt = AT_END - AT_CAPSET - 1;
    rules[AT_NAMESPACES].k |= CLONE_PARENT; /* a zygote's brother would outlive it unseen */
    rules[AT_NAMESPACES].jt = AT_END + TRACE - AT_NAMESPACES - 1;
    rules[AT_LAST].jf = AT_END + EXIT - AT_LAST - 1;
    return (struct sock_fprog){.len = PV_FILTER_MAX, .filter = rules};
}
