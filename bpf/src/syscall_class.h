/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The list of system calls as tables that the verifier knows to be constant. */
#pragma once

#include "pv/bpf_syscalls.h"

enum { NR_CLASSES = PV_SYSCALL_NUMBERS };

#define CLASS_ENTRY(class, number, name) [number] = PV_SC_##class,
static const volatile u8 class_of[NR_CLASSES] = {PV_SYSCALLS(CLASS_ENTRY)};
#undef CLASS_ENTRY

/* One more than the x86-64 number, so that 0 is none. */
#define COMPAT_ENTRY(number, name) [number] = PV_NR_##name + 1,
static const volatile u16 compat_of[NR_CLASSES] = {PV_COMPAT_CALLS(COMPAT_ENTRY)};
#undef COMPAT_ENTRY

/* The bound is applied where it is used: the compiler would leave it out behind a test of the
 * number, which Linux 6.1 has forgotten when the number comes back from the stack. */
#define BOUNDED(nr)                                                                                \
    ({                                                                                             \
        u64 nr_ = (nr);                                                                            \
        __asm__ volatile("" : "+r"(nr_));                                                          \
        nr_ &(NR_CLASSES - 1);                                                                     \
    })
static __always_inline u32 class_at(u64 nr)
{
    return class_of[BOUNDED(nr)];
}
static __always_inline u32 compat_at(u64 nr)
{
    return compat_of[BOUNDED(nr)];
}
