/* Where things lie in a micro-VM.
 *
 * Physical (= offset in the memory file):
 *   0            never used
 *   0x1000       root page table
 *   0x2000 …     the monitor's pages, mapped at the same virtual addresses
 *   PV_PT_BASE   page tables (mapped nowhere in the guest)
 *   behind them  frames: low ones upwards for what may be written, high ones downwards for what
 *                never is, so that a reset need not look at these
 * Virtual: the monitor's pages below PV_USER_MIN, the program's above. Every monitor page lies
 * below the address that Linux lets programs map (mmap_min_addr), but for the two buffers. */
#pragma once
#include <stdint.h>

enum { PV_PAGE = 4096, PV_PAGE_SHIFT = 12 };

#define PV_PT_ROOT 0x1000ull
#define PV_AT_GDT 0x2000ull
#define PV_AT_TSS 0x3000ull /* with the I/O bitmap */
#define PV_AT_IDT 0x4000ull
#define PV_AT_GATES 0x5000ull  /* code of the exception gates, supervisor only */
#define PV_AT_KSTACK 0x6000ull /* one page; the stack's top is its end */
#define PV_AT_ENTRY 0x7000ull  /* code at the system call entry, executable by the user */
#define PV_AT_SHARED 0x8000ull /* data of the shim, writable by the guest: never trusted */
#define PV_AT_REQUEST 0x10000ull
#define PV_AT_RESPONSE 0x20000ull
#define PV_BUFFER_BYTES 0x10000ull /* each of the two */
#define PV_PT_BASE 0x40000ull

#define PV_USER_MIN 0x200000ull
#define PV_USER_MAX 0x7ffffffff000ull /* Linux's TASK_SIZE_MAX */

#define PV_PIE_BASE 0x555555554000ull
#define PV_INTERP_BASE 0x7ffff7fc3000ull
#define PV_MMAP_TOP 0x7ffff7a00000ull /* mappings grow down from here */
#define PV_MMAP_MIN 0x10000000ull
#define PV_STACK_TOP 0x7fffffffe000ull
#define PV_STACK_BYTES (8ull << 20)
#define PV_STACK_EAGER (128ull << 10)
#define PV_BRK_ROOM (64ull << 30) /* of address space behind the program */

static inline uint64_t pv_page_down(uint64_t a)
{
    return a & ~(uint64_t)(PV_PAGE - 1);
}

/* Wraps to 0 for the last page of the address space: callers check lengths first. */
static inline uint64_t pv_page_up(uint64_t a)
{
    return (a + PV_PAGE - 1) & ~(uint64_t)(PV_PAGE - 1);
}
