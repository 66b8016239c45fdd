#include "pv/seccomp_list.h"

static int add(scmp_filter_ctx ctx, uint32_t action, const int *calls, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = seccomp_rule_add(ctx, action, calls[i], 0);
    return rc;
}

static int fill(scmp_filter_ctx ctx, const struct pv_seccomp_list *list)
{
    int rc = add(ctx, SCMP_ACT_ALLOW, list->calls, list->n_calls);
    if (rc == 0)
        rc = add(ctx, SCMP_ACT_ERRNO(ENOSYS), list->absent, list->n_absent);
    for (size_t i = 0; i < list->n_checked && rc == 0; i++)
        rc = seccomp_rule_add(
            ctx, SCMP_ACT_ALLOW, list->checked[i].call, 1,
            SCMP_CMP(list->checked[i].argument, SCMP_CMP_EQ, list->checked[i].value));
#ifdef PV_SANITIZED
    if (rc == 0)
        rc = add(ctx, SCMP_ACT_ALLOW, list->sanitizer, list->n_sanitizer);
#endif
    return rc;
}

int pv_seccomp_load(const struct pv_seccomp_list *list, struct pv_err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!ctx)
        return pv_fail(err, ENOMEM, "make the seccomp list");
    int rc = fill(ctx, list);
    if (rc == 0)
        rc = seccomp_load(ctx);
    seccomp_release(ctx);
    return rc < 0 ? pv_fail(err, rc, "load the seccomp list") : 0;
}
