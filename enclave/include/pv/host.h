/* What passes between the gateway and an enclave host, and what a host is started with. */
#pragma once
#include "pv/id.h"
#include "pv/msg.h"
#include <stdbool.h>

enum pv_host_msg {
    /* gateway to host */
    PV_HOST_INVOKE = 1, /* call id 10 raw, timeout_ms u64, env bytes ("K=V" NUL each, at most
                           PV_REQUEST_ENV_MAX), payload (pv_msg_put_payload): the request body */
    PV_HOST_CANCEL = 2, /* call id: the client is gone; the instance is destroyed */
    PV_HOST_DRAIN = 3,  /* finish what runs, then exit */
    PV_HOST_SCALE = 4,  /* u32: instances to keep prepared from now on */
    /* host to gateway */
    PV_HOST_READY = 10,      /* mode str (pv_mode_name), reason str (why that mode),
                                unknown str (system calls tried in vain, spaces between) */
    PV_HOST_FAILED = 11,     /* reason str: no instance could be prepared; stays until redeployed, or
                                until another host of it is ready */
    PV_HOST_RESULT = 12,     /* call id, outcome u16 (enum pv_outcome), exit_code u32, signal u32,
                                duration_ns u64, cpu_ns u64, peak_bytes u64, message str (for the
                                user, empty when ok), payload: response body */
    PV_HOST_CONNECTION = 13, /* call id, connection u64, broker u8 (enum pv_broker),
                             source port u16; fd: the accepted socket */
    PV_HOST_COUNTS = 14, /* prepared u32, running u32: sent when they change, at most 10 a second */
    PV_HOST_MISFIT =
        15, /* call str: by which a request came to what the class of its instances cannot do */
    PV_HOST_FAULT = 16, /* reason str: why the host ends by itself; the last it says */
};

enum pv_broker { PV_BROKER_GATEWAY = 1 /* 127.0.0.1:8080 */, PV_BROKER_PROXY = 2 /* :3128 */ };
enum { PV_BROKER_GATEWAY_PORT = 8080, PV_BROKER_PROXY_PORT = 3128 };

enum pv_outcome {
    PV_OUT_OK,        /* exit 0 */
    PV_OUT_EXIT,      /* exit status not 0 */
    PV_OUT_SIGNAL,    /* killed by a signal of its own */
    PV_OUT_TIMEOUT,   /* the deadline stopped it */
    PV_OUT_MEMORY,    /* memory limit */
    PV_OUT_OUTPUT,    /* response over the limit */
    PV_OUT_CANCELLED, /* the client went away */
    PV_OUT_FAULT,     /* the host could not run it */
    PV_OUT_MAX
};
/* "ok", "exit", "signal", "timeout", "memory", "output", "cancelled", "fault". */
const char *pv_outcome_name(unsigned outcome);
/* Whether a system call of that name starts another program or process. */
bool pv_starts_program(const char *call);
