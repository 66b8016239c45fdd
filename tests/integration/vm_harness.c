#include "vm_harness.h"

#include "pv/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *programs; /* directory */
static int root_fd = -1;

int vm_ready(int argc, char **argv)
{
    struct pv_err err = PV_ERR_INIT;

    if (argc != 2)
        return 2;
    programs = argv[1];
    if (pv_vm_available(&err) == 0)
        return 0;
    printf("skipped: micro-VMs cannot run here: %s\n", err.text);
    return 77;
}

const char *vm_program(const char *name)
{
    static char path[4096];

    (void)snprintf(path, sizeof path, "%s/%s", programs, name);
    return path;
}

struct pv_vm_spec vm_spec(const char *const *argv)
{
    static const char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8", NULL};

    if (root_fd < 0)
        root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(root_fd >= 0);
    return (struct pv_vm_spec){.root_fd = root_fd,
                               .program = argv[0],
                               .argv = argv,
                               .env = env,
                               .env_bytes = 2048,
                               .env_count = 32,
                               .uid = NOBODY,
                               .gid = NOBODY,
                               .limits = {.memory_bytes = 128ull << 20}};
}

static void become(const char *const *argv, int in, int out)
{
    static char *const env[] = {(char *)"PATH=/usr/bin:/bin", (char *)"HOME=/tmp",
                                (char *)"LANG=C.UTF-8", NULL};
    char *args[64] = {NULL};

    for (int i = 0; argv[i] && i < 63; i++)
        args[i] = strdup(argv[i]);
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || chdir("/") < 0 ||
        (geteuid() == 0 && (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)))
        _exit(120);
    umask(022);
    execve(args[0], args, env);
    _exit(121);
}

static void read_all(int fd, struct answer *ret)
{
    ssize_t n;

    ret->len = 0;
    while ((n = read(fd, ret->out + ret->len, ANSWER_MAX - 1 - ret->len)) > 0)
        ret->len += (size_t)n;
    ret->out[ret->len] = 0;
}

void run_native(const char *const *argv, const char *request, size_t len, struct answer *ret)
{
    int in[2];
    int out[2];
    int status;

    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        become(argv, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    assert_int_equal(write(in[1], request, len), (ssize_t)len); /* requests fit a pipe */
    close(in[1]);
    read_all(out[0], ret);
    close(out[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ret->end = WIFEXITED(status) ? PV_VM_EXITED : PV_VM_SIGNALED;
    ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void run_vm(struct pv_vm *vm, const char *request, size_t len, const char *env, size_t env_len,
            uint64_t timeout_ms, struct answer *ret)
{
    struct iovec body = {(void *)(uintptr_t)request, len};
    struct pv_vm_call call = {.body = &body,
                              .n_body = 1,
                              .env = env,
                              .env_len = env_len,
                              .deadline_ns = pv_now_mono_ns() + timeout_ms * PV_NS_PER_MS};
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_result r;

    if (pv_vm_run(vm, &call, &r, &err) < 0)
        fail_msg("run: %s", err.text);
    ret->end = r.end;
    ret->code = r.code;
    ret->signal = r.signal;
    memcpy(ret->text, r.text, sizeof ret->text);
    ret->len = r.out_len < ANSWER_MAX - 1 ? r.out_len : ANSWER_MAX - 1;
    if (ret->len)
        memcpy(ret->out, r.out, ret->len);
    ret->out[ret->len] = 0;
}

void run_booted(const struct pv_vm_spec *spec, const char *request, size_t len, uint64_t timeout_ms,
                struct answer *ret)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm *vm;

    if (pv_vm_boot(spec, NULL, &vm, &err) < 0)
        fail_msg("boot: %s", err.text);
    run_vm(vm, request, len, NULL, 0, timeout_ms, ret);
    assert_int_equal(pv_vm_reset(vm, &err), -ESTALE); /* there is nothing to go back to */
    pv_vm_free(vm);
}

struct pv_vm_image *make_image(const struct pv_vm_spec *spec, struct pv_vm_report *report)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_image *image;

    if (pv_vm_image_make(spec, NULL, &image, report, &err) < 0)
        fail_msg("image of %s: %s", spec->program, err.text);
    return image;
}

int count_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}
