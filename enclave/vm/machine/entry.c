#include "machine/entry.h"

#include "memory/layout.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

extern const uint8_t pv_shim_code[];
extern const uint8_t pv_shim_code_end[];

void pv_entry_write(uint8_t *page, enum pv_ring ring)
{
    /* On VMX and SVM the code would run at ring 0, where a pointer of the program's could reach the
     * monitor's pages: no shim there, every call leaves. */
    static const uint8_t leave[] = {0xe6, PV_PORT_CALL, 0x0f, 0x0b}; /* out; ud2 */
    size_t len = (uintptr_t)pv_shim_code_end - (uintptr_t)pv_shim_code;

    assert(len <= PV_PAGE);
    if (ring == PV_RING_USER)
        memcpy(page, pv_shim_code, len);
    else
        memcpy(page, leave, sizeof leave);
}
