#include "filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int pv_filter_load(const struct sock_filter *rules, size_t n, unsigned flags, struct pv_err *err)
{
    struct sock_fprog program = {.len = (unsigned short)n,
                                 .filter = (struct sock_filter *)(uintptr_t)rules};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return pv_fail(err, errno, "give up new privileges");
    long rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    /* positive: the thread that cannot be brought to the same filter */
    if (rc)
        return pv_fail(err, rc > 0 ? EBUSY : errno, "load the system call filter");
    return 0;
}
