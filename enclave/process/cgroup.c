#include "cgroup.h"

#include "pv/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int open_in(const char *dir, const char *name, int flags)
{
    char path[PV_PATH_MAX + 64];

    (void)snprintf(path, sizeof path, "%s/%s", dir, name);
    return open(path, flags | O_CLOEXEC);
}

static uint64_t read_number(const char *p)
{
    uint64_t v = 0;

    for (; *p >= '0' && *p <= '9'; p++)
        v = v * 10 + (uint64_t)(*p - '0');
    return v;
}

/* The number after key at a line's start, or the file's first number when key is empty. */
static uint64_t value_of(int fd, const char *key)
{
    char text[1024];
    size_t key_len = strlen(key);
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);

    if (n <= 0)
        return 0;
    text[n] = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, key, key_len) && (key_len == 0 || line[key_len] == ' '))
            return read_number(line + key_len + (key_len > 0));
    }
    return 0;
}

static int open_procs(struct pv_slot_cgroup *c, const struct pv_domain_config *config,
                      const struct pv_slot_paths *paths, struct pv_err *err)
{
    /* under v1 each joining costs an instance 25 us: without a limit there is no reason to */
    const char *cpu = config->spec->cpu_millis ? paths->cpu : "";
    const char *dirs[] = {paths->memory, paths->pids, cpu};
    unsigned n = config->cgroup_mode == PV_CGROUP_V2 ? 1 : 3;

    for (unsigned i = 0; i < n; i++) {
        if (!dirs[i][0])
            continue;
        c->procs[i] = open_in(dirs[i], "cgroup.procs", O_WRONLY);
        if (c->procs[i] < 0)
            return pv_fail(err, errno, "open cgroup '%s'", dirs[i]);
    }
    return 0;
}

int pv_slot_cgroup_open(struct pv_slot_cgroup *ret, const struct pv_domain_config *config,
                        unsigned slot, struct pv_err *err)
{
    const struct pv_slot_paths *paths = &config->slots[slot];
    enum pv_cgroup_mode mode = config->cgroup_mode;
    bool v1 = mode == PV_CGROUP_V1;

    *ret = PV_SLOT_CGROUP_NONE;
    if (mode == PV_CGROUP_NONE)
        return 0;
    PV_TRY(open_procs(ret, config, paths, err));
    if (paths->memory[0]) {
        ret->oom_fd = open_in(paths->memory, v1 ? "memory.oom_control" : "memory.events", O_RDONLY);
        /* writing resets it; before Linux 6.12 memory.peak can only be read */
        const char *peak = v1 ? "memory.max_usage_in_bytes" : "memory.peak";
        ret->peak_fd = open_in(paths->memory, peak, O_RDWR);
        if (ret->peak_fd < 0)
            ret->peak_fd = open_in(paths->memory, peak, O_RDONLY);
        if (ret->oom_fd < 0)
            return pv_fail(err, errno, "open the memory events of '%s'", paths->memory);
    }
    if (paths->pids[0]) {
        ret->pids_fd = open_in(paths->pids, "pids.events", O_RDONLY);
        ret->allow_fd = open_in(paths->pids, "pids.max", O_WRONLY);
        if (ret->allow_fd < 0)
            return pv_fail(err, errno, "open the process limit of '%s'", paths->pids);
    }
    ret->oom_seen = value_of(ret->oom_fd, "oom_kill");
    ret->pids_seen = value_of(ret->pids_fd, "max");
    return 0;
}

void pv_slot_cgroup_close(struct pv_slot_cgroup *c)
{
    for (unsigned i = 0; i < 3; i++)
        pv_close_fd_(&c->procs[i]);
    pv_close_fd_(&c->oom_fd);
    pv_close_fd_(&c->pids_fd);
    pv_close_fd_(&c->peak_fd);
    pv_close_fd_(&c->allow_fd);
}

int pv_slot_cgroup_allow(const struct pv_slot_cgroup *c, uint32_t processes, struct pv_err *err)
{
    char text[16];
    int n = snprintf(text, sizeof text, "%u", processes);

    if (c->allow_fd >= 0 && pwrite(c->allow_fd, text, (size_t)n, 0) != n)
        return pv_fail(err, errno, "limit a slot's processes");
    return 0;
}

void pv_slot_cgroup_start(struct pv_slot_cgroup *c)
{
    if (c->peak_fd >= 0)
        (void)!pwrite(c->peak_fd, "0", 1, 0);
}

void pv_slot_cgroup_read(struct pv_slot_cgroup *c, struct pv_instance_end *ret)
{
    uint64_t oom = value_of(c->oom_fd, "oom_kill"), pids = value_of(c->pids_fd, "max");

    ret->oom_kills = oom - c->oom_seen;
    ret->pids_denied = pids - c->pids_seen;
    c->oom_seen = oom;
    c->pids_seen = pids;
    uint64_t peak = value_of(c->peak_fd, "");
    if (peak)
        ret->peak_bytes = peak;
}
