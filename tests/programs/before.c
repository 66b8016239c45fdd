/* Does what its argument says before it reads, and answers with a number that counts how often this
 * memory has answered. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *idle(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void start_process(void)
{
    if (fork() == 0)
        for (;;)
            pause();
}

/* One whose parent is gone: it is in no list of children any more. */
static void leave_orphan(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        start_process();
        _exit(0);
    }
    (void)waitpid(pid, NULL, 0);
}

/* A child of our parent would be in no list of ours. */
static void start_brother(void)
{
    long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

    if (pid == 0)
        for (;;)
            pause();
    /* the first process of a namespace is told so by the kernel */
    if (pid > 0 || (errno != ENOSYS && errno != EINVAL))
        exit(3);
}

/* More than any limit allows. */
static void start_processes(void)
{
    for (int i = 0; i < 1000; i++) {
        pid_t pid = fork();

        if (pid < 0)
            return;
        if (pid == 0)
            for (;;)
                pause();
    }
    exit(3);
}

static void filter_calls(void)
{
    struct sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {1, allow};

    (void)prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

/* It can be made writable later. */
static void share_to_read(void)
{
    int fd = memfd_create("shared", 0);

    (void)ftruncate(fd, 4096);
    (void)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
}

/* Where the owner's socket is, a socket of its own. */
static void replace_socket(void)
{
    int pair[2];

    (void)syscall(SYS_socketpair, 1 /* AF_UNIX */, 5 /* SOCK_SEQPACKET */, 0, pair);
    for (int fd = 4; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && fd != pair[0] && fd != pair[1])
            (void)dup2(pair[0], fd);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* The first process of a namespace that is in a dead one's group would never be done dying. */
static void change_group(void)
{
    pid_t pid = fork();

    if (pid == 0)
        for (;;)
            pause();
    if (setpgid(pid, pid) < 0 || setpgid(0, pid) == 0 ||
        (setpgid(getpid(), pid) == 0 && getpid() == 1))
        exit(3);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

static void make_timer(void)
{
    struct sigevent e = {.sigev_notify = SIGEV_NONE};
    timer_t t;

    (void)timer_create(CLOCK_MONOTONIC, &e, &t);
}

static void act(const char *what)
{
    pthread_t t;

    if (!strcmp(what, "thread"))
        (void)pthread_create(&t, NULL, idle, NULL);
    else if (!strcmp(what, "file"))
        (void)!open("/etc/passwd", O_RDONLY);
    else if (!strcmp(what, "tmp"))
        (void)close(open("/tmp/mark", O_WRONLY | O_CREAT, 0600));
    else if (!strcmp(what, "write"))
        (void)!write(1, "early ", 6);
    else if (!strcmp(what, "memory"))
        (void)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    else if (!strcmp(what, "alarm"))
        (void)alarm(100);
    else if (!strcmp(what, "process"))
        start_process();
    else if (!strcmp(what, "timer"))
        make_timer();
    else if (!strcmp(what, "orphan"))
        leave_orphan();
    else if (!strcmp(what, "brother"))
        start_brother();
    else if (!strcmp(what, "bomb"))
        start_processes();
    else if (!strcmp(what, "filter"))
        filter_calls();
    else if (!strcmp(what, "reader"))
        share_to_read();
    else if (!strcmp(what, "socket"))
        replace_socket();
    else if (!strcmp(what, "directory"))
        (void)!chdir("/tmp");
    else if (!strcmp(what, "group"))
        change_group();
}

static void *compute(void *arg)
{
    struct timespec from, now;

    (void)clock_gettime(CLOCK_MONOTONIC, &from);
    do
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - from.tv_sec) * 1000000000 + now.tv_nsec - from.tv_nsec < 20000000);
    return arg;
}

static void compute_in_threads(void)
{
    pthread_t t[2];

    for (int i = 0; i < 2; i++)
        (void)pthread_create(&t[i], NULL, compute, NULL);
    for (int i = 0; i < 2; i++)
        (void)pthread_join(t[i], NULL);
}

/* The end of the heap goes beyond what was there, back, and a little forward again. */
static void move_heap(void)
{
    char *start = sbrk(0);

    if (brk(start + (2 << 20)) < 0)
        exit(3);
    memset(start, 1, 2 << 20);
    if (brk(start) < 0 || brk(start + 20000) < 0)
        exit(3);
    memset(start, 1, 20000);
}

/* A name that is longer than any event. */
static void open_deeply(void)
{
    char name[256], path[4090];

    memset(name, 'd', 255);
    name[255] = 0;
    memset(path, 'p', sizeof path);
    for (size_t i = 200; i < sizeof path; i += 200)
        path[i] = '/';
    path[sizeof path - 1] = 0;
    (void)!chdir("/tmp");
    for (int i = 0; i < 30; i++)
        if (mkdir(name, 0700) == 0)
            (void)!chdir(name);
    (void)!open(path, O_RDONLY);
}

int main(int argc, char **argv)
{
    static int answers;
    char c;

    if (argc > 1)
        act(argv[1]);
    (void)!read(0, &c, 1);
    while (argc > 1 && !strcmp(argv[1], "endless"))
        __asm__ volatile("");
    if (argc > 1 && !strcmp(argv[1], "compute"))
        compute_in_threads();
    if (argc > 1 && !strcmp(argv[1], "heap"))
        move_heap();
    if (argc > 1 && !strcmp(argv[1], "deep"))
        open_deeply();
    printf("%d\n", ++answers);
    return 0;
}
