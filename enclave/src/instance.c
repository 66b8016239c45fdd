#include "pv/domain.h"
#include "pv/own.h"

const char *pv_mode_name(enum pv_mode mode)
{
    switch (mode) {
    case PV_MODE_FIRST_READ:
        return "first-read";
    case PV_MODE_EXEC:
        return "exec";
    case PV_MODE_ZYGOTE:
        return "zygote";
    case PV_MODE_MICROVM:
        return "microvm";
    }
    return "unknown";
}

void pv_instance_close_stdin(struct pv_instance *i)
{
    pv_autoclose int fd = PV_TAKE_FD(i->stdin_fd);
    (void)fd;
}
