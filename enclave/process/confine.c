#include "confine.h"

#include "identity.h"
#include "rootfs.h"
#include "sandbox.h"
#include "seccomp.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

/* Every instance costs its host descriptors. */
static int raise_descriptor_limit(struct pv_err *err)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return pv_fail(err, errno, "read the descriptor limit");
    l.rlim_cur = l.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &l) < 0)
        return pv_fail(err, errno, "raise the descriptor limit");
    return 0;
}

int pv_confine_begin(const struct pv_domain_config *c, struct pv_err *err)
{
    (void)signal(SIGPIPE, SIG_IGN);
    PV_TRY(raise_descriptor_limit(err));
    PV_TRY(pv_rootfs_enter(c, err));
    return pv_identity_enter(c->uid, c->gid, err);
}

int pv_confine_end(uint32_t capabilities, struct pv_err *err)
{
    if (unshare(CLONE_NEWNET) < 0)
        return pv_fail(err, errno, "make a network namespace");
    PV_TRY(pv_sandbox_take_limits(err));
    PV_TRY(pv_identity_settle(capabilities, err));
    return pv_filter_load_base(err);
}
