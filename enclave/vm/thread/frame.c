/* The frame of a signal handler, as Linux lays it out (arch/x86/include/uapi/asm/sigcontext.h,
 * ucontext.h): C libraries and language runtimes read it. */
#include "thread/threads.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

enum {
    RED_ZONE = 128,
    FPX_MAGIC1 = 0x46505853,
    FPX_MAGIC2 = 0x46505845,
    FPX_SW_BYTES_AT = 464,
    XSTATE_BV_AT = 512,
    XSTATE_HEADER_BYTES = 64,
    MXCSR_AT = 24,
    UC_FLAGS = 7, /* UC_FP_XSTATE, UC_SIGCONTEXT_SS, UC_STRICT_RESTORE_SS */
    STACK_DISABLED = 2,
    STACK_ON = 1,
    SA_ONSTACK_BIT = 0x08000000,
    SA_RESTORER_BIT = 0x04000000,
    USER_CS = 0x33, /* what a program on Linux finds there */
    USER_SS = 0x2b,
};
#define RFLAGS_RESTORED 0x240dd5ull /* AC OF DF TF SF ZF AF PF CF */
#define MXCSR_MASK 0xffffu

struct context {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip;
    uint64_t flags;
    uint16_t cs, gs, fs, ss;
    uint64_t error, trap, old_mask, cr2, fpstate, reserved[8];
};
struct frame {
    uint64_t return_to;
    uint64_t uc_flags, uc_link, stack_at;
    int32_t stack_flags, pad;
    uint64_t stack_size;
    struct context c;
    uint64_t mask;
    struct {
        int32_t signal, error, code, pad;
        uint64_t a, b; /* pid and uid, or the fault's address; the value */
        uint8_t rest[96];
    } info;
};
_Static_assert(sizeof(struct context) == 256, "struct sigcontext of x86-64");
_Static_assert(offsetof(struct frame, mask) == 8 + 40 + 256, "uc_sigmask of x86-64");
_Static_assert(offsetof(struct frame, info) == 8 + 304 && sizeof(((struct frame *)0)->info) == 128,
               "siginfo of x86-64");

static void save(struct context *c, const struct kvm_regs *g)
{
    *c = (struct context){.r8 = g->r8,
                          .r9 = g->r9,
                          .r10 = g->r10,
                          .r11 = g->r11,
                          .r12 = g->r12,
                          .r13 = g->r13,
                          .r14 = g->r14,
                          .r15 = g->r15,
                          .rdi = g->rdi,
                          .rsi = g->rsi,
                          .rbp = g->rbp,
                          .rbx = g->rbx,
                          .rdx = g->rdx,
                          .rax = g->rax,
                          .rcx = g->rcx,
                          .rsp = g->rsp,
                          .rip = g->rip,
                          .flags = g->rflags,
                          .cs = USER_CS,
                          .ss = USER_SS};
}

static void restore(struct kvm_regs *g, const struct context *c)
{
    uint64_t flags = (g->rflags & ~RFLAGS_RESTORED) | (c->flags & RFLAGS_RESTORED);

    *g = (struct kvm_regs){.r8 = c->r8,
                           .r9 = c->r9,
                           .r10 = c->r10,
                           .r11 = c->r11,
                           .r12 = c->r12,
                           .r13 = c->r13,
                           .r14 = c->r14,
                           .r15 = c->r15,
                           .rdi = c->rdi,
                           .rsi = c->rsi,
                           .rbp = c->rbp,
                           .rbx = c->rbx,
                           .rdx = c->rdx,
                           .rax = c->rax,
                           .rcx = c->rcx,
                           .rsp = c->rsp,
                           .rip = c->rip,
                           .rflags = flags};
}

static bool on_alt_stack(const struct pv_thread *t, uint64_t sp)
{
    return t->alt_size && sp > t->alt_stack && sp - t->alt_stack <= t->alt_size;
}

/* The extended registers of the thread that runs lie in the vCPU. */
static int fetch_xsave(struct pv_vm *vm, struct pv_thread *t)
{
    if (vm->loaded != t || !vm->has_machine)
        return 0;
    return pv_machine_xsave_get(&vm->machine, t->xsave, NULL);
}

static uint32_t xsave_bytes(const struct pv_vm *vm)
{
    return vm->has_machine ? vm->machine.kvm->xsave_bytes : XSTATE_BV_AT + XSTATE_HEADER_BYTES;
}

static int push_xsave(struct pv_vm *vm, struct pv_thread *t, uint64_t at)
{
    uint32_t bytes = xsave_bytes(vm);
    uint64_t features = vm->has_machine ? vm->machine.kvm->xcr0 : 3;
    uint32_t end = FPX_MAGIC2;
    uint32_t words[4] = {FPX_MAGIC1, bytes + (uint32_t)sizeof end, 0, 0};
    uint8_t area[PV_XSAVE_BYTES];

    if (fetch_xsave(vm, t) < 0)
        return -EFAULT;
    memcpy(area, t->xsave, sizeof area);
    memcpy(area + FPX_SW_BYTES_AT, words, 8);
    memcpy(area + FPX_SW_BYTES_AT + 8, &features, sizeof features);
    memcpy(area + FPX_SW_BYTES_AT + 16, &bytes, sizeof bytes);
    if (pv_copy_out(&vm->space, at, area, bytes) < 0)
        return -EFAULT;
    return pv_copy_out(&vm->space, at + bytes, &end, sizeof end);
}

static void fill_info(const struct pv_vm *vm, struct frame *f, int signal,
                      const struct pv_signal_info *info)
{
    uint64_t words[2];

    pv_signal_words(vm, info, words);
    f->info.signal = signal;
    f->info.code = info->code;
    f->info.a = words[0];
    f->info.b = words[1];
    f->c.trap = info->vector;
    f->c.error = info->error;
    if (info->vector == PV_VECTOR_PAGE_FAULT)
        f->c.cr2 = info->address;
}

static void enter_handler(struct pv_thread *t, int signal, const struct pv_signal_action *a,
                          uint64_t at)
{
    struct kvm_regs *g = &t->r.general;

    g->rdi = (unsigned)signal;
    g->rsi = at + offsetof(struct frame, info);
    g->rdx = at + offsetof(struct frame, uc_flags);
    g->rax = 0;
    g->rsp = at;
    g->rip = a->handler;
    g->rflags &= ~0x500ull; /* DF and TF are off in a handler */
}

int pv_frame_push(struct pv_vm *vm, struct pv_thread *t, int signal,
                  const struct pv_signal_action *a, const struct pv_signal_info *info)
{
    uint64_t sp = t->r.general.rsp - RED_ZONE;
    struct frame f = {.uc_flags = UC_FLAGS, .stack_at = t->alt_stack, .stack_size = t->alt_size};

    if (!(a->flags & SA_RESTORER_BIT))
        return -EFAULT;
    f.stack_flags =
        t->alt_size ? (on_alt_stack(t, t->r.general.rsp) ? STACK_ON : 0) : STACK_DISABLED;
    if ((a->flags & SA_ONSTACK_BIT) && t->alt_size && !on_alt_stack(t, t->r.general.rsp))
        sp = t->alt_stack + t->alt_size;
    uint64_t fpstate = (sp - xsave_bytes(vm) - sizeof(uint32_t)) & ~63ull;
    uint64_t at = ((fpstate - sizeof f) & ~15ull) - 8; /* as behind a call */
    save(&f.c, &t->r.general);
    f.return_to = a->restorer;
    f.c.fpstate = fpstate;
    f.mask = t->restore_mask ? t->saved_mask : t->mask;
    f.c.old_mask = f.mask;
    t->restore_mask = false;
    fill_info(vm, &f, signal, info);
    if (push_xsave(vm, t, fpstate) < 0 || pv_copy_out(&vm->space, at, &f, sizeof f) < 0)
        return -EFAULT;
    enter_handler(t, signal, a, at);
    return 0;
}

/* The extended registers from the frame, made harmless: XRSTOR faults on what it does not know. */
static int pop_xsave(struct pv_vm *vm, struct pv_thread *t, uint64_t at)
{
    uint32_t bytes = xsave_bytes(vm);
    uint8_t area[PV_XSAVE_BYTES] = {0};
    uint64_t features;
    uint32_t mxcsr;

    if (!at)
        return 0;
    if (pv_copy_in(&vm->space, area, at, bytes) < 0)
        return -EFAULT;
    memcpy(&features, area + XSTATE_BV_AT, sizeof features);
    features &= vm->has_machine ? vm->machine.kvm->xcr0 : 3;
    memset(area + XSTATE_BV_AT, 0, XSTATE_HEADER_BYTES);
    memcpy(area + XSTATE_BV_AT, &features, sizeof features);
    memcpy(&mxcsr, area + MXCSR_AT, sizeof mxcsr);
    mxcsr &= MXCSR_MASK;
    memcpy(area + MXCSR_AT, &mxcsr, sizeof mxcsr);
    memcpy(t->xsave, area, sizeof area);
    if (vm->loaded == t && vm->has_machine)
        return pv_machine_xsave_set(&vm->machine, t->xsave, NULL);
    return 0;
}

int pv_frame_pop(struct pv_vm *vm, struct pv_thread *t)
{
    struct frame f;
    uint64_t at = t->r.general.rsp - sizeof f.return_to;

    if (pv_copy_in(&vm->space, &f, at, sizeof f) < 0 || pop_xsave(vm, t, f.c.fpstate) < 0)
        return -EFAULT;
    if (f.c.rip >> 47)
        return -EFAULT;
    restore(&t->r.general, &f.c);
    t->mask = f.mask & ~(PV_SIGNAL_BIT(SIGKILL) | PV_SIGNAL_BIT(SIGSTOP));
    return 0;
}
