#include "program/program.h"

#include "pv/own.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int open_in_root(int root_fd, const char *path, struct pv_err *err)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    pv_autoclose int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    struct stat st;

    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", path);
    if (fstat(fd, &st) < 0)
        return pv_fail(err, errno, "look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return pv_refuse(err, EACCES, "'%s' is no file", path);
    if (!(st.st_mode & 0111))
        return pv_refuse(err, EACCES, "'%s' is not executable", path);
    return PV_TAKE_FD(fd);
}

static int descriptor_path(int fd, char ret[PV_EXE_BYTES])
{
    char link[64];

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, ret, PV_EXE_BYTES - 1);
    if (n < 0)
        return -errno;
    ret[n] = 0;
    return 0;
}

/* The file's path seen from the root; the path as given where the host does not tell. */
static void real_path(struct pv_executable *x, int root_fd)
{
    char root[PV_EXE_BYTES];
    char file[PV_EXE_BYTES];
    size_t n;

    memcpy(x->real, x->path, sizeof x->real);
    if (descriptor_path(root_fd, root) < 0 || descriptor_path(x->fd, file) < 0)
        return;
    n = strcmp(root, "/") ? strlen(root) : 0;
    if (!strncmp(file, root, n) && file[n] == '/')
        memmove(x->real, file + n, strlen(file + n) + 1);
}

static int absolute(char ret[PV_EXE_BYTES], const char *path, const char *cwd, struct pv_err *err)
{
    int n = *path == '/' ? snprintf(ret, PV_EXE_BYTES, "%s", path)
                         : snprintf(ret, PV_EXE_BYTES, "%s/%s", cwd && *cwd ? cwd : "", path);

    if (n >= PV_EXE_BYTES)
        return pv_fail(err, ENAMETOOLONG, "find the program");
    return 0;
}

/* 1: the file begins with a "#!" line, whose words are in x->script. */
static int read_script(struct pv_executable *x, struct pv_err *err)
{
    char line[PV_SCRIPT_LINE_MAX] = {0};
    ssize_t n = pread(x->fd, line, sizeof line - 1, 0);

    if (n < 2 || line[0] != '#' || line[1] != '!')
        return 0;
    char *end = strchr(line, '\n');
    if (!end)
        return pv_refuse(err, ENOEXEC, "'%s' has a '#!' line that does not end", x->path);
    *end = 0;
    char *word = line + 2 + strspn(line + 2, " \t\r");
    size_t len = strcspn(word, " \t\r");
    if (len == 0)
        return pv_refuse(err, ENOEXEC, "'%s' has an empty '#!' line", x->path);
    char *arg = word + len + strspn(word + len, " \t");
    for (size_t k = strlen(arg); k > 0 && strchr(" \t\r", arg[k - 1]); k--)
        arg[k - 1] = 0;
    (void)snprintf(x->script[1], PV_SCRIPT_LINE_MAX, "%s", arg);
    word[len] = 0;
    (void)snprintf(x->script[0], PV_SCRIPT_LINE_MAX, "%s", word);
    return 1;
}

int pv_executable_open(struct pv_executable *x, int root_fd, const char *path, const char *cwd,
                       struct pv_err *err)
{
    *x = (struct pv_executable){.fd = -1};
    PV_TRY(absolute(x->path, path, cwd, err));
    x->fd = open_in_root(root_fd, x->path, err);
    PV_TRY(x->fd);
    int script = read_script(x, err);
    PV_TRY(script);
    if (script) {
        (void)close(x->fd);
        x->fd = open_in_root(root_fd, x->script[0], err);
        PV_TRY(x->fd);
        char first[2];
        if (pread(x->fd, first, 2, 0) == 2 && first[0] == '#' && first[1] == '!')
            return pv_refuse(err, ENOEXEC, "the interpreter '%s' is a script", x->script[0]);
    }
    if (script)
        (void)snprintf(x->path, sizeof x->path, "%s", x->script[0]);
    real_path(x, root_fd);
    return 0;
}

void pv_executable_done(struct pv_executable *x)
{
    if (x->fd >= 0)
        (void)close(x->fd);
    x->fd = -1;
}
