#include "machine/machine.h"

#include "machine/entry.h"
#include "pv/own.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

enum {
    MSR_STAR_INDEX = 0xc0000081u,
    MSR_LSTAR_INDEX = 0xc0000082u,
    MSR_FMASK_INDEX = 0xc0000084u,
    USER_CS = 0x2b,
    USER_SS = 0x23,
    TSS_SELECTOR = 0x30,
    GDT_BYTES = 64,
    TSS_LIMIT = 0x68 + 0x21 - 1,
    ROOM_BYTES = 8 << 20,
};
#define CR0_GUEST 0x80050033ull /* PG AM WP NE ET MP PE */
/* PAE OSFXSR OSXMMEXCPT FSGSBASE OSXSAVE; no SMEP, no SMAP */
#define CR4_GUEST (0x20ull | 1u << 9 | 1u << 10 | 1u << 16 | 1u << 18)
#define EFER_GUEST 0xd01ull     /* NXE LMA LME SCE */
#define FMASK_GUEST 0x47700ull  /* AC NT IOPL DF IF TF are off at the entry */
#define RFLAGS_USER 0x244dd5ull /* what a program may set: ID AC DF OF TF SF ZF AF PF CF */
#define RFLAGS_FIXED 0x202ull   /* IF and the bit that is always set */
#define ADDRESS_BITS 47

static struct kvm_segment segment(uint16_t selector, uint8_t type, uint8_t dpl, bool code)
{
    return (struct kvm_segment){.limit = 0xffffffff,
                                .selector = selector,
                                .type = type,
                                .present = 1,
                                .dpl = dpl,
                                .db = !code,
                                .s = 1,
                                .l = code,
                                .g = 1};
}

static void user_sregs(struct kvm_sregs *s)
{
    s->cr0 = CR0_GUEST;
    s->cr3 = PV_PT_ROOT;
    s->cr4 = CR4_GUEST;
    s->efer = EFER_GUEST;
    s->cs = segment(USER_CS, 11, 3, true);
    s->ss = segment(USER_SS, 3, 3, false);
    s->ds = s->es = s->fs = s->gs = s->ss;
    s->gdt = (struct kvm_dtable){.base = PV_AT_GDT, .limit = GDT_BYTES - 1};
    s->idt = (struct kvm_dtable){.base = PV_AT_IDT, .limit = PV_VECTORS * 16 - 1};
    s->tr = (struct kvm_segment){
        .base = PV_AT_TSS, .limit = TSS_LIMIT, .selector = TSS_SELECTOR, .type = 11, .present = 1};
    memset(s->interrupt_bitmap, 0, sizeof s->interrupt_bitmap);
}

static int set_msrs(struct pv_machine *m, struct pv_err *err)
{
    static const struct kvm_msr_entry entries[] = {
        {.index = MSR_STAR_INDEX, .data = 0x1bull << 48 | 0x08ull << 32},
        {.index = MSR_LSTAR_INDEX, .data = PV_AT_ENTRY},
        {.index = MSR_FMASK_INDEX, .data = FMASK_GUEST}};
    _Alignas(struct kvm_msrs) uint8_t room[sizeof(struct kvm_msrs) + sizeof entries] = {0};
    struct kvm_msrs *msrs = (struct kvm_msrs *)room;
    struct kvm_xcrs xcrs = {.nr_xcrs = 1, .xcrs = {{.xcr = 0, .value = m->kvm->xcr0}}};

    msrs->nmsrs = sizeof entries / sizeof *entries;
    memcpy(msrs->entries, entries, sizeof entries);
    if (ioctl(m->cpu_fd, KVM_SET_MSRS, msrs) != (int)msrs->nmsrs)
        return pv_fail(err, EIO, "set the system call entry");
    if (ioctl(m->cpu_fd, KVM_SET_XCRS, &xcrs) < 0)
        return pv_fail(err, errno, "choose the extended states");
    return 0;
}

static int add_memory(struct pv_machine *m, unsigned slot, uint64_t start, uint64_t end,
                      struct pv_err *err)
{
    struct kvm_userspace_memory_region region = {.slot = slot,
                                                 .guest_phys_addr = start,
                                                 .memory_size = end - start,
                                                 .userspace_addr =
                                                     (uint64_t)(uintptr_t)m->memory->base + start};

    if (start < end && ioctl(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return pv_fail(err, errno, "give the machine its memory");
    return 0;
}

static uint64_t low_end(const struct pv_memory *memory)
{
    return memory->frames_at + memory->low_end * PV_PAGE;
}

/* KVM keeps some bytes for each page it might map, and takes time to clear them. A clone begins
 * with what its image uses and some room; what lies between low and high frames comes when it is
 * needed. */
static int give_memory(struct pv_machine *m, struct pv_err *err)
{
    const struct pv_memory *memory = m->memory;
    uint64_t high = memory->frames_at + memory->high_floor * PV_PAGE;
    uint64_t split = low_end(memory) + ROOM_BYTES;

    if (!memory->clone || split >= high)
        return add_memory(m, 0, 0, memory->bytes, err);
    m->gap_start = split;
    m->gap_end = high;
    PV_TRY(add_memory(m, 0, 0, split, err));
    return add_memory(m, 1, high, memory->bytes, err);
}

static int fill_gap(struct pv_machine *m, struct pv_err *err)
{
    if (low_end(m->memory) <= m->gap_start)
        return 0;
    PV_TRY(add_memory(m, 2, m->gap_start, m->gap_end, err));
    m->gap_start = m->gap_end;
    return 0;
}

static int set_up(struct pv_machine *m, struct pv_err *err)
{
    PV_TRY(give_memory(m, err));
    m->cpu_fd = ioctl(m->vm_fd, KVM_CREATE_VCPU, 0);
    if (m->cpu_fd < 0)
        return pv_fail(err, errno, "make a virtual processor");
    void *run = mmap(NULL, m->kvm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->cpu_fd, 0);
    if (run == MAP_FAILED)
        return pv_fail(err, errno, "map the virtual processor");
    m->run = run;
    if (ioctl(m->cpu_fd, KVM_SET_CPUID2, m->kvm->cpuid) < 0)
        return pv_fail(err, errno, "set the processor's features");
    if (ioctl(m->cpu_fd, KVM_GET_SREGS, &m->user) < 0)
        return pv_fail(err, errno, "read the segments");
    user_sregs(&m->user);
    return set_msrs(m, err);
}

int pv_machine_new(struct pv_machine *m, const struct pv_memory *memory, struct pv_err *err)
{
    *m = (struct pv_machine){.vm_fd = -1, .cpu_fd = -1, .memory = memory};
    PV_TRY(pv_kvm_get(&m->kvm, err));
    m->vm_fd = ioctl(m->kvm->fd, KVM_CREATE_VM, 0);
    if (m->vm_fd < 0)
        return pv_fail(err, errno, "make a virtual machine");
    return set_up(m, err);
}

void pv_machine_done(struct pv_machine *m)
{
    if (m->run)
        (void)munmap(m->run, m->kvm->run_bytes);
    if (m->cpu_fd >= 0)
        (void)close(m->cpu_fd);
    if (m->vm_fd >= 0)
        (void)close(m->vm_fd);
    *m = (struct pv_machine){.vm_fd = -1, .cpu_fd = -1};
}

static bool holds_segments(const struct pv_machine *m, const struct kvm_sregs *s,
                           const struct pv_registers *r)
{
    const struct kvm_sregs *u = &m->user;

    return s->fs.base == r->fs_base && s->gs.base == r->gs_base &&
           s->ds.selector == u->ds.selector && s->es.selector == u->es.selector &&
           s->fs.selector == u->fs.selector && s->gs.selector == u->gs.selector;
}

/* KVM-PVM runs the guest with the host thread's own data segments, neither set nor shown by
 * KVM_SET_SREGS: what the guest loads stays in the thread, whatever it runs next. Null ones are
 * what a thread begins with, and nothing in 64-bit mode looks at them. */
static void drop_data_segments(void)
{
    __asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0));
}

/* Hands the registers over; segments only where they differ from what the vCPU holds. */
static void load(struct pv_machine *m, const struct pv_registers *r)
{
    struct kvm_sync_regs *s = &m->run->s.regs;

    m->run->kvm_valid_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
    m->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
    s->regs = r->general;
    if (m->started && !m->at_kernel && holds_segments(m, &s->sregs, r))
        return;
    drop_data_segments();
    s->sregs = m->user;
    s->sregs.fs.base = r->fs_base;
    s->sregs.gs.base = r->gs_base;
    m->run->kvm_dirty_regs |= KVM_SYNC_X86_SREGS;
    m->started = true;
}

static bool canonical(uint64_t address)
{
    return address >> ADDRESS_BITS == 0;
}

/* The call's registers: rcx and r11 hold where and with which flags the program goes on. Both are
 * the program's to choose; an address it may not have is a fault at its next instruction. */
static void take_call(struct pv_registers *r, struct pv_exit *e)
{
    e->kind = PV_EXIT_CALL;
    r->general.rip = r->general.rcx;
    r->general.rflags = (r->general.r11 & RFLAGS_USER) | RFLAGS_FIXED;
    if (!canonical(r->general.rip)) {
        e->kind = PV_EXIT_FAULT;
        e->vector = 13;
        e->error = 0;
        r->general.rip &= (1ull << ADDRESS_BITS) - 1;
    }
}

static bool has_error_code(unsigned vector)
{
    return vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21;
}

/* The interrupted registers from the frame that the exception pushed. */
static void take_fault(struct pv_machine *m, unsigned vector, struct pv_registers *r,
                       struct pv_exit *e)
{
    enum { FRAME_WORDS = 5 };
    const uint64_t *end = pv_memory_at(m->memory, PV_AT_KSTACK + PV_PAGE);
    const uint64_t *frame = end - FRAME_WORDS; /* rip cs rflags rsp ss */

    *e = (struct pv_exit){.kind = PV_EXIT_FAULT,
                          .vector = vector,
                          .error = has_error_code(vector) ? frame[-1] : 0,
                          .address = m->run->s.regs.sregs.cr2};
    r->general.rip = frame[0];
    r->general.rflags = (frame[2] & RFLAGS_USER) | RFLAGS_FIXED;
    r->general.rsp = frame[3];
}

static void broken(struct pv_machine *m, const struct pv_registers *r, struct pv_exit *e)
{
    const struct kvm_run *run = m->run;

    e->kind = PV_EXIT_BROKEN;
    (void)snprintf(e->reason, sizeof e->reason, "exit %u (port %u, sub-error %u) at %#llx",
                   run->exit_reason, run->exit_reason == KVM_EXIT_IO ? run->io.port : 0,
                   run->exit_reason == KVM_EXIT_INTERNAL_ERROR ? run->internal.suberror : 0,
                   (unsigned long long)r->general.rip);
}

static void classify(struct pv_machine *m, struct pv_registers *r, struct pv_exit *e)
{
    const struct kvm_run *run = m->run;
    unsigned port = run->exit_reason == KVM_EXIT_IO ? run->io.port : 0;

    if (port == PV_PORT_CALL)
        take_call(r, e);
    else if (m->at_kernel && port >= PV_PORT_FAULT && port < PV_PORT_FAULT + PV_VECTORS)
        take_fault(m, port - PV_PORT_FAULT, r, e);
    else
        broken(m, r, e);
}

/* One KVM_RUN: 1 when the guest left by itself, 0 when it was interrupted. */
static int run_once(struct pv_machine *m, struct pv_err *err)
{
    int rc = ioctl(m->cpu_fd, KVM_RUN, 0);
    int error = errno;
    m->run->kvm_dirty_regs = 0;
    m->exits++;
    m->at_kernel = m->run->s.regs.sregs.cs.dpl != 3;
    if (rc == 0)
        return 1;
    if (error != EINTR && error != EAGAIN)
        return pv_fail(err, error, "run the virtual processor");
    m->run->immediate_exit = 0;
    return 0;
}

/* An interrupted vCPU may be about to deliver an exception. The next entry may be another thread's,
 * so it is taken back: the instruction raises it again when its thread goes on. */
static int forget_exception(struct pv_machine *m, struct pv_err *err)
{
    struct kvm_vcpu_events events;

    if (ioctl(m->cpu_fd, KVM_GET_VCPU_EVENTS, &events) < 0)
        return pv_fail(err, errno, "read the virtual processor's events");
    if (!events.exception.injected && !events.exception.pending)
        return 0;
    events.exception.injected = events.exception.pending = 0;
    if (ioctl(m->cpu_fd, KVM_SET_VCPU_EVENTS, &events) < 0)
        return pv_fail(err, errno, "take back an exception");
    return 0;
}

int pv_machine_enter(struct pv_machine *m, struct pv_registers *r, struct pv_exit *ret,
                     struct pv_err *err)
{
    int left;

    *ret = (struct pv_exit){.kind = PV_EXIT_SIGNAL};
    if (m->gap_start < m->gap_end)
        PV_TRY(fill_gap(m, err));
    load(m, r);
    left = run_once(m, err);
    /* within a gate there are two instructions to its exit, and no program state to keep; whoever
     * interrupted it there interrupts the next entry instead */
    bool late = left == 0 && m->at_kernel;
    while (left == 0 && m->at_kernel)
        left = run_once(m, err);
    PV_TRY(left);
    if (late && left)
        m->run->immediate_exit = 1;
    if (left == 0)
        PV_TRY(forget_exception(m, err));
    r->general = m->run->s.regs.regs;
    r->fs_base = m->run->s.regs.sregs.fs.base;
    r->gs_base = m->run->s.regs.sregs.gs.base;
    if (left)
        classify(m, r, ret);
    return 0;
}

int pv_machine_settle(struct pv_machine *m, struct pv_err *err)
{
    if (m->kvm->ring == PV_RING_USER)
        return 0; /* KVM-PVM emulates the instruction as a whole before it leaves */
    m->run->kvm_dirty_regs = 0;
    m->run->immediate_exit = 1;
    int rc = ioctl(m->cpu_fd, KVM_RUN, 0);
    int error = errno;
    m->run->immediate_exit = 0;
    if (rc < 0 && error != EINTR && error != EAGAIN)
        return pv_fail(err, error, "let the virtual processor finish");
    return 0;
}

int pv_machine_xsave_get(struct pv_machine *m, uint8_t to[PV_XSAVE_BYTES], struct pv_err *err)
{
    if (ioctl(m->cpu_fd, KVM_GET_XSAVE, to) < 0)
        return pv_fail(err, errno, "read the extended registers");
    return 0;
}

int pv_machine_xsave_set(struct pv_machine *m, const uint8_t from[PV_XSAVE_BYTES],
                         struct pv_err *err)
{
    if (ioctl(m->cpu_fd, KVM_SET_XSAVE, from) < 0)
        return pv_fail(err, errno, "write the extended registers");
    return 0;
}

const char *pv_machine_vector_name(unsigned vector)
{
    static const char *const names[] = {"divide error",
                                        "debug exception",
                                        "NMI",
                                        "breakpoint",
                                        "overflow",
                                        "bound range exceeded",
                                        "invalid opcode",
                                        "device not available",
                                        "double fault",
                                        "coprocessor overrun",
                                        "invalid TSS",
                                        "segment not present",
                                        "stack fault",
                                        "general protection",
                                        "page fault",
                                        "reserved exception",
                                        "x87 error",
                                        "alignment check",
                                        "machine check",
                                        "SIMD error",
                                        "virtualization exception",
                                        "control protection"};

    return vector < sizeof names / sizeof *names ? names[vector] : "unknown exception";
}
