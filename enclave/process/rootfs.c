#include "rootfs.h"

#include "pv/io.h"
#include "pv/own.h"
#include "secrets.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

/* Where the root grows before pivot_root; any directory that always exists serves, since the mount
 * is seen in this namespace only. */
#define STAGE "/proc"

static void stage_path(char out[PV_PATH_MAX], const char *path)
{
    (void)snprintf(out, PV_PATH_MAX, "%s%s", STAGE, path);
}

static int make_dir(const char *path, struct pv_err *err)
{
    char staged[PV_PATH_MAX];

    stage_path(staged, path);
    if (mkdir(staged, 0755) < 0 && errno != EEXIST)
        return pv_fail(err, errno, "make '%s' in the sandbox", path);
    return 0;
}

/* Binds source (anything, followed) over the staged path; read-only, nosuid, nodev. */
static int bind_read_only(const char *source, const char *path, struct pv_err *err)
{
    char staged[PV_PATH_MAX];

    stage_path(staged, path);
    if (mount(source, staged, NULL, MS_BIND, NULL) < 0 ||
        mount(NULL, staged, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) <
            0)
        return pv_fail(err, errno, "mount '%s' in the sandbox", path);
    return 0;
}

static int copy_link(const char *source, const char *path, struct pv_err *err)
{
    char target[PV_PATH_MAX], staged[PV_PATH_MAX];
    ssize_t n = readlink(source, target, sizeof target - 1);

    if (n < 0)
        return pv_fail(err, errno, "read link '%s'", source);
    target[n] = 0;
    stage_path(staged, path);
    if (symlink(target, staged) < 0 && errno != EEXIST)
        return pv_fail(err, errno, "link '%s' in the sandbox", path);
    return 0;
}

static int make_file(const char *path, const void *content, size_t len, struct pv_err *err)
{
    char staged[PV_PATH_MAX];
    pv_autoclose int fd = -1;

    stage_path(staged, path);
    fd = open(staged, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0444);
    if (fd < 0)
        return pv_fail(err, errno, "make '%s' in the sandbox", path);
    return pv_write_all(fd, content, len, err);
}

/* Mirrors one entry of the host into the root: a link as a link, the rest bound. */
static int mirror(const char *source, const char *path, struct pv_err *err)
{
    struct stat st;

    if (lstat(source, &st) < 0)
        return errno == ENOENT ? 0 : pv_fail(err, errno, "look at '%s'", source);
    if (S_ISLNK(st.st_mode))
        return copy_link(source, path, err);
    if (S_ISDIR(st.st_mode))
        PV_TRY(make_dir(path, err));
    else if (S_ISREG(st.st_mode))
        PV_TRY(make_file(path, "", 0, err));
    else
        return 0;
    return bind_read_only(source, path, err);
}

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(name, *list))
            return true;
    return false;
}

static inline void close_dir(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

/* Mirrors the entries of a directory, except those that the sandbox makes itself. */
static int mirror_entries(const char *source, const char *path, const char *const *except,
                          struct pv_err *err)
{
    __attribute__((cleanup(close_dir))) DIR *d = opendir(source);
    char from[PV_PATH_MAX], to[PV_PATH_MAX];

    if (!d)
        return pv_fail(err, errno, "open root directory '%s'", source);
    for (const struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || is_one_of(e->d_name, except))
            continue;
        (void)snprintf(from, sizeof from, "%s/%s", source, e->d_name);
        (void)snprintf(to, sizeof to, "%s/%s", path, e->d_name);
        PV_TRY(mirror(from, to, err));
    }
    return 0;
}

/* Copied and not bound: every mount is copied again for every instance. */
static int copy_etc(const char *name, struct pv_err *err)
{
    char path[PV_PATH_MAX];
    pv_autobuf struct pv_buf b = {0};
    struct stat st;

    (void)snprintf(path, sizeof path, "/etc/%s", name);
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    pv_buf_init(&b, 4u << 20);
    /* followed here: Debian's /etc/localtime is a link into /usr */
    pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", path);
    for (;;) {
        uint8_t chunk[8192];
        ssize_t n = read(fd, chunk, sizeof chunk);

        if (n < 0)
            return pv_fail(err, errno, "read '%s'", path);
        if (n == 0)
            break;
        pv_buf_raw(&b, chunk, (size_t)n);
    }
    PV_TRY(pv_buf_check(&b, path, err));
    return make_file(path, b.data, b.len, err);
}

static int host_etc(struct pv_err *err)
{
    static const char *const copied[] = {"ld.so.cache", "localtime", "mime.types", "protocols",
                                         "services"};
    static const char *const bound[] = {"/etc/alternatives", "/etc/ssl/certs"};

    for (unsigned i = 0; i < sizeof copied / sizeof *copied; i++)
        PV_TRY(copy_etc(copied[i], err));
    PV_TRY(make_dir("/etc/ssl", err));
    for (unsigned i = 0; i < sizeof bound / sizeof *bound; i++)
        PV_TRY(mirror(bound[i], bound[i], err));
    return 0;
}

static int own_etc(struct pv_err *err)
{
    static const struct {
        const char *path, *content;
    } files[] = {
        {"/etc/passwd", "function:x:1000:1000:function:/tmp:/bin/sh\n"},
        {"/etc/group", "function:x:1000:\n"},
        {"/etc/hosts", "127.0.0.1 localhost gateway\n"},
        {"/etc/resolv.conf", "# names are resolved by the proxy\n"},
        {"/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n"},
    };

    for (unsigned i = 0; i < sizeof files / sizeof *files; i++)
        PV_TRY(make_file(files[i].path, files[i].content, strlen(files[i].content), err));
    return 0;
}

static int host_runtime(struct pv_err *err)
{
    static const char *const dirs[] = {"/usr",   "/bin",   "/sbin",  "/lib",
                                       "/lib32", "/lib64", "/libx32"};

    for (unsigned i = 0; i < sizeof dirs / sizeof *dirs; i++)
        PV_TRY(mirror(dirs[i], dirs[i], err));
    PV_TRY(make_dir("/etc", err));
    PV_TRY(host_etc(err));
    return own_etc(err);
}

static int given_root(const char *root, struct pv_err *err)
{
    static const char *const own[] = {"function", "tmp", "proc", "dev", "sys", "run", "var", NULL};
    static const char *const own_var[] = {"openfaas", "tmp", "run", "lock", NULL};
    char var[PV_PATH_MAX + 8];

    PV_TRY(mirror_entries(root, "", own, err));
    (void)snprintf(var, sizeof var, "%s/var", root);
    if (access(var, F_OK) < 0)
        return 0;
    PV_TRY(make_dir("/var", err));
    return mirror_entries(var, "/var", own_var, err);
}

/* Real nodes where root may make them, the host's bound where it may not (containers). */
static int make_devices(struct pv_err *err)
{
    static const struct {
        const char *path;
        unsigned minor;
    } nodes[] = {{"/dev/null", 3},
                 {"/dev/zero", 5},
                 {"/dev/full", 7},
                 {"/dev/random", 8},
                 {"/dev/urandom", 9}};
    static const struct {
        const char *path, *target;
    } links[] = {{"/dev/fd", "/proc/self/fd"},
                 {"/dev/stdin", "/proc/self/fd/0"},
                 {"/dev/stdout", "/proc/self/fd/1"},
                 {"/dev/stderr", "/proc/self/fd/2"},
                 {"/dev/shm", "/tmp"}};
    char staged[PV_PATH_MAX];

    PV_TRY(make_dir("/dev", err));
    for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        stage_path(staged, nodes[i].path);
        if (mknod(staged, S_IFCHR | 0666, makedev(1, nodes[i].minor)) == 0) {
            if (chmod(staged, 0666) < 0)
                return pv_fail(err, errno, "make '%s' in the sandbox", nodes[i].path);
            continue;
        }
        PV_TRY(make_file(nodes[i].path, "", 0, err));
        if (mount(nodes[i].path, staged, NULL, MS_BIND, NULL) < 0)
            return pv_fail(err, errno, "mount '%s' in the sandbox", nodes[i].path);
    }
    for (unsigned i = 0; i < sizeof links / sizeof *links; i++) {
        stage_path(staged, links[i].path);
        if (symlink(links[i].target, staged) < 0)
            return pv_fail(err, errno, "link '%s' in the sandbox", links[i].path);
    }
    return 0;
}

static int mount_package(int tree_fd, struct pv_err *err)
{
    PV_TRY(make_dir("/function", err));
    if (syscall(SYS_move_mount, tree_fd, "", AT_FDCWD, STAGE "/function", MOVE_MOUNT_F_EMPTY_PATH) <
            0 ||
        mount(NULL, STAGE "/function", NULL,
              MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) < 0)
        return pv_fail(err, errno, "mount the function's package");
    return 0;
}

static int pivot(struct pv_err *err)
{
    if (chdir(STAGE) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
        return pv_fail(err, errno, "enter the sandbox's root");
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return pv_fail(err, errno, "leave the host's root");
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID, NULL) < 0)
        return pv_fail(err, errno, "make the sandbox's root read-only");
    return 0;
}

int pv_rootfs_enter(const struct pv_domain_config *config, struct pv_err *err)
{
    const struct pv_spec *spec = config->spec;
    static const char *const dirs[] = {"/tmp", "/proc", "/var", "/var/openfaas",
                                       "/var/openfaas/secrets"};

    /* cloned before unshare: a mount can only be cloned in its own namespace */
    pv_autoclose int package = (int)syscall(SYS_open_tree, config->package_fd, "",
                                            OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (package < 0)
        return pv_fail(err, errno, "open the function's package directory");
    (void)umask(022);
    if (unshare(CLONE_NEWNS) < 0)
        return pv_fail(err, errno, "make a mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return pv_fail(
            err, errno,
            errno == EINVAL
                ? "the root directory is no mount point: the kernel gives no user "
                  "namespaces to what runs in a chroot, a container or pivot_root will do"
                : "make all mounts private");
    if (mount("provost-root", STAGE, "tmpfs", MS_NOSUID, "mode=0755,size=16m") < 0)
        return pv_fail(err, errno, "mount the sandbox's root");
    if (spec->root_dir[0])
        PV_TRY(given_root(spec->root_dir, err));
    else
        PV_TRY(host_runtime(err));
    PV_TRY(make_devices(err));
    for (unsigned i = 0; i < sizeof dirs / sizeof *dirs; i++)
        PV_TRY(make_dir(dirs[i], err));
    PV_TRY(mount_package(package, err));
    PV_TRY(pv_secrets_mount(config, STAGE "/var/openfaas/secrets", err));
    /* the host's view of its instances; each instance covers it with its own */
    if (mount("proc", STAGE "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return pv_fail(err, errno, "mount proc");
    return pivot(err);
}
