#include "secrets.h"

#include "pv/io.h"
#include "pv/spec.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int check_name(const char *name, struct pv_err *err)
{
    if (!pv_name_ok(name))
        return pv_refuse(
            err, EINVAL,
            "'%s' is no name of a secret (lower-case letters, digits, '-', at most %d)", name,
            PV_NAME_MAX);
    return 0;
}

int pv_secret_put(int dir_fd, const char *name, const void *p, size_t len, struct pv_err *err)
{
    PV_TRY(check_name(name, err));
    if (len > PV_SECRET_MAX)
        return pv_refuse(err, EFBIG, "secret '%s' is over %u KiB", name, PV_SECRET_MAX >> 10);
    return pv_wrap(err, pv_replace_file_at(dir_fd, name, p, len, 0400, err), "secret");
}

int pv_secret_find(int dir_fd, const char *name, struct pv_err *err)
{
    PV_TRY(check_name(name, err));
    if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    return errno == ENOENT ? pv_refuse(err, ENOENT, "there is no secret '%s'", name)
                           : pv_fail(err, errno, "look for secret '%s'", name);
}

int pv_secret_delete(int dir_fd, const char *name, struct pv_err *err)
{
    PV_TRY(check_name(name, err));
    if (unlinkat(dir_fd, name, 0) != 0) {
        if (errno == ENOENT)
            return pv_refuse(err, ENOENT, "there is no secret '%s'", name);
        return pv_fail(err, errno, "remove secret '%s'", name);
    }
    if (fsync(dir_fd) != 0)
        return pv_fail(err, errno, "sync the secrets directory");
    return 0;
}

/* Temporary files have names that are none. */
static int is_secret(const struct dirent *e)
{
    return pv_name_ok(e->d_name);
}

int pv_secret_list(int dir_fd, struct pv_buf *b, struct pv_err *err)
{
    struct dirent **list = NULL;
    int n = scandirat(dir_fd, ".", &list, is_secret, alphasort);

    if (n < 0)
        return pv_fail(err, errno, "list the secrets");
    pv_buf_u32(b, (uint32_t)n);
    for (int i = 0; i < n; i++) {
        pv_buf_str(b, list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return pv_buf_check(b, "list of secrets", err);
}
