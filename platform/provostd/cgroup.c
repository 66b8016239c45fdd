#include "cgroup.h"

#include "pv/id.h"
#include "pv/own.h"
#include "pv/ratchet.h"
#include "tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { CPU_PERIOD_US = 100000, CPU_QUOTA_MIN_US = 1000, FINISH_TRIES = 100, LINE_MAX_ = 4096 };

static const char *const controller_names[PV_CG_COUNT] = {"memory", "pids", "cpu"};

static int write_file(const char *dir, const char *name, const char *text, struct pv_err *err)
{
    char path[PV_PATH_MAX + 64];
    size_t len = strlen(text);
    pv_autoclose int fd = -1;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", path);
    if (write(fd, text, len) != (ssize_t)len)
        return pv_fail(err, errno, "write '%s' to '%s'", text, path);
    return 0;
}

static bool has_word(const char *list, const char *word, const char *separators)
{
    size_t n = strlen(word);

    for (const char *p = list; *p;) {
        size_t len = strcspn(p, separators);

        if (len == n && memcmp(p, word, n) == 0)
            return true;
        p += len;
        p += strspn(p, separators);
    }
    return false;
}

/* The daemon's own group in a v1 hierarchy: "N:controllers:/path" in /proc/self/cgroup. */
static void own_group(const char *proc_dir, const char *controller, char out[PV_PATH_MAX])
{
    char path[PV_PATH_MAX], line[LINE_MAX_];
    FILE *f;

    out[0] = '\0';
    snprintf(path, sizeof path, "%s/self/cgroup", proc_dir);
    f = fopen(path, "re");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        char *list = strchr(line, ':');
        char *group = list ? strchr(list + 1, ':') : NULL;

        if (!group)
            continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (has_word(list + 1, controller, ",") && strcmp(group, "/") != 0)
            snprintf(out, PV_PATH_MAX, "%s", group);
    }
    (void)fclose(f);
}

enum { MOUNT_PATH_MAX = PV_PATH_MAX / 4 };

struct mounts {
    char v1[PV_CG_COUNT][MOUNT_PATH_MAX];
    char v2[MOUNT_PATH_MAX];
};

static bool is_usual(const char *dir)
{
    static const char usual[] = "/sys/fs/cgroup";
    size_t n = sizeof usual - 1;

    return strncmp(dir, usual, n) == 0 && (dir[n] == '/' || dir[n] == '\0');
}

/* A hierarchy may be mounted again elsewhere, for a chroot say, and go there at any time: the usual
 * place counts, else the first. */
static void prefer(char out[MOUNT_PATH_MAX], const char *dir)
{
    if (!out[0] || (is_usual(dir) && !is_usual(out)))
        snprintf(out, MOUNT_PATH_MAX, "%s", dir);
}

static int find_mounts(struct mounts *m, const char *proc_dir, struct pv_err *err)
{
    char path[PV_PATH_MAX], buffer[LINE_MAX_];
    struct mntent e;
    FILE *f;

    *m = (struct mounts){0};
    snprintf(path, sizeof path, "%s/self/mounts", proc_dir);
    f = setmntent(path, "re");
    if (!f)
        return pv_fail(err, errno, "read '%s'", path);
    while (getmntent_r(f, &e, buffer, sizeof buffer)) {
        if (strcmp(e.mnt_type, "cgroup2") == 0)
            prefer(m->v2, e.mnt_dir);
        for (unsigned i = 0; i < PV_CG_COUNT; i++)
            if (strcmp(e.mnt_type, "cgroup") == 0 && hasmntopt(&e, controller_names[i]))
                prefer(m->v1[i], e.mnt_dir);
    }
    (void)endmntent(f);
    return 0;
}

/* Whether the file (a list of words) names all three controllers. */
static bool lists_all(const char *dir, const char *name)
{
    char path[PV_PATH_MAX], line[LINE_MAX_] = "";
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "re");
    if (!f)
        return false;
    if (!fgets(line, sizeof line, f))
        line[0] = '\0';
    (void)fclose(f);
    for (unsigned i = 0; i < PV_CG_COUNT; i++)
        if (!has_word(line, controller_names[i], " \n"))
            return false;
    return true;
}

static void base_name(const char *state_path, char out[32])
{
    uint8_t hash[PV_HASH_BYTES];
    char hex[17];

    pv_sha256(state_path, strlen(state_path), hash);
    pv_hex(hash, 8, hex);
    snprintf(out, 32, "provost-%s", hex);
}

int pv_cgroup_detect(struct pv_cgroups *c, const char *proc_dir, const char *state_path,
                     struct pv_err *err)
{
    struct mounts m;
    char name[32], own[PV_PATH_MAX];

    *c = (struct pv_cgroups){.mode = PV_CGROUP_NONE};
    base_name(state_path, name);
    PV_TRY(find_mounts(&m, proc_dir, err));
    if (m.v2[0] && lists_all(m.v2, "cgroup.controllers")) {
        c->mode = PV_CGROUP_V2;
        for (unsigned i = 0; i < PV_CG_COUNT; i++)
            snprintf(c->base[i], PV_PATH_MAX, "%s/%s", m.v2, name);
        return 0;
    }
    for (unsigned i = 0; i < PV_CG_COUNT; i++) {
        if (!m.v1[i][0])
            return pv_refuse(err, ENOTSUP,
                             "no cgroup hierarchy offers the controller '%s', so instances could "
                             "not be limited ('cgroups = off' in the configuration accepts that)",
                             controller_names[i]);
        own_group(proc_dir, controller_names[i], own);
        snprintf(c->base[i], PV_PATH_MAX, "%s%s", m.v1[i], own);
        /* In a container the mount shows a part of the tree, and the path is the whole tree's. */
        if (access(c->base[i], F_OK) != 0)
            own[0] = '\0';
        snprintf(c->base[i], PV_PATH_MAX, "%s%s/%s", m.v1[i], own, name);
    }
    c->mode = PV_CGROUP_V1;
    return 0;
}

/* One tree may serve several controllers: with v2 all three, with v1 those of one mount. It is
 * handled under the first of them. */
static bool is_tree(const struct pv_cgroups *c, unsigned i)
{
    for (unsigned before = 0; before < i; before++)
        if (strcmp(c->base[before], c->base[i]) == 0)
            return false;
    return c->mode != PV_CGROUP_NONE;
}

static void kill_members(const char *dir)
{
    char path[PV_PATH_MAX + 64], line[32];
    struct pv_err ignored = PV_ERR_INIT;
    FILE *f;

    if (write_file(dir, "cgroup.kill", "1", &ignored) == 0)
        return;
    snprintf(path, sizeof path, "%s/cgroup.procs", dir);
    f = fopen(path, "re");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        long pid = strtol(line, NULL, 10);

        if (pid > 1 && pid != getpid())
            (void)kill((pid_t)pid, SIGKILL);
    }
    (void)fclose(f);
}

/* A group is a directory of control files that vanish with it; only subdirectories need removal. */
static bool remove_group(const char *dir, unsigned depth)
{
    char child[PV_PATH_MAX];
    bool all = true;
    DIR *list;

    if (rmdir(dir) == 0 || errno == ENOENT)
        return true;
    list = opendir(dir);
    if (!list)
        return errno == ENOENT;
    for (struct dirent *e; depth < 8 && (e = readdir(list));) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        snprintf(child, sizeof child, "%s/%s", dir, e->d_name);
        all = remove_group(child, depth + 1) && all;
    }
    (void)closedir(list);
    if (all && (rmdir(dir) == 0 || errno == ENOENT))
        return true;
    kill_members(dir);
    return rmdir(dir) == 0 || errno == ENOENT;
}

int pv_cgroup_finish(const struct pv_cgroups *c, struct pv_err *err)
{
    for (unsigned i = 0; i < PV_CG_COUNT; i++) {
        unsigned tries = 0;

        while (is_tree(c, i) && !remove_group(c->base[i], 0)) {
            if (++tries == FINISH_TRIES)
                return pv_refuse(err, EBUSY, "processes in '%s' do not die", c->base[i]);
            (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        }
    }
    return 0;
}

static int enable_controllers(const char *dir, struct pv_err *err)
{
    return write_file(dir, "cgroup.subtree_control", "+memory +pids +cpu", err);
}

static int enable_at_root(const char *base, struct pv_err *err)
{
    char root[PV_PATH_MAX];

    snprintf(root, sizeof root, "%s", base);
    *strrchr(root, '/') = '\0';
    if (lists_all(root, "cgroup.subtree_control"))
        return 0;
    int rc = enable_controllers(root, err);
    /* Only the real root may have processes and children with controllers; a container's may not.
     */
    if (rc == -EBUSY)
        return pv_refuse(err, EBUSY,
                         "the cgroup '%s' has processes of its own (a container?): move them into "
                         "a child group first, or accept functions without limits with 'cgroups = "
                         "off'",
                         root);
    return rc;
}

int pv_cgroup_prepare(const struct pv_cgroups *c, struct pv_err *err)
{
    PV_TRY(pv_wrap(err, pv_cgroup_finish(c, err), "remove the cgroups of an earlier run"));
    for (unsigned i = 0; i < PV_CG_COUNT; i++)
        if (is_tree(c, i) && mkdir(c->base[i], 0755) != 0)
            return pv_fail(err, errno, "create the cgroup '%s'", c->base[i]);
    if (c->mode != PV_CGROUP_V2)
        return 0;
    PV_TRY(enable_at_root(c->base[0], err));
    return enable_controllers(c->base[0], err);
}

static int limit_memory(const struct pv_cgroups *c, const char *dir,
                        const struct pv_cgroup_limits *l, struct pv_err *err)
{
    char text[32];
    struct pv_err no_swap_accounting = PV_ERR_INIT;

    snprintf(text, sizeof text, "%" PRIu64, l->memory_bytes);
    if (c->mode == PV_CGROUP_V2) {
        PV_TRY(write_file(dir, "memory.max", text, err));
        (void)!write_file(dir, "memory.swap.max", "0", &no_swap_accounting);
        return 0;
    }
    PV_TRY(write_file(dir, "memory.limit_in_bytes", text, err));
    (void)!write_file(dir, "memory.memsw.limit_in_bytes", text, &no_swap_accounting);
    return 0;
}

static int limit_pids(const struct pv_cgroups *c, const char *dir, const struct pv_cgroup_limits *l,
                      struct pv_err *err)
{
    char text[32];

    (void)c;
    snprintf(text, sizeof text, "%u", l->processes);
    return write_file(dir, "pids.max", text, err);
}

static int limit_cpu(const struct pv_cgroups *c, const char *dir, const struct pv_cgroup_limits *l,
                     struct pv_err *err)
{
    uint64_t quota = (uint64_t)l->cpu_millis * CPU_PERIOD_US / 1000;
    char text[64];

    if (l->cpu_millis == 0)
        return 0;
    if (quota < CPU_QUOTA_MIN_US)
        quota = CPU_QUOTA_MIN_US;
    if (c->mode == PV_CGROUP_V2) {
        snprintf(text, sizeof text, "%" PRIu64 " %d", quota, CPU_PERIOD_US);
        return write_file(dir, "cpu.max", text, err);
    }
    snprintf(text, sizeof text, "%d", CPU_PERIOD_US);
    PV_TRY(write_file(dir, "cpu.cfs_period_us", text, err));
    snprintf(text, sizeof text, "%" PRIu64, quota);
    return write_file(dir, "cpu.cfs_quota_us", text, err);
}

static int (*const limiters[PV_CG_COUNT])(const struct pv_cgroups *c, const char *dir,
                                          const struct pv_cgroup_limits *l, struct pv_err *err) = {
    [PV_CG_MEMORY] = limit_memory,
    [PV_CG_PIDS] = limit_pids,
    [PV_CG_CPU] = limit_cpu,
};

static int give_procs(const char *dir, uid_t uid, struct pv_err *err)
{
    char path[PV_PATH_MAX + 16];

    snprintf(path, sizeof path, "%s/cgroup.procs", dir);
    if (chown(path, uid, (gid_t)-1) != 0)
        return pv_fail(err, errno, "hand '%s' to user %u", path, uid);
    return 0;
}

static int create_slot(const struct pv_cgroups *c, const char *dir, unsigned tree,
                       const struct pv_cgroup_limits *l, uid_t uid, struct pv_err *err)
{
    if (mkdir(dir, 0755) != 0)
        return pv_fail(err, errno, "create the cgroup '%s'", dir);
    for (unsigned i = 0; i < PV_CG_COUNT; i++)
        if (strcmp(c->base[i], c->base[tree]) == 0)
            PV_TRY(limiters[i](c, dir, l, err));
    return give_procs(dir, uid, err);
}

static int create_tree(const struct pv_cgroups *c, const char *group, unsigned tree,
                       const struct pv_cgroup_limits *l, uid_t uid, struct pv_err *err)
{
    char dir[PV_PATH_MAX], path[PV_PATH_MAX];

    snprintf(dir, sizeof dir, "%s/%s", c->base[tree], group);
    if (mkdir(dir, 0755) != 0)
        return pv_fail(err, errno, "create the cgroup '%s'", dir);
    if (c->mode == PV_CGROUP_V2) {
        PV_TRY(enable_controllers(dir, err));
        PV_TRY(give_procs(dir, uid, err));
        snprintf(path, sizeof path, "%s/host", dir);
        if (mkdir(path, 0755) != 0)
            return pv_fail(err, errno, "create the cgroup '%s'", path);
    }
    for (uint32_t slot = 0; slot < l->n_slots; slot++) {
        pv_cgroup_slot_path(c, group, (enum pv_controller)tree, slot, path);
        PV_TRY(create_slot(c, path, tree, l, uid, err));
    }
    return 0;
}

int pv_cgroup_create(const struct pv_cgroups *c, const char *group,
                     const struct pv_cgroup_limits *l, uid_t uid, struct pv_err *err)
{
    int rc = 0;

    for (unsigned i = 0; rc == 0 && i < PV_CG_COUNT; i++)
        if (is_tree(c, i))
            rc = create_tree(c, group, i, l, uid, err);
    if (rc < 0)
        (void)pv_cgroup_remove(c, group);
    return rc;
}

int pv_cgroup_adopt(const struct pv_cgroups *c, const char *group, pid_t pid, struct pv_err *err)
{
    char dir[PV_PATH_MAX], text[32];

    if (c->mode != PV_CGROUP_V2)
        return 0;
    snprintf(dir, sizeof dir, "%s/%s/host", c->base[0], group);
    snprintf(text, sizeof text, "%d", pid);
    return write_file(dir, "cgroup.procs", text, err);
}

void pv_cgroup_group_path(const struct pv_cgroups *c, const char *group, enum pv_controller which,
                          char out[PV_PATH_MAX])
{
    out[0] = '\0';
    if (c->mode != PV_CGROUP_NONE)
        snprintf(out, PV_PATH_MAX, "%s/%s", c->base[which], group);
}

void pv_cgroup_slot_path(const struct pv_cgroups *c, const char *group, enum pv_controller which,
                         uint32_t slot, char out[PV_PATH_MAX])
{
    char dir[PV_PATH_MAX];

    pv_cgroup_group_path(c, group, which, dir);
    out[0] = '\0';
    if (dir[0])
        snprintf(out, PV_PATH_MAX, PV_SLOT_GROUP, dir, slot);
}

bool pv_cgroup_remove(const struct pv_cgroups *c, const char *group)
{
    char dir[PV_PATH_MAX];
    bool all = true;

    for (unsigned i = 0; i < PV_CG_COUNT; i++) {
        if (!is_tree(c, i))
            continue;
        snprintf(dir, sizeof dir, "%s/%s", c->base[i], group);
        all = remove_group(dir, 0) && all;
    }
    return all;
}
