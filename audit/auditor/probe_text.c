#include "probe_text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { FS_PIPE = 0x50495045, FS_ANON_INODE = 0x09041934 };

static size_t append(char *out, size_t at, size_t cap, const void *p, size_t n)
{
    if (at + 1 >= cap)
        return at;
    if (n > cap - 1 - at)
        n = cap - 1 - at;
    memcpy(out + at, p, n);
    return at + n;
}

bool pv_probe_path(const pv_u8 *parts, size_t len, unsigned how, char *out, size_t cap)
{
    size_t at = 0;
    size_t end = len;

    if (len && parts[len - 1] != 0)
        return false;
    if (how == PV_BPF_PATH_CUT)
        at = append(out, at, cap, "...", 3);
    if (len == 0 && how == PV_BPF_PATH_WHOLE)
        at = append(out, at, cap, "/", 1);
    while (end > 0) {
        size_t last = end - 1; /* the NUL */
        size_t first = last;

        while (first > 0 && parts[first - 1] != 0)
            first--;
        if (at > 0 || how == PV_BPF_PATH_WHOLE)
            at = append(out, at, cap, "/", 1);
        at = append(out, at, cap, parts + first, last - first);
        end = first;
    }
    out[at] = 0;
    return true;
}

const char *pv_probe_object_type(const struct pv_bpf_object *o)
{
    if (o->fs_magic == FS_ANON_INODE)
        return "anonymous";
    switch (o->mode & S_IFMT) {
    case 0:
        return "memory";
    case S_IFREG:
        return o->path_cut == PV_BPF_PATH_DETACHED && o->path_bytes >= 6 &&
                       memcmp(o->text, "memfd:", 6) == 0
                   ? "memfd"
                   : "file";
    case S_IFDIR:
        return "directory";
    case S_IFIFO:
        return o->fs_magic == FS_PIPE ? "pipe" : "fifo";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
        return "character-device";
    case S_IFBLK:
        return "block-device";
    case S_IFLNK:
        return "symlink";
    default:
        return "other";
    }
}

const char *pv_probe_op_name(unsigned sysno)
{
    static const struct {
        unsigned sysno;
        const char *name;
    } ops[] = {
        {SYS_open, "open"},
        {SYS_creat, "open"},
        {SYS_openat, "open"},
        {437, "open"},
        {SYS_open_by_handle_at, "open"},
        {SYS_memfd_create, "memfd"},
        {SYS_rename, "rename"},
        {SYS_renameat, "rename"},
        {SYS_renameat2, "rename"},
        {SYS_link, "link"},
        {SYS_linkat, "link"},
        {SYS_symlink, "symlink"},
        {SYS_symlinkat, "symlink"},
        {SYS_unlink, "unlink"},
        {SYS_unlinkat, "unlink"},
        {SYS_rmdir, "rmdir"},
        {SYS_mkdir, "mkdir"},
        {SYS_mkdirat, "mkdir"},
        {SYS_mknod, "mknod"},
        {SYS_mknodat, "mknod"},
        {SYS_chmod, "chmod"},
        {SYS_fchmodat, "chmod"},
        {452, "chmod"},
        {SYS_fchmod, "fchmod"},
        {SYS_chown, "chown"},
        {SYS_lchown, "chown"},
        {SYS_fchownat, "chown"},
        {SYS_fchown, "fchown"},
        {SYS_truncate, "truncate"},
        {SYS_ftruncate, "ftruncate"},
        {SYS_fallocate, "fallocate"},
        {SYS_setxattr, "setxattr"},
        {SYS_lsetxattr, "setxattr"},
        {SYS_fsetxattr, "fsetxattr"},
        {SYS_getxattr, "getxattr"},
        {SYS_lgetxattr, "getxattr"},
        {SYS_fgetxattr, "fgetxattr"},
        {SYS_removexattr, "removexattr"},
        {SYS_lremovexattr, "removexattr"},
        {SYS_fremovexattr, "fremovexattr"},
        {SYS_utime, "utime"},
        {SYS_utimes, "utime"},
        {SYS_futimesat, "utime"},
        {SYS_utimensat, "utime"},
        {SYS_mq_unlink, "unlink"},
        {SYS_mq_open, "open"},
        {463, "setxattr"},
        {464, "getxattr"},
        {466, "removexattr"},
        {469, "setattr"},
    };

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        if (ops[i].sysno == sysno)
            return ops[i].name;
    return "other";
}

void pv_probe_address(unsigned family, const pv_u8 addr[16], char *out, size_t cap)
{
    if ((family != AF_INET && family != AF_INET6) ||
        !inet_ntop((int)family, addr, out, (socklen_t)cap))
        snprintf(out, cap, "%s", "");
}
