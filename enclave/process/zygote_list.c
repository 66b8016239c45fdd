#include "zygote_list.h"

#include "landlock.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* A zygote's descriptors are 0, 1, 2 and the control socket, so the lowest free ones are known. */
enum { FIRST_FREE = 3, N_STDIO = 3 };

#define CALL(list, nr, ...) add(list, nr, (const uint64_t[5]){__VA_ARGS__})

static void add(struct pv_zygote_list *l, uint64_t nr, const uint64_t args[5])
{
    if (l->n_calls < PV_ZYGOTE_CALLS_MAX) {
        l->calls[l->n_calls].nr = nr;
        memcpy(l->calls[l->n_calls].args, args, sizeof l->calls->args);
    }
    l->n_calls++;
}

/* Copies something behind the calls; returns its address in the child. */
static uint64_t place(struct pv_zygote_list *l, const void *p, size_t bytes)
{
    size_t at = (l->len + 15) & ~(size_t)15;

    if (bytes > sizeof l->image - at) {
        l->n_calls = PV_ZYGOTE_CALLS_MAX + 1; /* too long, as with too many calls */
        return 0;
    }
    if (p)
        memcpy(l->image + at, p, bytes);
    l->len = at + bytes;
    return l->address + at;
}

static uint64_t text(struct pv_zygote_list *l, const char *s)
{
    return place(l, s, strlen(s) + 1);
}

static void add_mounts(struct pv_zygote_list *l, const char *tmp_options)
{
    CALL(l, SYS_mount, text(l, "tmp"), text(l, "/tmp"), text(l, "tmpfs"), MS_NOSUID | MS_NODEV,
         text(l, tmp_options));
    CALL(l, SYS_mount, text(l, "proc"), text(l, "/proc"), text(l, "proc"),
         MS_NOSUID | MS_NODEV | MS_NOEXEC, text(l, "hidepid=invisible"));
}

static void add_landlock(struct pv_zygote_list *l, int abi)
{
    struct pv_landlock_rule rules[PV_LANDLOCK_RULES];
    uint64_t handled = pv_landlock_rules(abi, rules);

    if (abi < 1)
        return;
    CALL(l, SYS_landlock_create_ruleset, place(l, &handled, sizeof handled), sizeof handled, 0);
    for (unsigned i = 0; i < PV_LANDLOCK_RULES; i++) {
        struct pv_landlock_beneath b = {rules[i].access, FIRST_FREE + 1};

        CALL(l, SYS_open, text(l, rules[i].path), O_PATH | O_CLOEXEC);
        CALL(l, SYS_landlock_add_rule, FIRST_FREE, PV_LANDLOCK_PATH_BENEATH, place(l, &b, sizeof b),
             0);
        CALL(l, SYS_close, FIRST_FREE + 1);
    }
    CALL(l, SYS_landlock_restrict_self, FIRST_FREE, 0);
    CALL(l, SYS_close, FIRST_FREE);
}

static void add_stdio(struct pv_zygote_list *l)
{
    struct iovec one = {(void *)(uintptr_t)place(l, NULL, 1), 1};
    size_t room = CMSG_SPACE(N_STDIO * sizeof(int));
    struct msghdr m = {
        .msg_iov = (void *)(uintptr_t)place(l, &one, sizeof one),
        .msg_iovlen = 1,
        .msg_control = (void *)(uintptr_t)place(l, NULL, room),
        .msg_controllen = room,
    };

    CALL(l, SYS_recvmsg, PV_ZYGOTE_CONTROL_FD, place(l, &m, sizeof m), 0);
    for (unsigned i = 0; i < N_STDIO; i++)
        CALL(l, SYS_dup3, FIRST_FREE + i, i, 0);
    CALL(l, SYS_close_range, FIRST_FREE, ~0u, 0);
}

static void add_privileges(struct pv_zygote_list *l)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

    memset(none, 0, sizeof none);
    CALL(l, SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
    /* a new user namespace comes with a full bounding set */
    for (uint64_t cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        CALL(l, SYS_prctl, PR_CAPBSET_DROP, cap);
    CALL(l, SYS_capset, place(l, &h, sizeof h), place(l, none, sizeof none));
}

int pv_zygote_list_make(struct pv_zygote_list *ret, uint64_t address, const char *tmp_options,
                        int landlock_abi, struct pv_err *err)
{
    struct pv_zygote_list *l = ret;

    memset(l, 0, sizeof *l);
    l->address = address;
    l->len = sizeof l->calls;
    CALL(l, SYS_setpgid, 0, 0);
    add_mounts(l, tmp_options);
    add_landlock(l, landlock_abi);
    add_stdio(l);
    add_privileges(l);
    if (l->n_calls > PV_ZYGOTE_CALLS_MAX)
        return pv_refuse(err, E2BIG, "a zygote's list of system calls is too long");
    return 0;
}

const char *pv_zygote_call_name(uint64_t nr)
{
    switch (nr) {
    case SYS_setpgid:
        return "leave the process group";
    case SYS_mount:
        return "mount /tmp and /proc";
    case SYS_landlock_create_ruleset:
    case SYS_landlock_add_rule:
    case SYS_landlock_restrict_self:
        return "apply Landlock";
    case SYS_open:
    case SYS_recvmsg:
    case SYS_dup3:
    case SYS_close:
    case SYS_close_range:
        return "arrange descriptors";
    case SYS_prctl:
    case SYS_capset:
        return "give up privileges";
    default:
        return "start";
    }
}
