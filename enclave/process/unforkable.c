#include "unforkable.h"

#include "pipes.h"
#include "zygote_list.h"

#include "pv/limits.h"
#include "pv/own.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

static inline void close_dir(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

static inline void close_file(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}
#define autoclosefile __attribute__((cleanup(close_file)))

static FILE *open_proc(pid_t pid, const char *name)
{
    char path[48];

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list; list++)
        if (!strcmp(name, *list))
            return true;
    return false;
}

/* Refuses, with that reason, when a directory of /proc/PID holds an entry that is not listed. */
static int holds_only(pid_t pid, const char *dir, const char *const *allowed, const char *why,
                      struct pv_err *err)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, dir);
    __attribute__((cleanup(close_dir))) DIR *d = opendir(path);
    if (!d)
        return pv_fail(err, errno, "look at '%s'", path);
    for (const struct dirent *e = readdir(d); e; e = readdir(d))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            !is_one_of(e->d_name, allowed))
            return pv_refuse(err, ENOTSUP, "%s before it reads stdin", why);
    return 0;
}

/* Its forks take their pipes from that socket. */
static int has_kept_the_socket(pid_t pid, uint64_t inode, struct pv_err *err)
{
    char path[64], want[48], is[48];

    (void)snprintf(path, sizeof path, "/proc/%d/fd/" TEXT(PV_ZYGOTE_CONTROL), (int)pid);
    (void)snprintf(want, sizeof want, "socket:[%" PRIu64 "]", inode);
    ssize_t n = readlink(path, is, sizeof is - 1);
    is[n > 0 ? n : 0] = 0;
    return strcmp(is, want) != 0
               ? pv_refuse(err, ENOTSUP, "it has opened files before it reads stdin")
               : 0;
}

/* Memory that a fork would not copy, or that could be written through another mapping: the flag is
 * absent where a shared mapping can never be written. */
static int shares_no_memory(pid_t pid, struct pv_err *err)
{
    static const char key[] = "VmFlags:";
    char line[PV_PATH_MAX];
    bool told = false;

    autoclosefile FILE *maps = open_proc(pid, "smaps");
    while (maps && fgets(line, sizeof line, maps)) {
        if (strncmp(line, key, sizeof key - 1) != 0)
            continue;
        told = true;
        if (strstr(line, " sh "))
            return pv_refuse(err, ENOTSUP, "it shares memory before it reads stdin");
    }
    return told ? 0 : pv_refuse(err, ENOTSUP, "the kernel does not tell what memory it shares");
}

/* How many filters look at its system calls; -1: the kernel does not tell. */
static long count_filters(const char *process)
{
    char path[48], line[256];
    long n;

    (void)snprintf(path, sizeof path, "/proc/%s/status", process);
    autoclosefile FILE *status = fopen(path, "re");
    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "Seccomp_filters: %ld", &n) == 1)
            return n;
    return -1;
}

/* One of its own could make the calls between a fork and the function seem to succeed. */
static int filters_nothing(pid_t pid, struct pv_err *err)
{
    char process[16];
    long own = count_filters("self");

    (void)snprintf(process, sizeof process, "%d", (int)pid);
    if (own < 0)
        return pv_refuse(err, ENOTSUP, "the kernel does not tell what filters it has");
    return count_filters(process) != own + 1
               ? pv_refuse(err, ENOTSUP, "it filters system calls before it reads stdin")
               : 0;
}

/* Its working directory would be the zygote's own /tmp or /proc in every fork. */
static int stands_outside(pid_t pid, struct pv_err *err)
{
    static const char *const names[] = {"cwd", "root/tmp", "root/proc"};
    struct stat s[3];
    char path[48];

    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, names[i]);
        if (stat(path, &s[i]) < 0)
            return pv_fail(err, errno, "look at '%s'", path);
    }
    return s[0].st_dev == s[1].st_dev || s[0].st_dev == s[2].st_dev
               ? pv_refuse(err, ENOTSUP, "it has gone to /tmp or /proc before it reads stdin")
               : 0;
}

static int has_written_nothing(int fd, struct pv_err *err)
{
    int n = 0;

    if (ioctl(fd, FIONREAD, &n) < 0)
        return pv_fail(err, errno, "look into a pipe");
    return n ? pv_refuse(err, ENOTSUP, "it writes before it reads stdin") : 0;
}

static int has_no_timer(pid_t pid, struct pv_err *err)
{
    autoclosefile FILE *timers = open_proc(pid, "timers");
    /* a kernel without this file is one without checkpoint support: as rare as the timers */
    return timers && fgetc(timers) != EOF
               ? pv_refuse(err, ENOTSUP, "it has made a timer before it reads stdin")
               : 0;
}

/* By its group those are found that it bears for its parent and that die at once. */
static int leads_its_group(pid_t pid, struct pv_err *err)
{
    return getpgid(pid) != pid
               ? pv_refuse(err, ENOTSUP, "it has changed its process group before it reads stdin")
               : 0;
}

int pv_unforkable(pid_t pid, const struct pv_pipes *p, uint64_t control_inode, struct pv_err *err)
{
    static const char *const stdio[] = {"0", "1", "2", TEXT(PV_ZYGOTE_CONTROL), NULL};
    static const char *const nothing[] = {NULL};
    char tid[16];
    const char *const one[] = {tid, NULL};

    (void)snprintf(tid, sizeof tid, "%d", (int)pid);
    PV_TRY(holds_only(pid, "task", one, "it has started threads", err));
    PV_TRY(holds_only(pid, "fd", stdio, "it has opened files", err));
    PV_TRY(has_kept_the_socket(pid, control_inode, err));
    PV_TRY(holds_only(pid, "root/tmp", nothing, "it has written to /tmp", err));
    PV_TRY(stands_outside(pid, err));
    PV_TRY(has_written_nothing(p->out[0], err));
    PV_TRY(has_written_nothing(p->err[0], err));
    PV_TRY(has_no_timer(pid, err));
    PV_TRY(leads_its_group(pid, err));
    PV_TRY(filters_nothing(pid, err));
    return shares_no_memory(pid, err);
}
