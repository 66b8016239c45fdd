#include "pv/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* the analyzer's view of these names; see err.h */
#undef pv_fail
#undef pv_refuse
#undef pv_wrap

/* A failure that set no errno is a failure all the same: 0 would read as success. */
static int negative(int err)
{
    if (err == 0)
        return -EIO;
    return err > 0 ? -err : err;
}

int pv_fail(struct pv_err *err_out, int err, const char *fmt, ...)
{
    int rc = negative(err);
    if (!err_out)
        return rc;
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err_out->text, sizeof err_out->text, fmt, ap);
    va_end(ap);
    err_out->code = rc;
    if (n >= 0 && (size_t)n < sizeof err_out->text) {
        char reason[128];
        snprintf(err_out->text + n, sizeof err_out->text - (size_t)n, ": %s",
                 strerror_r(-rc, reason, sizeof reason));
    }
    return rc;
}

int pv_refuse(struct pv_err *err_out, int err, const char *fmt, ...)
{
    int rc = negative(err);
    if (!err_out)
        return rc;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err_out->text, sizeof err_out->text, fmt, ap);
    va_end(ap);
    err_out->code = rc;
    return rc;
}

int pv_wrap(struct pv_err *err_out, int rc, const char *fmt, ...)
{
    if (!err_out || rc >= 0)
        return rc;
    char inner[sizeof err_out->text];
    memcpy(inner, err_out->text, sizeof inner);
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(err_out->text, sizeof err_out->text, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof err_out->text)
        snprintf(err_out->text + n, sizeof err_out->text - (size_t)n, ": %s", inner);
    err_out->code = rc;
    return rc;
}
