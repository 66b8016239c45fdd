/* Tries what a function must not be able to do; prints one line for each attempt that succeeded,
 * and "done" at the end. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void attempt(const char *what, int succeeded)
{
    if (succeeded)
        printf("ESCAPED: %s\n", what);
}

static int can_open(const char *path, int flags)
{
    int fd = open(path, flags, 0600);

    if (fd < 0)
        return 0;
    close(fd);
    return 1;
}

static int can_connect(const char *address, int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), rc;

    if (fd < 0 || inet_pton(AF_INET, address, &a.sin_addr) != 1)
        return 0;
    rc = connect(fd, (struct sockaddr *)&a, sizeof a);
    close(fd);
    return rc == 0;
}

static int can_bind(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9000)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    return fd >= 0 && (listen(fd, 1) == 0 || bind(fd, (struct sockaddr *)&a, sizeof a) == 0);
}

static int foreign_processes(void)
{
    DIR *d = opendir("/proc");
    int n = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && atol(e->d_name) != getpid())
            n++;
    if (d)
        closedir(d);
    return n;
}

static int spare_descriptors(void)
{
    int n = 0;

    for (int fd = 3; fd < 4096; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static int has_capabilities(void)
{
    char line[256];
    FILE *f = fopen("/proc/self/status", "r");
    int any = 0;

    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "Cap", 3) && strtoull(line + 8, NULL, 16) != 0)
            any = 1;
    if (f)
        fclose(f);
    return any || !f;
}

static void files(void)
{
    attempt("write /usr", can_open("/usr/escaped", O_WRONLY | O_CREAT));
    attempt("write /function", can_open("/function/escaped", O_WRONLY | O_CREAT));
    attempt("write /", can_open("/escaped", O_WRONLY | O_CREAT));
    attempt("write /dev", can_open("/dev/escaped", O_WRONLY | O_CREAT));
    attempt("read /etc/shadow", can_open("/etc/shadow", O_RDONLY));
    attempt("read host root", can_open("/root", O_RDONLY));
    attempt("read /sys", can_open("/sys/kernel", O_RDONLY));
    attempt("read /proc/1/root of host", can_open("/proc/1/root/root", O_RDONLY));
    attempt("write sysrq", can_open("/proc/sysrq-trigger", O_WRONLY));
    attempt("write core_pattern", can_open("/proc/sys/kernel/core_pattern", O_WRONLY));
    attempt("make device", mknod("/tmp/sda", S_IFBLK | 0600, 0x800) == 0);
    attempt("mount", mount("x", "/tmp", "tmpfs", 0, NULL) == 0);
    attempt("unmount /proc", umount2("/proc", MNT_DETACH) == 0);
    attempt("chroot", chroot("/tmp") == 0);
}

static void kernel(void)
{
    static const int namespaces[] = {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWPID};

    for (unsigned i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
        attempt("unshare", unshare(namespaces[i]) == 0);
        long pid = syscall(SYS_clone, namespaces[i] | SIGCHLD, 0, 0, 0, 0);
        if (pid == 0)
            _exit(0);
        attempt("clone with namespace", pid > 0);
    }
    attempt("ptrace", ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    attempt("bpf", syscall(SYS_bpf, 0, 0, 0) >= 0 || errno != EPERM);
    attempt("perf", syscall(SYS_perf_event_open, 0, 0, -1, -1, 0) >= 0 || errno != EPERM);
    attempt("keyctl", syscall(SYS_keyctl, 0, -3, 1) >= 0);
    attempt("io_uring", syscall(SYS_io_uring_setup, 1, NULL) >= 0 || errno != EPERM);
    attempt("userfaultfd", syscall(SYS_userfaultfd, 0) >= 0);
    attempt("System V memory", shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) >= 0);
    attempt("signal everybody", kill(-1, 0) == 0);
    attempt("setuid 0", setuid(0) == 0);
    attempt("join the host's process group", getpgrp() != getpid() || getsid(0) > 1);
    /* pid 1 is immune to its own; in the host's group this would be the host's end */
    attempt("signal the process group", kill(0, SIGTERM) != 0);
    attempt("outlive the host", prctl(PR_SET_PDEATHSIG, 0) == 0 ||
                                    prctl(PR_SET_PDEATHSIG, SIGCONT) == 0 ||
                                    prctl(PR_SET_PDEATHSIG, SIGKILL) != 0);
    attempt("watch shared files", inotify_add_watch(inotify_init(), "/usr/bin", IN_OPEN) >= 0);
}

static void network(void)
{
    attempt("bind", can_bind());
    attempt("datagram socket", socket(AF_INET, SOCK_DGRAM, 0) >= 0);
    attempt("raw socket", socket(AF_INET, SOCK_RAW, 1) >= 0);
    attempt("netlink socket", socket(AF_NETLINK, SOCK_RAW, 0) >= 0);
    attempt("multipath socket", socket(AF_INET, SOCK_STREAM, IPPROTO_MPTCP) >= 0);
    attempt("packet socket", socket(AF_PACKET, SOCK_RAW, 0) >= 0);
    attempt("connect out", can_connect("1.1.1.1", 53));
    attempt("connect to the host's ssh", can_connect("127.0.0.1", 22));
}

int main(void)
{
    char c;

    (void)!read(0, &c, 1);
    attempt("left-over file in /tmp", can_open("/tmp/mark", O_RDONLY));
    attempt("no own /tmp", !can_open("/tmp/mark", O_WRONLY | O_CREAT));
    attempt("other processes", foreign_processes());
    attempt("inherited descriptors", spare_descriptors());
    attempt("capabilities", has_capabilities());
    attempt("new privileges", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1);
    attempt("not pid 1", getpid() != 1);
    attempt("not uid 1000", getuid() != 1000 || geteuid() != 1000);
    files();
    kernel();
    network();
    printf("done\n");
    return 0;
}
