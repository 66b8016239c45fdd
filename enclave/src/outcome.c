#include "pv/host.h"

const char *pv_outcome_name(unsigned outcome)
{
    static const char *const names[PV_OUT_MAX] = {
        [PV_OUT_OK] = "ok",
        [PV_OUT_EXIT] = "exit",
        [PV_OUT_SIGNAL] = "signal",
        [PV_OUT_TIMEOUT] = "timeout",
        [PV_OUT_MEMORY] = "memory",
        [PV_OUT_OUTPUT] = "output",
        [PV_OUT_CANCELLED] = "cancelled",
        [PV_OUT_FAULT] = "fault",
    };
    return outcome < PV_OUT_MAX ? names[outcome] : "unknown";
}
