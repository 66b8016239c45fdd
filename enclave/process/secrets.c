#include "secrets.h"

#include "pv/io.h"
#include "pv/own.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

struct secret {
    uint8_t content[PV_SECRET_MAX + 1]; /* one more, to see that there is one */
    size_t len;
};

static int read_secret(int dir_fd, const char *name, struct secret *s, struct pv_err *err)
{
    pv_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return pv_fail(err, errno, "open secret '%s'", name);
    for (s->len = 0; s->len < sizeof s->content;) {
        ssize_t n = read(fd, s->content + s->len, sizeof s->content - s->len);

        if (n < 0)
            return pv_fail(err, errno, "read secret '%s'", name);
        if (n == 0)
            return 0;
        s->len += (size_t)n;
    }
    return pv_refuse(err, EMSGSIZE, "secret '%s' is over %u KiB", name, PV_SECRET_MAX >> 10);
}

static int place(const struct pv_domain_config *c, int mount_fd, const char *name, struct secret *s,
                 struct pv_err *err)
{
    pv_autoclose int fd = -1;

    PV_TRY(read_secret(c->secrets_fd, name, s, err));
    fd = openat(mount_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
    if (fd < 0)
        return pv_fail(err, errno, "make secret '%s' in the sandbox", name);
    PV_TRY(pv_write_all(fd, s->content, s->len, err));
    if (fchown(fd, c->uid, c->gid) < 0)
        return pv_fail(err, errno, "hand secret '%s' to the function", name);
    return c->secret_mounted ? c->secret_mounted(c->ctx, name, s->content, s->len, err) : 0;
}

int pv_secrets_mount(const struct pv_domain_config *c, const char *path, struct pv_err *err)
{
    const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    int rc = 0;

    if (c->spec->secrets.n == 0)
        return 0;
    /* noswap needs Linux 6.4 */
    if (mount("provost-secrets", path, "tmpfs", flags, "mode=0755,size=4m,noswap") < 0 &&
        mount("provost-secrets", path, "tmpfs", flags, "mode=0755,size=4m") < 0)
        return pv_fail(err, errno, "mount the secrets");
    pv_autoclose int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return pv_fail(err, errno, "open the secrets' mount");
    struct secret *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
    if (s == MAP_FAILED)
        return pv_fail(err, errno, "lock memory for secrets");
    for (unsigned i = 0; rc == 0 && i < c->spec->secrets.n; i++)
        rc = place(c, dir, c->spec->secrets.v[i], s, err);
    explicit_bzero(s, sizeof *s);
    (void)munmap(s, sizeof *s);
    PV_TRY(rc);
    if (mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0)
        return pv_fail(err, errno, "make the secrets read-only");
    return 0;
}
