#include "libexec.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int cli_libexec(const char *name, char out[PV_PATH_MAX], struct pv_err *err)
{
    char self[PV_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n < 0)
        return pv_fail(err, errno, "find the running executable");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    if (snprintf(out, PV_PATH_MAX, "%s/../libexec/provost/%s", self, name) >= PV_PATH_MAX)
        return pv_refuse(err, ENAMETOOLONG, "the path of '%s' is too long", name);
    if (access(out, X_OK) != 0)
        return pv_fail(err, errno, "find '%s'", out);
    return 0;
}
