/* filter-maker: prints the filters as arrays of the kernel's instructions, for C. */
#include "filters.h"

#include <linux/filter.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int add_names(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t n)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < n; i++) {
        int nr = seccomp_syscall_resolve_name(names[i]);

        if (nr >= 0)
            rc = seccomp_rule_add(ctx, action, nr, 0);
    }
    return rc;
}

static int print(const char *name, int fd)
{
    struct sock_filter r;
    ssize_t n = 0;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    (void)printf("static const struct sock_filter %s[] = {\n", name);
    while ((n = read(fd, &r, sizeof r)) == sizeof r)
        (void)printf("    {0x%02x, %u, %u, 0x%08x},\n", r.code, r.jt, r.jf, r.k);
    (void)printf("};\n");
    return n == 0 ? 0 : -EIO;
}

/* otherwise: the action for a call that the filter does not name. */
static int make(const char *name, uint32_t otherwise, int (*fill)(scmp_filter_ctx ctx))
{
    scmp_filter_ctx ctx = seccomp_init(otherwise);
    int fd = memfd_create(name, MFD_CLOEXEC);
    int rc = ctx && fd >= 0 ? seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2) : -ENOMEM;

    if (rc == 0)
        rc = fill(ctx);
    if (rc == 0)
        rc = seccomp_export_bpf(ctx, fd);
    if (rc == 0)
        rc = print(name, fd);
    if (rc < 0)
        (void)fprintf(stderr, "filter-maker: %s: %s\n", name, strerror(-rc));
    if (fd >= 0)
        (void)close(fd);
    seccomp_release(ctx);
    return rc;
}

int main(void)
{
    (void)printf("#include <linux/filter.h>\n");
    if (make("pv_base_rules", SCMP_ACT_ERRNO(ENOSYS), pv_make_base_filter) < 0 ||
        make("pv_seal_rules", SCMP_ACT_ERRNO(EPERM), pv_make_seal_filter) < 0)
        return 1;
    return fflush(stdout) == 0 ? 0 : 1;
}
