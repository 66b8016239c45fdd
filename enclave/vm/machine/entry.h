/* The code at the system call entry, and the ports by which the guest leaves. */
#pragma once
#include "machine/kvm.h"

#define PV_PORT_CALL 0x20u
#define PV_PORT_FAULT 0x40u /* plus the vector */

/* Writes the entry code into its page. */
void pv_entry_write(uint8_t *page, enum pv_ring ring);
