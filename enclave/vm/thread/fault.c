#include "thread/threads.h"

#include "calls/shim.h"
#include "pv/size.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { ERROR_PRESENT = 1, ERROR_WRITE = 2, ERROR_FETCH = 16, SHOWN_BYTES = 12 };

struct meaning {
    int signal, code;
};

static struct meaning meaning_of(unsigned vector)
{
    switch (vector) {
    case 0:
        return (struct meaning){SIGFPE, FPE_INTDIV};
    case 1:
        return (struct meaning){SIGTRAP, TRAP_TRACE};
    case 3:
        return (struct meaning){SIGTRAP, SI_KERNEL};
    case 6:
        return (struct meaning){SIGILL, ILL_ILLOPN};
    case 12:
        return (struct meaning){SIGBUS, SI_KERNEL};
    case 16:
    case 19:
        return (struct meaning){SIGFPE, FPE_FLTINV};
    case 17:
        return (struct meaning){SIGBUS, BUS_ADRALN};
    default:
        return (struct meaning){SIGSEGV, SI_KERNEL};
    }
}

static int access_of(uint64_t error)
{
    if (error & ERROR_FETCH)
        return PROT_EXEC;
    return error & ERROR_WRITE ? PROT_WRITE : PROT_READ;
}

static void put(char *out, size_t cap, const char *fmt, ...) PV_PRINTF(3, 4);
static void put(char *out, size_t cap, const char *fmt, ...)
{
    size_t used = strlen(out);
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(out + used, cap - used, fmt, ap);
    va_end(ap);
}

static void put_place(struct pv_vm *vm, uint64_t at, char *out, size_t cap)
{
    const struct pv_area *a = pv_space_area(&vm->space, at);

    put(out, cap, " at %#llx", (unsigned long long)at);
    if (a && a->name)
        put(out, cap, " (%s+%#llx)", vm->space.names[a->name],
            (unsigned long long)(a->offset + at - a->start));
}

static void put_bytes(struct pv_vm *vm, uint64_t at, char *out, size_t cap)
{
    uint8_t b[SHOWN_BYTES];
    size_t n = 0;

    while (n < sizeof b && pv_copy_in(&vm->space, b + n, at + n, 1) == 0)
        n++;
    put(out, cap, ", instruction");
    for (size_t i = 0; i < n; i++)
        put(out, cap, " %02x", b[i]);
    if (n == 0)
        put(out, cap, " not readable");
}

static void put_registers(const struct kvm_regs *g, char *out, size_t cap)
{
    const struct {
        const char *name;
        uint64_t value;
    } r[] = {{"rax", g->rax}, {"rbx", g->rbx}, {"rcx", g->rcx}, {"rdx", g->rdx},
             {"rsi", g->rsi}, {"rdi", g->rdi}, {"rbp", g->rbp}, {"rsp", g->rsp},
             {"r8", g->r8},   {"r9", g->r9},   {"r10", g->r10}, {"r11", g->r11},
             {"r12", g->r12}, {"r13", g->r13}, {"r14", g->r14}, {"r15", g->r15}};

    for (size_t i = 0; i < sizeof r / sizeof *r; i++)
        put(out, cap, "%s %s=%llx", i ? "" : ",", r[i].name, (unsigned long long)r[i].value);
}

static void describe(struct pv_vm *vm, const struct pv_thread *t, const struct pv_exit *e,
                     char *out, size_t cap)
{
    *out = 0;
    put(out, cap, "%s", pv_machine_vector_name(e->vector));
    if (e->vector == PV_VECTOR_PAGE_FAULT)
        put(out, cap, " %s %#llx",
            e->error & ERROR_FETCH   ? "executing"
            : e->error & ERROR_WRITE ? "writing"
                                     : "reading",
            (unsigned long long)e->address);
    put_place(vm, t->r.general.rip, out, cap);
    put_bytes(vm, t->r.general.rip, out, cap);
    put_registers(&t->r.general, out, cap);
}

/* A page that is the program's, but has no frame yet. */
static bool page_was_due(struct pv_vm *vm, const struct pv_exit *e)
{
    if (e->vector != PV_VECTOR_PAGE_FAULT || e->address < PV_USER_MIN || e->address >= PV_USER_MAX)
        return false;
    if (pv_space_touch(&vm->space, e->address, access_of(e->error))) {
        vm->stats.faults++;
        return true;
    }
    if (!vm->space.out_of_memory)
        return false;
    char size[PV_SIZE_TEXT];
    pv_vm_finish_run(vm, PV_VM_MEMORY, 0, "more than %s of memory",
                     pv_size_text(vm->limits.memory_bytes, size));
    return true;
}

void pv_fault(struct pv_vm *vm, struct pv_thread *t, const struct pv_exit *e)
{
    struct meaning m = meaning_of(e->vector);
    struct pv_signal_info info = {.vector = e->vector, .error = e->error};
    char text[PV_VM_TEXT_MAX - 64];

    if (page_was_due(vm, e))
        return;
    if (e->vector == PV_VECTOR_PAGE_FAULT && vm->shim && pv_shim_holds(t->r.general.rip)) {
        pv_shim_fault(vm, t);
        return;
    }
    info.code = m.code;
    if (e->vector == PV_VECTOR_PAGE_FAULT) {
        info.address = e->address;
        info.code = pv_space_area(&vm->space, e->address) ? SEGV_ACCERR : SEGV_MAPERR;
    } else if (m.signal != SIGSEGV) {
        info.address = t->r.general.rip;
    }
    describe(vm, t, e, text, sizeof text);
    pv_vm_tell(vm, PV_VM_EVENT_FAULT, text, "", -m.signal);
    pv_signal_force(vm, t, m.signal, &info, text);
}
