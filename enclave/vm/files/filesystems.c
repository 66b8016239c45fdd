#include "filesystems.h"

#include "pv/own.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sysmacros.h>

struct filesystem {
    uint64_t mount_id, device;
};

static struct {
    pthread_once_t once;
    struct filesystem *v; /* for the process's life */
    size_t n;
} known = {.once = PTHREAD_ONCE_INIT};

/* A line of proc_pid_mountinfo(5). */
static void keep(const char *line)
{
    struct filesystem *v;
    unsigned long long id;
    unsigned major, minor;

    if (sscanf(line, "%llu %*u %u:%u", &id, &major, &minor) != 3)
        return;
    v = reallocarray(known.v, known.n + 1, sizeof *v);
    if (!v)
        return;
    v[known.n++] = (struct filesystem){id, makedev(major, minor)};
    known.v = v;
}

static void learn(void)
{
    FILE *f = fopen("/proc/self/mountinfo", "re");
    pv_autofree char *line = NULL;
    size_t room = 0;

    if (!f)
        return;
    while (getline(&line, &room, f) >= 0)
        keep(line);
    (void)fclose(f);
}

uint64_t pv_filesystem_device(uint64_t mount_id, uint64_t otherwise)
{
    (void)pthread_once(&known.once, learn);
    for (size_t i = 0; i < known.n; i++)
        if (known.v[i].mount_id == mount_id)
            return known.v[i].device;
    return otherwise;
}
