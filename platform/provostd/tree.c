#include "tree.h"

#include "pv/own.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

enum { DEPTH_MAX = 64 };

DIR *pv_tree_list(int dir_fd)
{
    /* Not a dup: that would share the read position. */
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d;

    if (fd < 0)
        return NULL;
    d = fdopendir(fd);
    if (!d) {
        int saved = errno;

        (void)close(fd);
        errno = saved;
    }
    return d;
}

static int remove_beneath(int dir_fd, const char *name, unsigned depth, struct pv_err *err);

static int empty_directory(int dir_fd, unsigned depth, struct pv_err *err)
{
    DIR *list = pv_tree_list(dir_fd);
    int rc = 0;

    if (!list)
        return pv_fail(err, errno, "list a directory");
    for (struct dirent *e; rc == 0 && (e = readdir(list));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = remove_beneath(dir_fd, e->d_name, depth + 1, err);
    (void)closedir(list);
    return rc;
}

static int remove_beneath(int dir_fd, const char *name, unsigned depth, struct pv_err *err)
{
    pv_autoclose int fd = -1;

    if (depth > DEPTH_MAX)
        return pv_refuse(err, ELOOP, "'%s' is nested too deeply to remove", name);
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return pv_fail(err, errno, "remove '%s'", name);
    fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return pv_fail(err, errno, "open '%s' to remove it", name);
    PV_TRY(empty_directory(fd, depth, err));
    if (unlinkat(dir_fd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return pv_fail(err, errno, "remove '%s'", name);
    return 0;
}

int pv_tree_remove(int dir_fd, const char *name, struct pv_err *err)
{
    return remove_beneath(dir_fd, name, 0, err);
}
