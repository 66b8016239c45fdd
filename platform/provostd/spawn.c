#include "spawn.h"

#include "pv/own.h"
#include "pv/role.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

enum { EXEC_FAILED = 127, ENV_MAX = 8, FIRST_FREE_FD = PV_ROLE_BELL_FD + 1 };

void pv_spawn_reset(pid_t parent)
{
    sigset_t none;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) /* it died before prctl */
        _exit(EXEC_FAILED);
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Only what a sanitizer build needs passes through. */
static void child_environment(char *env[ENV_MAX])
{
    static const char *const passed[] = {
        "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=", "LSAN_OPTIONS="};
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static char lang[] = "LANG=C.UTF-8";
    unsigned n = 0;

    env[n++] = path;
    env[n++] = lang;
    for (char **e = environ; *e; e++)
        for (unsigned i = 0; i < sizeof passed / sizeof passed[0]; i++)
            if (strncmp(*e, passed[i], strlen(passed[i])) == 0 && n < ENV_MAX - 1)
                env[n++] = *e;
    env[n] = NULL;
}

static void place(int fd, int target)
{
    if (dup2(fd, target) < 0)
        _exit(EXEC_FAILED);
}

_Noreturn static void run_child(const char *path, char *title, int control_fd, int bell_fd)
{
    char *argv[] = {title, NULL};
    char *env[ENV_MAX];
    int null, control, bell;

    /* a session of its own is an equal part for the scheduler: sched(7), autogroup */
    (void)setsid();
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    /* Out of the way first: a source may stand where a target goes. */
    control = fcntl(control_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    bell = fcntl(bell_fd, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    if (null < 0 || control < 0 || bell < 0)
        _exit(EXEC_FAILED);
    place(null, STDIN_FILENO);
    place(null, STDOUT_FILENO);
    place(control, PV_ROLE_CONTROL_FD);
    place(bell, PV_ROLE_BELL_FD);
    if (close_range(FIRST_FREE_FD, ~0u, 0) != 0)
        _exit(EXEC_FAILED);
    child_environment(env);
    (void)execve(path, argv, env);
    dprintf(STDERR_FILENO, "provostd: cannot execute %s: %s\n", path, strerror(errno));
    _exit(EXEC_FAILED);
}

int pv_spawn(pid_t *ret_pid, const char *path, const char *title, int control_fd, int bell_fd,
             struct pv_err *err)
{
    pid_t parent = getpid();
    pid_t pid;
    char name[160];

    snprintf(name, sizeof name, "%s", title);
    pid = fork();
    if (pid < 0)
        return pv_fail(err, errno, "fork for '%s'", path);
    if (pid == 0) {
        pv_spawn_reset(parent);
        run_child(path, name, control_fd, bell_fd);
    }
    *ret_pid = pid;
    return 0;
}
