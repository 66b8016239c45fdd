#include "files/proc.h"

#include "files/path.h"
#include "files/tree.h"
#include "pv/own.h"

#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 256 << 10, KIB = 1024 };

/* Texts that this layer knows itself; the owner's follow after. */
enum own_text {
    TEXT_MEMINFO = 100,
    TEXT_CPUINFO,
    TEXT_SYS_STAT,
    TEXT_UPTIME,
    TEXT_VERSION,
    TEXT_LOADAVG,
    TEXT_MOUNTS,
    TEXT_MOUNTINFO,
    TEXT_CGROUP,
    TEXT_FILESYSTEMS,
    TEXT_LIMITS,
    TEXT_FIXED, /* and on: fixed[] */
};

static const char *const fixed[] = {
    "1\n",
    "32768\n",
    "65530\n",
    "4096\n",
    "0\n",
    "Linux\n",
    "6.1.0-provost\n",
    "(none)\n",
    "1048576\n",
    "2\n",
    "00000000-0000-4000-8000-000000000000\n",
    "always [madvise] never\n",
};

struct entry {
    const char *path; /* below /proc */
    uint32_t mode;
    uint32_t extra;
};

#define TEXT(path, which)                                                                          \
    {                                                                                              \
        path, S_IFREG | 0444, which                                                                \
    }
#define FIXED(path, n)                                                                             \
    {                                                                                              \
        path, S_IFREG | 0444, TEXT_FIXED + (n)                                                     \
    }
/* In this order a directory stands before what is in it; "1" is replaced by the process. */
static const struct entry entries[] = {
    {"1", S_IFDIR | 0555, 0},
    {"1/fd", S_IFDIR | 0500, 0},
    {"1/exe", S_IFLNK | 0777, PV_SPECIAL_EXE_LINK},
    {"1/cwd", S_IFLNK | 0777, PV_SPECIAL_CWD_LINK},
    {"1/root", S_IFLNK | 0777, PV_SPECIAL_ROOT_LINK},
    TEXT("1/maps", PV_FILES_PROC_MAPS),
    TEXT("1/cmdline", PV_FILES_PROC_CMDLINE),
    {"1/environ", S_IFREG | 0400, PV_FILES_PROC_ENVIRON},
    {"1/auxv", S_IFREG | 0400, PV_FILES_PROC_AUXV},
    TEXT("1/stat", PV_FILES_PROC_STAT),
    TEXT("1/status", PV_FILES_PROC_STATUS),
    TEXT("1/statm", PV_FILES_PROC_STATM),
    TEXT("1/comm", PV_FILES_PROC_COMM),
    TEXT("1/mounts", TEXT_MOUNTS),
    TEXT("1/mountinfo", TEXT_MOUNTINFO),
    TEXT("1/cgroup", TEXT_CGROUP),
    TEXT("1/limits", TEXT_LIMITS),
    TEXT("meminfo", TEXT_MEMINFO),
    TEXT("cpuinfo", TEXT_CPUINFO),
    TEXT("stat", TEXT_SYS_STAT),
    TEXT("uptime", TEXT_UPTIME),
    TEXT("version", TEXT_VERSION),
    TEXT("loadavg", TEXT_LOADAVG),
    TEXT("filesystems", TEXT_FILESYSTEMS),
    {"sys", S_IFDIR | 0555, 0},
    {"sys/vm", S_IFDIR | 0555, 0},
    FIXED("sys/vm/overcommit_memory", 0),
    FIXED("sys/vm/max_map_count", 2),
    {"sys/kernel", S_IFDIR | 0555, 0},
    FIXED("sys/kernel/pid_max", 1),
    FIXED("sys/kernel/ngroups_max", 2),
    FIXED("sys/kernel/ostype", 5),
    FIXED("sys/kernel/osrelease", 6),
    FIXED("sys/kernel/hostname", 7),
    FIXED("sys/kernel/domainname", 7),
    FIXED("sys/kernel/cap_last_cap", 4),
    FIXED("sys/kernel/randomize_va_space", 9),
    {"sys/fs", S_IFDIR | 0555, 0},
    FIXED("sys/fs/file-max", 8),
    FIXED("sys/fs/nr_open", 8),
    FIXED("sys/fs/pipe-max-size", 8),
    {"sys/net", S_IFDIR | 0555, 0},
    {"sys/net/core", S_IFDIR | 0555, 0},
    FIXED("sys/net/core/somaxconn", 3),
};

static pv_ref add(struct pv_files *f, pv_ref parent, const char *name, const struct entry *e)
{
    pv_ref node = pv_node_new(f, PV_FS_PROC, e->mode);
    pv_ref dentry;

    if (!node)
        return 0;
    pv_node_edit(f, node)->extra = e->extra;
    if (S_ISREG(e->mode))
        pv_node_edit(f, node)->special = PV_SPECIAL_TEXT;
    else if (S_ISLNK(e->mode))
        pv_node_edit(f, node)->special = (uint8_t)e->extra;
    else if (strcmp(name, "fd") == 0)
        pv_node_edit(f, node)->special = PV_SPECIAL_FD_DIR;
    dentry = pv_dentry_new(f, parent, name, strlen(name), node);
    if (!dentry) {
        pv_node_discard(f, node);
        return 0;
    }
    pv_dentry_edit(f, dentry)->pinned = true;
    pv_dentry_put(f, dentry);
    return dentry;
}

/* A link with a fixed text. */
static int add_link(struct pv_files *f, pv_ref parent, const char *name, const char *target)
{
    const struct entry e = {name, S_IFLNK | 0777, PV_SPECIAL_NONE};
    size_t len = strlen(target);
    pv_ref dentry = add(f, parent, name, &e);
    pv_ref text = dentry ? pv_arena_new(&f->arena, len + 1) : 0;
    struct pv_node *node;

    if (!text)
        return -ENOMEM;
    memcpy(pv_edit(&f->arena, text, 0, len), target, len);
    node = pv_node_edit(f, pv_dentry_node(f, dentry));
    node->data = text;
    node->size = (int64_t)len;
    return 0;
}

static int add_entry(struct pv_files *f, pv_ref proc, const char *pid, const struct entry *e)
{
    pv_ref dir = proc;
    const char *name = e->path;

    for (const char *slash; (slash = strchr(name, '/')); name = slash + 1) {
        size_t len = (size_t)(slash - name);

        dir = name[0] == '1' ? pv_dentry_find(f, dir, pid, strlen(pid))
                             : pv_dentry_find(f, dir, name, len);
        if (!dir)
            return -ENOMEM;
    }
    return add(f, dir, strcmp(name, "1") == 0 ? pid : name, e) ? 0 : -ENOMEM;
}

int pv_proc_build(struct pv_files *f)
{
    const struct entry top = {"proc", S_IFDIR | 0555, 0};
    pv_ref proc = add(f, pv_state(f)->root, "proc", &top);
    char pid[16];

    if (!proc)
        return -ENOMEM;
    snprintf(pid, sizeof pid, "%u", pv_state(f)->pid);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        PV_TRY(add_entry(f, proc, pid, &entries[i]));
    PV_TRY(add_link(f, proc, "self", pid));
    return add_link(f, proc, "mounts", "self/mounts");
}

bool pv_proc_is_magic(const struct pv_node *node)
{
    return node->special == PV_SPECIAL_FD_LINK || node->special == PV_SPECIAL_EXE_LINK ||
           node->special == PV_SPECIAL_CWD_LINK || node->special == PV_SPECIAL_ROOT_LINK;
}

static int jump_to_exe(struct pv_files *f, pv_ref *ret)
{
    return pv_path_find(f, AT_FDCWD, pv_at(&f->arena, pv_state(f)->exe), PV_WALK_FOLLOW, ret);
}

int pv_proc_jump(struct pv_files *f, pv_ref link, pv_ref *ret)
{
    const struct pv_node *node = pv_node(f, pv_dentry_node(f, link));
    pv_ref file;

    if (node->special == PV_SPECIAL_EXE_LINK)
        return jump_to_exe(f, ret);
    if (node->special == PV_SPECIAL_FD_LINK) {
        file = pv_fd_any(f, (int)node->extra);
        if (!file)
            return -ENOENT;
        *ret = pv_file(f, file)->dentry;
    } else {
        *ret = node->special == PV_SPECIAL_CWD_LINK ? pv_state(f)->cwd : pv_state(f)->root;
    }
    pv_dentry_get(f, *ret);
    return 0;
}

int64_t pv_proc_link_text(const struct pv_files *f, pv_ref link, char *buf, size_t len)
{
    const struct pv_node *node = pv_node(f, pv_dentry_node(f, link));
    char path[PV_PATH_ROOM];
    pv_ref target = node->special == PV_SPECIAL_CWD_LINK ? pv_state(f)->cwd : pv_state(f)->root;
    int64_t n;

    if (node->special == PV_SPECIAL_EXE_LINK) {
        n = snprintf(path, sizeof path, "%s", (const char *)pv_at(&f->arena, pv_state(f)->exe));
    } else {
        if (node->special == PV_SPECIAL_FD_LINK) {
            pv_ref file = pv_fd_any(f, (int)node->extra);

            if (!file)
                return -ENOENT;
            target = pv_file(f, file)->dentry;
        }
        n = pv_dentry_path(f, target, path, sizeof path);
    }
    if (n < 0)
        return n;
    if ((size_t)n > len)
        n = (int64_t)len;
    memcpy(buf, path, (size_t)n);
    return n;
}

/* Decimal without leading zeroes, below the table's end; -1 otherwise. */
static int number(const char *name, size_t len)
{
    int n = 0;

    if (len == 0 || len > 9 || (len > 1 && name[0] == '0'))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        n = n * 10 + (name[i] - '0');
    }
    return n;
}

int pv_proc_fd_lookup(struct pv_files *f, pv_ref dir, const char *name, size_t len, pv_ref *ret)
{
    int fd = number(name, len);
    pv_ref file = pv_fd_any(f, fd);
    pv_ref node;
    uint32_t access;

    if (!file)
        return -ENOENT;
    access = pv_file(f, file)->flags & O_ACCMODE;
    node = pv_node_new(f, PV_FS_PROC,
                       S_IFLNK | (access == O_RDONLY   ? 0500
                                  : access == O_WRONLY ? 0300
                                                       : 0700));
    if (!node)
        return -ENOMEM;
    pv_node_edit(f, node)->special = PV_SPECIAL_FD_LINK;
    pv_node_edit(f, node)->extra = (uint32_t)fd;
    pv_node_edit(f, node)->size = 64;
    *ret = pv_dentry_new_hidden(f, dir, name, len, node);
    if (!*ret)
        pv_node_discard(f, node);
    return *ret ? 0 : -ENOMEM;
}

static size_t put_meminfo(const struct pv_state *state, char *buf, size_t cap)
{
    unsigned long long all = state->memory_bytes / KIB;

    return (size_t)snprintf(buf, cap,
                            "MemTotal:       %8llu kB\nMemFree:        %8llu kB\n"
                            "MemAvailable:   %8llu kB\nBuffers:               0 kB\n"
                            "Cached:                0 kB\nSwapCached:            0 kB\n"
                            "SwapTotal:             0 kB\nSwapFree:              0 kB\n"
                            "Shmem:                 0 kB\nHugePages_Total:       0\n"
                            "Hugepagesize:       2048 kB\n",
                            all, all / 2, all / 2);
}

static size_t put_cpus(const struct pv_state *state, bool stat, char *buf, size_t cap)
{
    size_t len = 0;

    if (stat)
        len = (size_t)snprintf(buf, cap, "cpu  0 0 0 0 0 0 0 0 0 0\n");
    for (uint32_t i = 0; i < state->cpus && len < cap; i++)
        len +=
            (size_t)snprintf(buf + len, cap - len,
                             stat ? "cpu%u 0 0 0 0 0 0 0 0 0 0\n"
                                  : "processor\t: %u\nvendor_id\t: Provost\nmodel name\t: virtual\n"
                                    "cpu MHz\t\t: 1000.000\nflags\t\t: fpu sse sse2\n\n",
                             i);
    if (stat && len < cap)
        len += (size_t)snprintf(buf + len, cap - len,
                                "intr 0\nctxt 0\nbtime 0\nprocesses 1\n"
                                "procs_running 1\nprocs_blocked 0\n");
    return len < cap ? len : cap;
}

static size_t put_uptime(const struct pv_files *f, char *buf, size_t cap)
{
    uint64_t now = (uint64_t)pv_domain_now_ns(f, CLOCK_MONOTONIC);
    uint64_t up = now > pv_state(f)->started_ns ? now - pv_state(f)->started_ns : 0;

    return (size_t)snprintf(buf, cap, "%llu.%02llu 0.00\n", (unsigned long long)(up / 1000000000),
                            (unsigned long long)(up / 10000000 % 100));
}

/* Length of the text, at most cap. */
static size_t put_own(const struct pv_files *f, uint32_t which, char *buf, size_t cap)
{
    static const char limits[] =
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max open files            %u                 %u                 files\n";
    const struct pv_state *state = pv_state(f);

    if (which >= TEXT_FIXED)
        return (size_t)snprintf(buf, cap, "%s", fixed[which - TEXT_FIXED]);
    switch ((enum own_text)which) {
    case TEXT_MEMINFO:
        return put_meminfo(state, buf, cap);
    case TEXT_CPUINFO:
    case TEXT_SYS_STAT:
        return put_cpus(state, which == TEXT_SYS_STAT, buf, cap);
    case TEXT_UPTIME:
        return put_uptime(f, buf, cap);
    case TEXT_VERSION:
        return (size_t)snprintf(buf, cap, "Linux version 6.1.0-provost\n");
    case TEXT_LOADAVG:
        return (size_t)snprintf(buf, cap, "0.00 0.00 0.00 1/1 %u\n", state->pid);
    case TEXT_MOUNTS:
        return (size_t)snprintf(buf, cap,
                                "provost / provost ro,nosuid,nodev 0 0\n"
                                "tmpfs /tmp tmpfs rw,nosuid,nodev 0 0\n");
    case TEXT_MOUNTINFO:
        return (size_t)snprintf(buf, cap,
                                "1 0 0:1 / / ro,nosuid,nodev - provost provost ro\n"
                                "2 1 0:2 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw\n");
    case TEXT_CGROUP:
        return (size_t)snprintf(buf, cap, "0::/\n");
    case TEXT_FILESYSTEMS:
        return (size_t)snprintf(buf, cap, "nodev\tproc\nnodev\ttmpfs\n");
    case TEXT_LIMITS:
        return (size_t)snprintf(buf, cap, limits, state->fd_max, state->fd_max);
    case TEXT_FIXED:
        break;
    }
    return 0;
}

/* Texts are made anew for each read, as the kernel's are for each first one. */
static int64_t text_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    uint32_t which = pv_node(f, pv_file_node(f, file))->extra;
    pv_autofree char *buf = malloc(TEXT_MAX);
    int64_t len = 0;

    if (!buf)
        return -ENOMEM;
    if (which >= TEXT_MEMINFO)
        len = (int64_t)put_own(f, which, buf, TEXT_MAX);
    else if (f->host->proc)
        len = f->host->proc(f->ctx, (enum pv_files_proc)which, buf, TEXT_MAX);
    if (len < 0)
        return len;
    if (len > TEXT_MAX)
        len = TEXT_MAX;
    return off >= len ? 0 : (int64_t)pv_io_put(io, buf + off, (size_t)(len - off));
}

static int64_t text_seek(struct pv_files *f, pv_ref file, int64_t off, int whence)
{
    if (whence == SEEK_CUR && __builtin_add_overflow(off, pv_file(f, file)->offset, &off))
        return -EINVAL;
    return (whence == SEEK_SET || whence == SEEK_CUR) && off >= 0 ? off : -EINVAL;
}

const struct pv_file_ops pv_text_ops = {
    .name = "text",
    .seekable = true,
    .read = text_read,
    .seek = text_seek,
};
