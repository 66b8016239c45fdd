#include "calls/shim.h"

#include "pv/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BRK_AHEAD = 1 << 20, CALIBRATION_MS = 20 };

static struct pv_shared *shared(const struct pv_vm *vm)
{
    return pv_memory_at(&vm->memory, PV_AT_SHARED);
}

/* ---- clocks ---- */

/* Sets the clocks' base and scale; false: not measured long enough to be exact. */
static bool set_clock(const struct pv_vm *vm, struct pv_shared *s)
{
    const struct pv_kvm *kvm = vm->machine.kvm;
    uint64_t now = pv_now_mono_ns();
    uint64_t tsc = pv_kvm_tsc();
    uint64_t ns = now - kvm->ns_at;

    if (!kvm->same_tsc || ns < CALIBRATION_MS * PV_NS_PER_MS || tsc <= kvm->tsc_at)
        return false;
    s->tsc_base = tsc;
    s->scale = (uint64_t)(((unsigned __int128)ns << 32) / (tsc - kvm->tsc_at));
    s->monotonic = now;
    s->realtime = pv_now_real_ns();
    return true;
}

/* ---- life ---- */

void pv_shim_boot(struct pv_vm *vm)
{
    if (!vm->has_machine || vm->machine.kvm->ring != PV_RING_USER || vm->hooks.trace)
        return;
    vm->shim = PV_SHIM_IDS | PV_SHIM_CLOCK | PV_SHIM_READ | PV_SHIM_WRITE | PV_SHIM_STAT |
               PV_SHIM_BRK | PV_SHIM_RANDOM;
    struct pv_shared *s = shared(vm);
    s->uid = vm->process.uid;
    s->gid = vm->process.gid;
    s->tid = PV_PID;
    s->mode = PV_SHIM_IDS | (set_clock(vm, s) ? PV_SHIM_CLOCK : 0);
}

void pv_shim_freeze(struct pv_vm *vm)
{
    struct pv_shared *s = shared(vm);

    if (!vm->shim)
        return;
    memset(s, 0, sizeof *s);
    s->uid = vm->process.uid;
    s->gid = vm->process.gid;
    for (int fd = 0; fd < 3; fd++)
        if (pv_files_fstat(vm->files, fd, &s->stat[fd]) < 0)
            vm->shim &= ~(uint32_t)PV_SHIM_STAT;
    vm->memory.complete = true;
    pv_space_brk_ahead(&vm->space, BRK_AHEAD);
}

void pv_shim_begin(struct pv_vm *vm)
{
    struct pv_shared *s = shared(vm);
    uint32_t mode = vm->shim;

    vm->staged = false;
    if (!mode || vm->hooks.trace)
        return;
    mode &= ~(uint32_t)PV_SHIM_READ; /* until the body is staged */
    if (vm->hooks.output || vm->finish != PV_VM_FINISH_EXIT)
        mode &= ~(uint32_t)PV_SHIM_WRITE;
    s->response_len = 0;
    s->response_max = PV_BUFFER_BYTES;
    if (s->response_max > vm->limits.output_bytes)
        s->response_max = vm->limits.output_bytes;
    s->tid = (uint64_t)vm->process.threads[vm->process.current]->tid;
    s->brk = vm->space.brk;
    s->brk_end = vm->space.brk_mapped;
    s->random_at = 0;
    arc4random_buf(s->random, sizeof s->random);
    s->served = 0;
    if (!set_clock(vm, s))
        mode &= ~(uint32_t)PV_SHIM_CLOCK;
    s->mode = mode;
}

void pv_shim_thread(struct pv_vm *vm, int tid)
{
    if (vm->shim)
        shared(vm)->tid = (uint64_t)tid;
}

/* ---- the request ---- */

void pv_shim_stage(struct pv_vm *vm)
{
    struct pv_shared *s = shared(vm);
    const struct pv_vm_call *c = vm->call;
    uint8_t *to = pv_memory_at(&vm->memory, PV_AT_REQUEST);
    uint64_t left = 0;

    if (!(vm->shim & PV_SHIM_READ) || vm->hooks.trace || c->input || vm->staged || vm->rest.iov_len)
        return;
    for (size_t i = vm->span; i < c->n_body && left <= PV_BUFFER_BYTES; i++)
        left += c->body[i].iov_len - (i == vm->span ? vm->span_at : 0);
    if (left > PV_BUFFER_BYTES)
        return;
    for (; vm->span < c->n_body; vm->span++, vm->span_at = 0) {
        const struct iovec *b = &c->body[vm->span];
        size_t len = b->iov_len - vm->span_at;

        if (len)
            memcpy(to, (const char *)b->iov_base + vm->span_at, len);
        to += len;
    }
    s->request_at = 0;
    s->request_len = left;
    s->mode |= PV_SHIM_READ;
    vm->staged = true;
}

void pv_shim_unstage(struct pv_vm *vm)
{
    struct pv_shared *s = shared(vm);

    if (!vm->staged)
        return;
    s->mode &= ~(uint32_t)PV_SHIM_READ;
    vm->staged = false;
    uint64_t at = s->request_at < PV_BUFFER_BYTES ? s->request_at : PV_BUFFER_BYTES;
    uint64_t end = s->request_len < PV_BUFFER_BYTES ? s->request_len : PV_BUFFER_BYTES;
    vm->rest = (struct iovec){(uint8_t *)pv_memory_at(&vm->memory, PV_AT_REQUEST) + at,
                              end > at ? end - at : 0};
}

/* ---- the response ---- */

/* A response that has lost a part is none, however the program ended. */
static void lose_output(struct pv_vm *vm, int64_t rc)
{
    if (vm->ended && vm->result.end != PV_VM_EXITED && vm->result.end != PV_VM_FINISHED)
        return;
    vm->ended = false;
    pv_vm_finish_run(vm, rc == -EFBIG ? PV_VM_OUTPUT : PV_VM_MEMORY, 0,
                     "a part of the output could not be kept: %s",
                     strerror(rc < 0 ? (int)-rc : ENOSPC));
}

/* Hands over what the shim has collected, as if it had been written now. */
static void drain(struct pv_vm *vm)
{
    struct pv_shared *s = shared(vm);
    uint64_t len = s->response_len < PV_BUFFER_BYTES ? s->response_len : PV_BUFFER_BYTES;
    struct iovec v = {pv_memory_at(&vm->memory, PV_AT_RESPONSE), len};

    if (!(vm->shim & PV_SHIM_WRITE) || len == 0)
        return;
    s->response_len = 0;
    int64_t rc = vm->files_host.write(vm, 1, &v, 1);
    if (rc != (int64_t)len)
        lose_output(vm, rc);
    uint64_t room = vm->limits.output_bytes - vm->out_total;
    s->response_max = room < PV_BUFFER_BYTES ? room : PV_BUFFER_BYTES;
}

void pv_shim_heap(struct pv_vm *vm)
{
    struct pv_shared *s = shared(vm);

    if (!vm->shim || vm->phase != PV_VM_RUNNING)
        return;
    s->brk = vm->space.brk;
    s->brk_end = vm->space.brk_mapped > vm->space.brk ? vm->space.brk_mapped : vm->space.brk;
}

void pv_shim_sync(struct pv_vm *vm)
{
    const struct pv_shared *s = shared(vm);

    if (!vm->shim || vm->phase != PV_VM_RUNNING)
        return;
    if (s->brk != vm->space.brk && s->brk > vm->space.brk && s->brk <= vm->space.brk_mapped) {
        vm->space.brk = s->brk;
        vm->space.changed = true;
    }
    drain(vm);
}

void pv_shim_end(struct pv_vm *vm)
{
    const struct pv_shared *s = shared(vm);

    if (!vm->shim || !vm->image)
        return;
    if (!vm->ended || vm->result.end != PV_VM_OUTPUT)
        drain(vm);
    vm->stats.shim_calls = s->served;
    if (s->random_at && !vm->told_random)
        pv_vm_tell(vm, PV_VM_EVENT_RANDOM, "", "", 0);
}

void pv_shim_forbid(struct pv_vm *vm, int fd)
{
    struct pv_shared *s = shared(vm);
    uint32_t gone = PV_SHIM_STAT;

    if (fd < 0 || fd > 2 || !vm->shim)
        return;
    if (fd == 0) {
        pv_shim_unstage(vm);
        gone |= PV_SHIM_READ;
    } else if (fd == 1) {
        pv_shim_sync(vm);
        gone |= PV_SHIM_WRITE;
    }
    s->mode &= ~gone;
    vm->shim &= ~gone;
}

/* ---- faults ---- */

bool pv_shim_holds(uint64_t rip)
{
    return rip >= PV_AT_ENTRY && rip < PV_AT_ENTRY + PV_PAGE;
}

void pv_shim_fault(struct pv_vm *vm, struct pv_thread *t)
{
    const struct pv_shared *s = shared(vm);
    struct kvm_regs *g = &t->r.general;

    g->rip = s->save_rcx & ((1ull << 47) - 1);
    g->rcx = s->save_rcx;
    g->rdi = s->save_rdi;
    g->rsi = s->save_rsi;
    g->rdx = s->save_rdx;
    g->rbx = s->save_rbx;
    g->rax = (uint64_t)-EFAULT;
}
