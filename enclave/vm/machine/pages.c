/* The pages of a guest without a kernel: descriptor tables, gates, the system call entry. */
#include "machine/entry.h"
#include "machine/machine.h"
#include "memory/tables.h"

#include <string.h>

enum {
    GATE_BYTES = 16,
    TSS_BYTES = 0x68,
    IO_BITMAP_BYTES = 0x20 + 1, /* ports 0 to 0xff, and the byte that must follow */
};

static void write_gdt(struct pv_memory *memory)
{
    uint64_t *gdt = pv_memory_at(memory, PV_AT_GDT);

    /* selectors 8 and 0x10: kernel code and data; 0x23 and 0x2b: user data and code */
    gdt[1] = 0x00af9b000000ffffull;
    gdt[2] = 0x00cf93000000ffffull;
    gdt[4] = 0x00cff3000000ffffull;
    gdt[5] = 0x00affb000000ffffull;
    gdt[6] =
        0x0000890000000000ull | (TSS_BYTES + IO_BITMAP_BYTES - 1) | (PV_AT_TSS & 0xffffff) << 16;
}

/* Where the entry runs (or may run) at ring 3, ring 3 may use one port, and so make a system call
 * without the instruction. */
static void write_tss(struct pv_memory *memory, enum pv_ring ring)
{
    uint8_t *tss = pv_memory_at(memory, PV_AT_TSS);
    uint64_t rsp0 = PV_AT_KSTACK + PV_PAGE;
    uint16_t bitmap_at = TSS_BYTES;

    memcpy(tss + 4, &rsp0, sizeof rsp0);
    memcpy(tss + 0x66, &bitmap_at, sizeof bitmap_at);
    memset(tss + TSS_BYTES, 0xff, IO_BITMAP_BYTES);
    if (ring != PV_RING_KERNEL)
        tss[TSS_BYTES + PV_PORT_CALL / 8] = (uint8_t) ~(1u << PV_PORT_CALL % 8);
}

/* Every exception leaves the guest: its gate writes to a port of its own. */
static void write_gates(struct pv_memory *memory)
{
    uint64_t *idt = pv_memory_at(memory, PV_AT_IDT);
    uint8_t *code = pv_memory_at(memory, PV_AT_GATES);

    for (unsigned v = 0; v < PV_VECTORS; v++) {
        const uint8_t gate[] = {0xe6, (uint8_t)(PV_PORT_FAULT + v), 0xf4, 0xeb, 0xfd};
        uint64_t at = PV_AT_GATES + (uint64_t)v * GATE_BYTES;

        memcpy(code + (size_t)v * GATE_BYTES, gate, sizeof gate); /* out; hlt; jmp hlt */
        /* interrupt gate, present; int3, into and int n are the program's to raise (DPL 3) */
        uint64_t *entry = idt + (size_t)2 * v;
        entry[0] = (at & 0xffff) | 0x08ull << 16 | (v == 3 || v == 4 ? 0xeeull : 0x8eull) << 40;
        entry[1] = at >> 32;
    }
}

int pv_machine_pages_write(struct pv_memory *memory, enum pv_ring ring, struct pv_err *err)
{
    const uint64_t supervisor = PV_PTE_PRESENT | PV_PTE_WRITE;
    const uint64_t data = supervisor | PV_PTE_USER | PV_PTE_NX;

    write_gdt(memory);
    write_tss(memory, ring);
    write_gates(memory);
    pv_entry_write(pv_memory_at(memory, PV_AT_ENTRY), ring);
    PV_TRY(pv_tables_identity(memory, PV_AT_GDT, supervisor | PV_PTE_NX, err));
    PV_TRY(pv_tables_identity(memory, PV_AT_TSS, supervisor | PV_PTE_NX, err));
    PV_TRY(pv_tables_identity(memory, PV_AT_IDT, supervisor | PV_PTE_NX, err));
    PV_TRY(pv_tables_identity(memory, PV_AT_GATES, PV_PTE_PRESENT, err));
    PV_TRY(pv_tables_identity(memory, PV_AT_KSTACK, supervisor | PV_PTE_NX, err));
    PV_TRY(pv_tables_identity(memory, PV_AT_ENTRY, PV_PTE_PRESENT | PV_PTE_USER, err));
    if (ring != PV_RING_USER)
        return 0; /* no shim: its data is not mapped either */
    PV_TRY(pv_tables_identity(memory, PV_AT_SHARED, data, err));
    for (uint64_t off = 0; off < PV_BUFFER_BYTES; off += PV_PAGE) {
        PV_TRY(pv_tables_identity(memory, PV_AT_REQUEST + off, data, err));
        PV_TRY(pv_tables_identity(memory, PV_AT_RESPONSE + off, data, err));
    }
    return 0;
}
