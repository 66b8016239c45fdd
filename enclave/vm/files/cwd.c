/* Working directory and umask. */
#include "files/file.h"
#include "files/path.h"
#include "files/permission.h"

#include <string.h>

static int enter(struct pv_files *f, pv_ref dentry)
{
    int rc = pv_node_is_dir(f, pv_dentry_node(f, dentry))
                 ? pv_may(f, pv_dentry_node(f, dentry), PV_MAY_EXEC)
                 : -ENOTDIR;

    if (rc < 0)
        return rc;
    pv_dentry_get(f, dentry);
    pv_dentry_put(f, pv_state(f)->cwd);
    pv_state_edit(f)->cwd = dentry;
    return 0;
}

int64_t pv_files_chdir(struct pv_files *f, const char *path)
{
    pv_ref dentry = 0;
    int rc;

    PV_TRY(pv_path_find(f, AT_FDCWD, path, PV_WALK_FOLLOW | PV_WALK_DIRECTORY, &dentry));
    rc = enter(f, dentry);
    pv_dentry_put(f, dentry);
    return rc;
}

int64_t pv_files_fchdir(struct pv_files *f, int fd)
{
    pv_ref file = pv_fd_any(f, fd);

    return file ? enter(f, pv_file(f, file)->dentry) : -EBADF;
}

int64_t pv_files_getcwd(struct pv_files *f, char *buf, size_t len)
{
    char path[PV_PATH_ROOM];
    int64_t n;

    if (!pv_dentry_reachable(f, pv_state(f)->cwd))
        return -ENOENT;
    n = pv_dentry_path(f, pv_state(f)->cwd, path, sizeof path);
    if (n < 0 || n >= PV_PATH_BYTES)
        return -ENAMETOOLONG;
    if ((size_t)n + 1 > len)
        return -ERANGE;
    memcpy(buf, path, (size_t)n + 1);
    return n + 1;
}

int64_t pv_files_umask(struct pv_files *f, unsigned mask)
{
    uint32_t old = pv_state(f)->umask;

    if (old != (mask & 0777))
        pv_state_edit(f)->umask = mask & 0777;
    return old;
}
