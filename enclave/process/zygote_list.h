/* What a child of a zygote does before it is the function: a list of system calls that
 * zygote_code.S runs, together with what they point to, as one image for one address. */
#pragma once
#include "pv/err.h"

#include <stddef.h>
#include <stdint.h>

/* The descriptor of the control socket in a zygote: SEQPACKET, out of the program's way. */
#define PV_ZYGOTE_CONTROL 1023

enum {
    PV_ZYGOTE_CODE_BYTES = 4096,
    PV_ZYGOTE_LIST_BYTES = 16384,
    PV_ZYGOTE_CALLS_MAX = 112,
    PV_ZYGOTE_CONTROL_FD = PV_ZYGOTE_CONTROL,
};

struct pv_zygote_call {
    uint64_t nr, args[5];
};

struct pv_zygote_list {
    uint64_t address; /* where the image will lie */
    unsigned n_calls;
    size_t len; /* of the image */
    union {
        struct pv_zygote_call calls[PV_ZYGOTE_CALLS_MAX];
        uint8_t image[PV_ZYGOTE_LIST_BYTES];
    };
};

/* Fills in the list. It stays in the child's memory; what the filter wants to see in the calls that
 * a function may not make is no part of it. */
PV_MUST_CHECK int pv_zygote_list_make(struct pv_zygote_list *ret, uint64_t address,
                                      const char *tmp_options, int landlock_abi,
                                      struct pv_err *err);
/* What the call does, for messages. */
const char *pv_zygote_call_name(uint64_t nr);
