/* The library's face: a VM's life from making to freeing. */
#include "calls/host.h"
#include "calls/shim.h"
#include "program/program.h"
#include "pv/clock.h"
#include "pv/own.h"
#include "snapshot/pagemap.h"
#include "snapshot/snapshot.h"
#include "thread/threads.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MEMORY_MIN = 1 << 20, START_S = 10 };

PV_DEFINE_CLEANUP(struct pv_vm, pv_vm_free)
PV_DEFINE_CLEANUP(struct pv_vm_image, pv_vm_image_free)

int pv_vm_available(struct pv_err *err)
{
    const struct pv_kvm *kvm;

    PV_TRY(pv_kvm_get(&kvm, err));
    return pv_pagemap_open(err);
}

int pv_vm_stand_by(uint8_t *ret, struct pv_err *err)
{
    return pv_kvm_stand_by(ret, err);
}

void pv_vm_believe(uint8_t word)
{
    pv_kvm_believe(word);
}

const char *pv_vm_end_name(enum pv_vm_end end)
{
    static const char *const names[] = {"exited", "finished", "signal", "deadline",
                                        "cpu",    "memory",   "output", "calls",
                                        "stuck",  "stopped",  "broken"};

    return (unsigned)end < sizeof names / sizeof *names ? names[end] : "?";
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

static void fill_limits(struct pv_vm_limits *to, const struct pv_vm_limits *from)
{
    *to = *from;
    to->memory_bytes = or_default(from->memory_bytes, 256ull << 20);
    to->tmp_bytes = or_default(from->tmp_bytes, 16ull << 20);
    to->output_bytes = or_default(from->output_bytes, 16ull << 20);
    to->stderr_bytes = or_default(from->stderr_bytes, 1ull << 20);
    to->threads = from->threads ? from->threads : 256;
    to->descriptors = from->descriptors ? from->descriptors : 256;
    if (to->threads > PV_THREADS_MAX)
        to->threads = PV_THREADS_MAX;
}

/* gettid without a system call, after the first. */
static pid_t own_tid(void)
{
    static _Thread_local pid_t tid;

    if (!tid)
        tid = gettid();
    return tid;
}

static struct pv_vm *vm_alloc(const struct pv_vm_hooks *hooks)
{
    struct pv_vm *vm = calloc(1, sizeof *vm);

    if (!vm)
        return NULL;
    vm->owner = own_tid();
    vm->memory.fd = -1;
    vm->machine.vm_fd = vm->machine.cpu_fd = -1;
    if (hooks)
        vm->hooks = *hooks;
    return vm;
}

static int make_files(struct pv_vm *vm, const struct pv_vm_spec *spec,
                      const struct pv_executable *x, struct pv_err *err)
{
    struct pv_files_spec files = {
        .root_fd = spec->root_fd,
        .exe = x->real,
        .cwd = spec->cwd,
        .uid = spec->uid,
        .gid = spec->gid,
        .pid = PV_PID,
        .umask = 022,
        .memory_bytes = vm->limits.memory_bytes,
        .cpus = 1,
        .limits = {.tmp_bytes = vm->limits.tmp_bytes, .descriptors = vm->limits.descriptors},
        .host = &vm->files_host,
        .ctx = vm};

    pv_host_callbacks(vm);
    return pv_files_new(&files, &vm->files, err);
}

/* The extended registers of a program that begins (System V ABI for AMD64, 3.2.1). */
static void reset_xsave(uint8_t xsave[PV_XSAVE_BYTES])
{
    const uint16_t control = 0x37f;
    const uint32_t mxcsr = 0x1f80;
    const uint64_t features = 3;

    memset(xsave, 0, PV_XSAVE_BYTES);
    memcpy(xsave, &control, sizeof control);
    memcpy(xsave + 24, &mxcsr, sizeof mxcsr);
    memcpy(xsave + 512, &features, sizeof features);
}

static int make_thread(struct pv_vm *vm, struct pv_err *err)
{
    struct pv_thread *t;

    vm->process.next_tid = PV_PID;
    t = pv_threads_add(vm);
    if (!t)
        return pv_fail(err, errno, "make the main thread");
    reset_xsave(t->xsave);
    t->r.general.rip = vm->program.entry;
    t->r.general.rsp = vm->program.stack;
    t->r.general.rflags = 0x202;
    memcpy(t->name, vm->program.name, sizeof t->name);
    return 0;
}

static int boot(struct pv_vm *vm, const struct pv_vm_spec *spec, const struct pv_executable *x,
                struct pv_err *err)
{
    const struct pv_kvm *kvm;

    fill_limits(&vm->limits, &spec->limits);
    if (vm->limits.memory_bytes < MEMORY_MIN)
        return pv_refuse(err, EINVAL, "memory below %d bytes", MEMORY_MIN);
    vm->finish = spec->finish;
    vm->process.uid = spec->uid;
    vm->process.gid = spec->gid;
    vm->process.stack_limit = PV_STACK_BYTES;
    vm->process.descriptor_limit = vm->limits.descriptors;
    PV_TRY(pv_kvm_get(&kvm, err));
    PV_TRY(pv_memory_new(&vm->memory, vm->limits.memory_bytes, err));
    PV_TRY(pv_machine_pages_write(&vm->memory, kvm->ring, err));
    PV_TRY(pv_space_init(&vm->space, &vm->memory, err));
    PV_TRY(pv_machine_new(&vm->machine, &vm->memory, err));
    vm->has_machine = true;
    PV_TRY(make_files(vm, spec, x, err));
    PV_TRY(pv_program_load(vm, spec, x, err));
    PV_TRY(make_thread(vm, err));
    pv_shim_boot(vm);
    return pv_alarm_new(&vm->alarm, err);
}

int pv_vm_boot(const struct pv_vm_spec *spec, const struct pv_vm_hooks *hooks, struct pv_vm **ret,
               struct pv_err *err)
{
    PV_CLEANUP(pv_vm_free) struct pv_vm *vm = vm_alloc(hooks);
    struct pv_executable x;

    if (!vm)
        return pv_fail(err, ENOMEM, "make a micro-VM");
    PV_TRY(pv_executable_open(&x, spec->root_fd, spec->program, spec->cwd, err));
    int rc = boot(vm, spec, &x, err);
    pv_executable_done(&x);
    PV_TRY(rc);
    vm->phase = PV_VM_READY;
    *ret = PV_TAKE_PTR(vm);
    return 0;
}

int pv_vm_new(struct pv_vm_image *image, const struct pv_vm_hooks *hooks, struct pv_vm **ret,
              struct pv_err *err)
{
    PV_CLEANUP(pv_vm_free) struct pv_vm *vm = vm_alloc(hooks);

    if (!vm)
        return pv_fail(err, ENOMEM, "make a micro-VM");
    PV_TRY(pv_snapshot_clone(vm, image, err));
    vm->phase = PV_VM_READY;
    *ret = PV_TAKE_PTR(vm);
    return 0;
}

void pv_vm_free(struct pv_vm *vm)
{
    if (!vm)
        return;
    pv_alarm_done(&vm->alarm);
    pv_machine_done(&vm->machine);
    pv_files_free(vm->files);
    pv_threads_done(&vm->process);
    pv_space_done(&vm->space);
    pv_memory_done(&vm->memory);
    free(vm->out);
    free(vm);
}

void pv_vm_finish_run(struct pv_vm *vm, enum pv_vm_end end, int code, const char *fmt, ...)
{
    va_list ap;

    if (vm->ended)
        return;
    vm->ended = true;
    vm->result.end = end;
    vm->result.code = end == PV_VM_EXITED ? code : 0;
    vm->result.signal = end == PV_VM_SIGNALED ? code : 0;
    va_start(ap, fmt);
    (void)vsnprintf(vm->result.text, sizeof vm->result.text, fmt, ap);
    va_end(ap);
}

void pv_vm_tell(struct pv_vm *vm, enum pv_vm_event_kind kind, const char *what, const char *path,
                int64_t result)
{
    const struct pv_vm_event e = {.kind = kind, .what = what, .path = path, .result = result};

    if (vm->hooks.event)
        vm->hooks.event(vm->hooks.ctx, &e);
}

static void begin(struct pv_vm *vm, const struct pv_vm_call *call, uint64_t deadline_ns)
{
    const struct pv_vm_stats last = vm->stats;

    vm->call = call;
    vm->span = vm->span_at = 0;
    vm->rest.iov_len = 0;
    vm->staged = false;
    vm->ended = vm->reached_read = false;
    vm->result = (struct pv_vm_result){0};
    vm->out_len = 0;
    vm->out_total = vm->err_total = vm->content_length = 0;
    vm->told_random = vm->told_clock = false;
    vm->n_unknown = 0;
    vm->stats = (struct pv_vm_stats){
        .reset_ns = last.reset_ns, .scan_ns = last.scan_ns, .dirty_pages = last.dirty_pages};
    vm->machine.exits = 0;
    vm->deadline_ns = deadline_ns;
    vm->wall_start_ns = pv_now_mono_ns();
    vm->cpu_start_ns = pv_cpu_now_ns();
}

static void finish(struct pv_vm *vm, struct pv_vm_result *ret)
{
    pv_shim_end(vm);
    vm->call = NULL;
    vm->stats.exits = vm->machine.exits;
    vm->stats.cpu_ns = pv_cpu_now_ns() - vm->cpu_start_ns;
    vm->stats.wall_ns = pv_now_mono_ns() - vm->wall_start_ns;
    vm->stats.frames = vm->memory.n_used;
    vm->result.out = vm->out;
    vm->result.out_len = vm->out_len;
    vm->result.stats = vm->stats;
    *ret = vm->result;
}

/* Waits with a time limit, and timers, go on where the snapshot stopped them. */
static void shift_waits(struct pv_vm *vm)
{
    uint64_t by = pv_now_mono_ns() - vm->image->frozen_ns;

    pv_timers_shift(&vm->process, by);
    for (unsigned i = 0; i < vm->process.n_threads; i++) {
        uint64_t *until = &vm->process.threads[i]->until_ns;

        if (*until && *until < UINT64_MAX - by)
            *until += by;
    }
}

/* The thread that stood still at its read goes on, and so does every other that can. */
static int resume(struct pv_vm *vm, const struct pv_vm_call *call, struct pv_err *err)
{
    PV_TRY(pv_program_variables(vm, call->env, call->env_len, err));
    if (!vm->image)
        return 0;
    PV_TRY(pv_program_random(vm, err));
    pv_shim_begin(vm);
    shift_waits(vm);
    for (unsigned i = 0; i < vm->process.n_threads; i++)
        vm->process.threads[i]->seen = pv_files_changed(vm->files) - 1;
    return 0;
}

int pv_vm_run(struct pv_vm *vm, const struct pv_vm_call *call, struct pv_vm_result *ret,
              struct pv_err *err)
{
    if (vm->owner != own_tid())
        return pv_refuse(err, EPERM, "the VM belongs to another thread");
    if (vm->phase != PV_VM_READY)
        return pv_refuse(err, ESTALE, "the VM has not been reset since its last run");
    begin(vm, call, call->deadline_ns);
    /* whatever happens now, a reset must follow */
    vm->phase = vm->image ? PV_VM_SERVED : PV_VM_SPENT;
    PV_TRY(resume(vm, call, err));
    vm->phase = PV_VM_RUNNING;
    int rc = pv_threads_run(vm, err);
    if (rc < 0)
        pv_vm_finish_run(vm, PV_VM_BROKEN, 0, "%s", err ? err->text : "the machine failed");
    bool well = vm->result.end == PV_VM_EXITED || vm->result.end == PV_VM_FINISHED;
    vm->phase = well && vm->image ? PV_VM_SERVED : PV_VM_SPENT;
    if (vm->phase == PV_VM_SERVED)
        pv_snapshot_learn(vm);
    finish(vm, ret);
    return 0;
}

void pv_vm_stop(struct pv_vm *vm)
{
    atomic_store(&vm->stop, true);
    (void)syscall(SYS_tgkill, getpid(), vm->owner, PV_VM_SIGNAL);
}

void pv_vm_go_on(struct pv_vm *vm)
{
    atomic_store(&vm->stop, false);
}

int pv_vm_reset(struct pv_vm *vm, struct pv_err *err)
{
    if (vm->owner != own_tid())
        return pv_refuse(err, EPERM, "the VM belongs to another thread");
    if (vm->phase == PV_VM_READY && vm->image)
        return 0;
    if (vm->phase != PV_VM_SERVED)
        return pv_refuse(err, ESTALE, "the VM failed or has no snapshot: it cannot be reset");
    int rc = pv_snapshot_reset(vm, err);
    vm->phase = rc < 0 ? PV_VM_SPENT : PV_VM_READY;
    if (rc == 0)
        atomic_store(&vm->stop, false);
    return rc;
}

int pv_vm_compare(struct pv_vm *vm, struct pv_err *err)
{
    if (!vm->image || vm->phase != PV_VM_READY)
        return pv_refuse(err, ESTALE, "the VM has not been reset");
    return pv_snapshot_compare(vm, err);
}

/* ---- images ---- */

static void report_start(const struct pv_vm *vm, struct pv_vm_report *report)
{
    report->n_unknown = vm->n_unknown;
    memcpy(report->unknown, vm->unknown, sizeof report->unknown);
    report->wanted_process = vm->wanted_process;
    report->threads = vm->process.n_threads;
    report->image_bytes = vm->memory.n_used * PV_PAGE;
    report->start_ns = pv_now_mono_ns() - vm->wall_start_ns;
}

/* What may have made it give up. */
static const char *obstacle(const struct pv_vm *vm)
{
    return vm->wanted_process  ? "; it tried to start another program, which takes a process"
           : vm->wanted_memory ? "; it was refused memory"
                               : "";
}

static int start(struct pv_vm *vm, const struct pv_vm_spec *spec, struct pv_vm_report *report,
                 struct pv_err *err)
{
    uint64_t limit_ns = or_default(spec->start_ns, START_S * PV_NS_PER_S);

    begin(vm, NULL, pv_now_mono_ns() + limit_ns);
    vm->phase = PV_VM_STARTING;
    PV_TRY(pv_threads_run(vm, err));
    report_start(vm, report);
    if (vm->reached_read)
        return 0;
    finish(vm, &report->end);
    report->end.out = NULL;
    (void)snprintf(report->why_not, sizeof report->why_not,
                   "it ended (%s, code %d) before it read its request%s%.900s%s",
                   pv_vm_end_name(report->end.end), report->end.code, *report->end.text ? ": " : "",
                   report->end.text, obstacle(vm));
    return pv_refuse(err, ECANCELED, "'%s' does not fit: %.300s", spec->program, report->why_not);
}

int pv_vm_image_make(const struct pv_vm_spec *spec, const struct pv_vm_hooks *hooks,
                     struct pv_vm_image **ret, struct pv_vm_report *report, struct pv_err *err)
{
    PV_CLEANUP(pv_vm_image_free) struct pv_vm_image *image = NULL;
    PV_CLEANUP(pv_vm_free) struct pv_vm *vm = NULL;

    *report = (struct pv_vm_report){0};
    PV_TRY(pv_vm_boot(spec, hooks, &vm, err));
    PV_TRY(start(vm, spec, report, err));
    report->env_taken = pv_program_took_room(vm);
    pv_shim_freeze(vm);
    int rc = pv_snapshot_take(vm, &image, err);
    if (rc == 0)
        rc = pv_snapshot_measure(image, spec->root_hash, err);
    if (rc < 0) {
        (void)snprintf(report->why_not, sizeof report->why_not, "%s", err ? err->text : "");
        return rc;
    }
    memcpy(report->measurement, image->measurement, sizeof report->measurement);
    *ret = PV_TAKE_PTR(image);
    return 0;
}
