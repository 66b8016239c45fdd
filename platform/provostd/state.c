#include "state.h"

#include "pv/id.h"
#include "pv/io.h"
#include "pv/own.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

/* The top is passable for everyone, so that a role finds its own directory by path (SQLite does),
 * and each directory below decides for itself. packages is passable but not listable: a host binds
 * its package by path inside its mount namespace. log is of the stitcher's group (and hands it on),
 * keys is passable for log.pub. */
static const struct {
    const char *name;
    size_t fd; /* offset of the descriptor in struct pv_state */
    unsigned user, group;
    mode_t mode;
} layout[] = {
    {"log", offsetof(struct pv_state, log), PV_USER_AUDITOR, PV_USER_STITCHER, 02750},
    {"keys", offsetof(struct pv_state, keys), PV_USER_AUDITOR, PV_USER_AUDITOR, 0711},
    {"rings", offsetof(struct pv_state, rings), 0, 0, 0700},
    {"packages", offsetof(struct pv_state, packages), 0, 0, 0711},
    {"registry", offsetof(struct pv_state, registry), PV_USER_GATEWAY, PV_USER_GATEWAY, 0700},
    {"functions", offsetof(struct pv_state, functions), 0, PV_USER_GATEWAY, 0750},
    {"secrets", offsetof(struct pv_state, secrets), 0, 0, 0700},
    {"graph", offsetof(struct pv_state, graph), PV_USER_STITCHER, PV_USER_STITCHER, 0750},
};
enum { N_LAYOUT = sizeof layout / sizeof layout[0] };

static int *fd_at(struct pv_state *s, size_t offset)
{
    return (int *)(void *)((char *)s + offset);
}

void pv_state_init(struct pv_state *s)
{
    *s = (struct pv_state){.dir = -1, .lock = -1, .bpf = -1};
    for (unsigned i = 0; i < N_LAYOUT; i++)
        *fd_at(s, layout[i].fd) = -1;
}

static uint32_t id_of(const struct pv_config *c, unsigned user)
{
    return user == 0 ? 0 : c->uid_base + user;
}

static int open_directory(int parent, const char *name, uid_t uid, gid_t gid, mode_t mode,
                          struct pv_err *err)
{
    pv_autoclose int fd = -1;

    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST)
        return pv_fail(err, errno, "create '%s'", name);
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", name);
    /* chown clears the set-group-id bit, so the mode comes after it. */
    if (fchown(fd, uid, gid) != 0 || fchmod(fd, mode) != 0)
        return pv_fail(err, errno, "set owner and mode of '%s'", name);
    return PV_TAKE_FD(fd);
}

/* Roles open some files by path, as users of their own: a closed directory on the way would fail
 * them later, with less to go by. */
static int check_reachable(const char *path, struct pv_err *err)
{
    char parent[PV_PATH_MAX];
    struct stat st;

    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
        if (stat(parent, &st) != 0)
            return pv_fail(err, errno, "examine '%s'", parent);
        if (!(st.st_mode & S_IXOTH))
            return pv_refuse(err, EACCES,
                             "the state directory '%s' is out of the roles' reach, because '%s' is "
                             "closed to other users: chmod o+x that, or choose another directory",
                             path, parent);
    }
    return 0;
}

static int open_top(struct pv_state *s, const struct pv_config *c, struct pv_err *err)
{
    if (mkdir(c->state_dir, 0711) != 0 && errno != EEXIST)
        return pv_fail(err, errno, "create the state directory '%s'", c->state_dir);
    if (!realpath(c->state_dir, s->path))
        return pv_fail(err, errno, "find the state directory '%s'", c->state_dir);
    PV_TRY(check_reachable(s->path, err));
    s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0)
        return pv_fail(err, errno, "open the state directory '%s'", s->path);
    if (fchown(s->dir, 0, 0) != 0 || fchmod(s->dir, 0711) != 0)
        return pv_fail(err, errno, "set owner and mode of '%s'", s->path);
    return 0;
}

static int take_lock(struct pv_state *s, struct pv_err *err)
{
    char text[32] = "";
    int n;

    s->lock = openat(s->dir, "provostd.lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (s->lock < 0)
        return pv_fail(err, errno, "open '%s/provostd.lock'", s->path);
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK)
            return pv_fail(err, errno, "lock '%s'", s->path);
        if (pread(s->lock, text, sizeof text - 1, 0) > 0)
            text[strcspn(text, "\n")] = '\0';
        return pv_refuse(err, EBUSY, "the state directory '%s' is in use by provostd, process %s",
                         s->path, text);
    }
    n = snprintf(text, sizeof text, "%d\n", getpid());
    if (ftruncate(s->lock, 0) != 0 || pwrite(s->lock, text, (size_t)n, 0) != n)
        return pv_fail(err, errno, "write '%s/provostd.lock'", s->path);
    return 0;
}

static int load_token(struct pv_state *s, struct pv_err *err)
{
    pv_autobuf struct pv_buf b;
    struct stat st;

    pv_buf_init(&b, PV_TOKEN_CHARS + 2);
    if (fstatat(s->dir, "admin.token", &st, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT) {
        uint8_t random[PV_TOKEN_CHARS / 2];

        arc4random_buf(random, sizeof random);
        pv_hex(random, sizeof random, s->token);
        return pv_replace_file_at(s->dir, "admin.token", s->token, PV_TOKEN_CHARS, 0600, err);
    }
    PV_TRY(pv_wrap(err, pv_read_file_at(s->dir, "admin.token", &b, err), "admin token"));
    if (b.len == PV_TOKEN_CHARS + 1 && b.data[PV_TOKEN_CHARS] == '\n')
        b.len--;
    if (b.len != PV_TOKEN_CHARS)
        return pv_refuse(err, EINVAL,
                         "'%s/admin.token' does not hold %d characters: remove it to get a new one",
                         s->path, PV_TOKEN_CHARS);
    memcpy(s->token, b.data, PV_TOKEN_CHARS);
    s->token[PV_TOKEN_CHARS] = '\0';
    return 0;
}

static bool is_bpffs(int fd)
{
    struct statfs fs;

    return fstatfs(fd, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

/* A mount left by a killed run is kept: the new auditor finds the pins there. */
static int mount_bpffs(struct pv_state *s, const struct pv_config *c, struct pv_err *err)
{
    uid_t uid = id_of(c, PV_USER_AUDITOR);
    char path[PV_PATH_MAX + 8];
    pv_autoclose int fd = open_directory(s->dir, "bpf", uid, uid, 0700, err);

    PV_TRY(fd);
    if (!is_bpffs(fd) && c->bpf) {
        snprintf(path, sizeof path, "%s/bpf", s->path);
        if (mount("provost", path, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0)
            return pv_fail(err, errno,
                           "mount bpffs at '%s' (--without-bpf does without the outside witness)",
                           path);
        (void)close(PV_TAKE_FD(fd));
        fd = open_directory(s->dir, "bpf", uid, uid, 0700, err);
        PV_TRY(fd);
    }
    s->bpf_mounted = is_bpffs(fd);
    s->bpf = PV_TAKE_FD(fd);
    return 0;
}

int pv_state_open(struct pv_state *s, const struct pv_config *c, struct pv_err *err)
{
    PV_TRY(open_top(s, c, err));
    PV_TRY(take_lock(s, err));
    for (unsigned i = 0; i < N_LAYOUT; i++) {
        int fd = open_directory(s->dir, layout[i].name, id_of(c, layout[i].user),
                                id_of(c, layout[i].group), layout[i].mode, err);

        PV_TRY(pv_wrap(err, fd, "state directory '%s'", s->path));
        *fd_at(s, layout[i].fd) = fd;
    }
    PV_TRY(load_token(s, err));
    return mount_bpffs(s, c, err);
}

/* The roles are no root and get nothing of what is reserved for it. */
static int free_bytes(const struct pv_state *s, uint64_t *ret)
{
    struct statvfs fs;

    if (fstatvfs(s->dir, &fs) != 0 || fs.f_blocks == 0)
        return -ENOTSUP;
    *ret = (uint64_t)fs.f_bavail * fs.f_frsize;
    return 0;
}

static double mib(uint64_t bytes)
{
    return (double)bytes / (1 << 20);
}

int pv_state_check_room(const struct pv_state *s, bool draining, struct pv_err *err)
{
    enum { RINGS = 4, RINGS_BEFORE_DRAINING = 2 }; /* ours and the roles'; ours and the auditor's */
    bool is_new = faccessat(s->keys, "log.key", F_OK, 0) != 0;
    uint64_t needed = (draining ? RINGS_BEFORE_DRAINING : RINGS) * (uint64_t)PV_RING_FILE_BYTES;
    uint64_t there;

    if (is_new)
        needed += PV_STATE_NEW_BYTES;
    if (free_bytes(s, &there) < 0 || there >= needed)
        return 0;
    return pv_refuse(err, ENOSPC,
                     "the state directory '%s' has too little room: to start takes %.1f MiB (each "
                     "function version %.1f MiB more), and %.1f MiB are free; make room there, or "
                     "choose another with --state-dir",
                     s->path, mib(needed), mib(PV_RING_FILE_BYTES), mib(there));
}

int pv_state_explain_room(const struct pv_state *s, int rc, struct pv_err *err)
{
    uint64_t there = 0;

    if (rc != -ENOSPC && rc != -EDQUOT)
        return rc;
    (void)free_bytes(s, &there);
    return pv_refuse(err, -rc,
                     "the state directory '%s' is full: %u KiB are needed, %llu KiB are free%s; "
                     "make room there",
                     s->path, PV_RING_FILE_BYTES >> 10, (unsigned long long)there >> 10,
                     rc == -EDQUOT                 ? " but a quota is used up"
                     : there >= PV_RING_FILE_BYTES ? " but no more files can be made"
                                                   : "");
}

void pv_state_close(struct pv_state *s)
{
    char path[PV_PATH_MAX + 8];

    if (s->bpf >= 0)
        (void)close(PV_TAKE_FD(s->bpf));
    snprintf(path, sizeof path, "%s/bpf", s->path);
    if (s->bpf_mounted)
        (void)umount2(path, UMOUNT_NOFOLLOW | MNT_DETACH);
    for (unsigned i = 0; i < N_LAYOUT; i++)
        if (*fd_at(s, layout[i].fd) >= 0)
            (void)close(PV_TAKE_FD(*fd_at(s, layout[i].fd)));
    if (s->lock >= 0)
        (void)close(s->lock);
    if (s->dir >= 0)
        (void)close(s->dir);
    pv_state_init(s);
}
