#include "pv/privilege.h"

#include <cap-ng.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { PV_CAPS_MAX = 64 };

/* libcap-ng does the order that matters (keepcaps, bounding set while CAP_SETPCAP is still there,
 * groups, gid, uid, capset); its return codes are small negative numbers, not errnos. */
static int change_identity(uid_t uid, gid_t gid, uint64_t keep, struct pv_err *err)
{
    int rc;

    capng_clear(CAPNG_SELECT_ALL);
    for (unsigned cap = 0; cap < PV_CAPS_MAX; cap++) {
        if (!(keep & PV_CAP_MASK(cap)))
            continue;
        if (cap > CAP_LAST_CAP ||
            capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, cap) != 0)
            return pv_refuse(err, EINVAL, "capability %u is unknown here", cap);
    }
    rc = capng_change_id((int)uid, (int)gid,
                         (capng_flags_t)(CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING));
    if (rc != 0)
        return pv_refuse(err, EPERM, "become user %u group %u: libcap-ng step %d failed", uid, gid,
                         -rc);
    return 0;
}

static int check_identity(uid_t uid, gid_t gid, struct pv_err *err)
{
    uid_t r, e, s;
    gid_t gr, ge, gs;

    if (getresuid(&r, &e, &s) != 0 || getresgid(&gr, &ge, &gs) != 0)
        return pv_fail(err, errno, "read own ids");
    if (r != uid || e != uid || s != uid || gr != gid || ge != gid || gs != gid)
        return pv_refuse(err, EPERM, "own ids are not user %u group %u", uid, gid);
    if (getgroups(0, NULL) != 0)
        return pv_refuse(err, EPERM, "supplementary groups are left");
    return 0;
}

static int check_capabilities(uint64_t keep, struct pv_err *err)
{
    capng_clear(CAPNG_SELECT_ALL);
    if (capng_get_caps_process() != 0)
        return pv_refuse(err, EPERM, "cannot read own capabilities");
    for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
        bool want = (keep & PV_CAP_MASK(cap)) != 0;
        int bounding = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);

        if (bounding < 0) /* this kernel has fewer */
            break;
        if (bounding != 0)
            return pv_refuse(err, EPERM, "capability %u is left in the bounding set", cap);
        if ((capng_have_capability(CAPNG_EFFECTIVE, cap) != 0) != want ||
            (capng_have_capability(CAPNG_PERMITTED, cap) != 0) != want ||
            capng_have_capability(CAPNG_INHERITABLE, cap) != 0)
            return pv_refuse(err, EPERM, "capability %u is not %s", cap, want ? "kept" : "dropped");
    }
    return 0;
}

int pv_privilege_drop(uid_t uid, gid_t gid, uint64_t keep_caps_mask, struct pv_err *err)
{
    if (uid == 0 || gid == 0)
        return pv_refuse(err, EINVAL, "a role must not run as root");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return pv_fail(err, errno, "clear ambient capabilities");
    PV_TRY(change_identity(uid, gid, keep_caps_mask, err));
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return pv_fail(err, errno, "set no-new-privileges");
    /* After the change of ids, which makes the kernel set it anew. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return pv_fail(err, errno, "stop being dumpable");
    PV_TRY(check_identity(uid, gid, err));
    PV_TRY(check_capabilities(keep_caps_mask, err));
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
        return pv_refuse(err, EPERM, "no-new-privileges or non-dumpable did not hold");
    return 0;
}
