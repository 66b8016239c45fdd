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
