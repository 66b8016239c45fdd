#include "identity.h"

#include "pv/io.h"
#include "pv/own.h"
#include "pv/privilege.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static int write_text(const char *path, const char *text, struct pv_err *err)
{
    pv_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", path);
    return pv_wrap(err, pv_write_all(fd, text, strlen(text), err), "write '%s'", path);
}

static int map_one(const char *path, uint32_t outer, struct pv_err *err)
{
    char line[64];

    (void)snprintf(line, sizeof line, "%d %u 1\n", PV_INNER_UID, outer);
    return write_text(path, line, err);
}

int pv_identity_settle(uint32_t kept, struct pv_err *err)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (prctl(PR_CAPBSET_DROP, cap) < 0)
            return pv_fail(err, errno, "empty the capability bounding set");
    memset(data, 0, sizeof data);
    data[0].effective = data[0].permitted = kept;
    if (syscall(SYS_capset, &h, data) < 0)
        return pv_fail(err, errno, "give up capabilities");
    return 0;
}

int pv_identity_enter(uint32_t uid, uint32_t gid, struct pv_err *err)
{
    PV_TRY(pv_privilege_drop(uid, gid, 0, err));
    /* the map files belong to root while a process is not dumpable */
    if (prctl(PR_SET_DUMPABLE, 1) < 0 || unshare(CLONE_NEWUSER) < 0)
        return pv_fail(err, errno, "make a user namespace");
    PV_TRY(map_one("/proc/self/uid_map", uid, err));
    PV_TRY(write_text("/proc/self/setgroups", "deny", err));
    PV_TRY(map_one("/proc/self/gid_map", gid, err));
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return pv_fail(err, errno, "forbid tracing");
    if (unshare(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNS) < 0)
        return pv_fail(err, errno, "make ipc, uts and mount namespaces");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return pv_fail(err, errno, "make the mounts private");
    if (sethostname("function", strlen("function")) < 0)
        return pv_fail(err, errno, "set the sandbox's host name");
    return 0;
}
