/* provost-recorder FILE COMMAND [ARGUMENT]…: runs a command under probes of its own and saves what
 * they say (docs/formats/probe-stream.md). Started by `provost audit record`; needs root. Exit
 * status: 0, 1 when the command failed, 8 when it could not be recorded. */
#include "probe.h"

#include "pv/log.h"
#include "pv/own.h"
#include "pv/probe_stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LOOK_MS = 5, CANNOT_EXECUTE = 127, EXIT_COMMAND = 1, EXIT_LOCAL = 8 };

struct recorder {
    FILE *f;
    struct pv_probe *probe;
    struct pv_probe_info info;
    pid_t command;
    int status;     /* of the command, as wait() tells */
    uint64_t *seen; /* owned: records of each CPU */
    uint64_t records, lost;
    int outside_ns, cwd; /* owned: where the command belongs */
    char dir[40];        /* mount point of a bpffs that nobody else sees; "": none */
};

/* The pins vanish with the mount namespace, whatever happens to us. */
static int make_bpffs(struct recorder *r, struct pv_err *err)
{
    r->outside_ns = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    r->cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (r->outside_ns < 0 || r->cwd < 0)
        return pv_fail(err, errno, "remember the mount namespace and the working directory");
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return pv_fail(err, errno, "make a mount namespace (needs root)");
    snprintf(r->dir, sizeof r->dir, "/tmp/provost-record-XXXXXX");
    if (!mkdtemp(r->dir)) {
        r->dir[0] = '\0';
        return pv_fail(err, errno, "make a directory in /tmp");
    }
    if (mount("provost", r->dir, "bpf", 0, "mode=0700") != 0)
        return pv_fail(err, errno, "mount a bpffs");
    return 0;
}

_Noreturn static void run_command(const struct recorder *r, char **argv)
{
    /* CLONE_FS: a sanitizer's thread shares them */
    if (unshare(CLONE_FS) != 0 || setns(r->outside_ns, CLONE_NEWNS) != 0 || fchdir(r->cwd) != 0) {
        fprintf(stderr, "provost: return to where the command belongs: %s\n", strerror(errno));
        _exit(CANNOT_EXECUTE);
    }
    (void)signal(SIGINT, SIG_DFL);
    (void)signal(SIGQUIT, SIG_DFL);
    (void)execvp(argv[0], argv);
    fprintf(stderr, "provost: execute '%s': %s\n", argv[0], strerror(errno));
    _exit(CANNOT_EXECUTE);
}

static int start_command(struct recorder *r, char **argv, struct pv_err *err)
{
    /* what a terminal sends is for the command */
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGQUIT, SIG_IGN);
    PV_TRY(pv_probe_trace(r->probe, getpid(), true, err));
    r->command = fork();
    if (r->command < 0)
        return pv_fail(err, errno, "fork");
    if (r->command == 0)
        run_command(r, argv);
    return 0;
}

static int save_waiting(struct recorder *r, struct pv_err *err)
{
    struct pv_probe_raw raw = {0};
    int rc = 0;

    while ((rc = pv_probe_next_raw(r->probe, &raw, err)) > 0) {
        if (!raw.rec)
            continue; /* the numbers show it */
        PV_TRY(pv_stream_put_record(r->f, raw.rec, err));
        r->seen[raw.cpu]++;
        r->records++;
    }
    pv_probe_release(r->probe);
    return rc;
}

static int save_until_end(struct recorder *r, struct pv_err *err)
{
    struct pollfd p = {.fd = pv_probe_fd(r->probe), .events = POLLIN};
    bool ended = false;

    while (!ended) {
        /* one more look after the end: what it left last */
        ended = waitpid(r->command, &r->status, WNOHANG) == r->command;
        PV_TRY(save_waiting(r, err));
        if (!ended && poll(&p, 1, LOOK_MS) < 0 && errno != EINTR)
            return pv_fail(err, errno, "wait for records");
    }
    return 0;
}

/* Up to the last record that was saved or found missing: whoever lives on is no part of it. */
static int save_end(struct recorder *r, struct pv_err *err)
{
    pv_autofree struct pv_stream_count *counts = calloc(r->info.n_cpus, sizeof *counts);

    if (!counts)
        return pv_fail(err, ENOMEM, "count records");
    for (uint32_t i = 0; i < r->info.n_cpus; i++) {
        struct pv_probe_counters c = {0};

        PV_TRY(pv_probe_counters(r->probe, i, &c));
        counts[i] = (struct pv_stream_count){r->seen[i], c.delivered - r->seen[i]};
        r->lost += counts[i].lost;
    }
    return pv_stream_put_end(r->f, counts, r->info.n_cpus, err);
}

static int record(struct recorder *r, char **argv, struct pv_err *err)
{
    PV_TRY(make_bpffs(r, err));
    PV_TRY(pv_probe_open(&r->probe, r->dir, 0, &r->info, err));
    r->seen = calloc(r->info.n_cpus, sizeof *r->seen);
    if (!r->seen)
        return pv_fail(err, ENOMEM, "count records");
    struct pv_stream_info info = {.load_id = r->info.load_id,
                                  .real_minus_boot = pv_probe_real_minus_boot(r->probe),
                                  .n_cpus = r->info.n_cpus,
                                  .features = r->info.present};
    PV_TRY(pv_stream_put_info(r->f, &info, err));
    PV_TRY(start_command(r, argv, err));
    PV_TRY(save_until_end(r, err));
    return save_end(r, err);
}

static void done(struct recorder *r)
{
    pv_probe_close(r->probe, true);
    if (r->dir[0]) {
        (void)umount2(r->dir, MNT_DETACH);
        (void)rmdir(r->dir);
    }
    pv_close_fd_(&r->outside_ns);
    pv_close_fd_(&r->cwd);
    free(r->seen);
}

int main(int argc, char **argv)
{
    struct recorder r = {.outside_ns = -1, .cwd = -1};
    struct pv_err err = PV_ERR_INIT;

    if (argc < 3) {
        fputs("usage: provost-recorder FILE COMMAND [ARGUMENT]…\n", stderr);
        return 2;
    }
    r.f = fopen(argv[1], "we");
    int rc = r.f ? record(&r, argv + 2, &err) : pv_fail(&err, errno, "create '%s'", argv[1]);
    if (r.f && fclose(r.f) != 0 && rc == 0)
        rc = pv_fail(&err, errno, "write '%s'", argv[1]);
    done(&r);
    if (rc < 0) {
        fprintf(stderr, "provost: %s\n", err.text);
        return EXIT_LOCAL;
    }
    fprintf(stderr, "%ju records in %s, %ju lost\n", (uintmax_t)r.records, argv[1],
            (uintmax_t)r.lost);
    return r.status == 0 ? 0 : EXIT_COMMAND;
}
