/* Programs that try to break out of their micro-VM, or to wear it out: each ends by a named error,
 * and the next program finds everything as it should be. Needs /dev/kvm. */
#include "vm_harness.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct answer a;

/* end: how it must end; signal: by which, 0 any; text: part of what is said, or of the output. */
static const struct deed {
    const char *name;
    enum pv_vm_end end;
    int signal;
    const char *text;
    uint64_t timeout_ms;
} deeds[] = {
    {"hlt", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"cli", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"in", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"out", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"cr3", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"wrmsr", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"lgdt", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"ltr", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"swapgs", PV_VM_SIGNALED, 0, "", 0},
    {"invd", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"sysret", PV_VM_SIGNALED, 0, "", 0},
    {"iret_kernel", PV_VM_SIGNALED, 0, "", 0},
    {"sysenter", PV_VM_SIGNALED, 0, "", 0},
    {"xsetbv", PV_VM_SIGNALED, 0, "", 0},
    {"debug_register", PV_VM_SIGNALED, 0, "", 0},
    {"cr4", PV_VM_SIGNALED, 0, "", 0},
    {"far_jump", PV_VM_SIGNALED, 0, "", 0},
    {"load_segment", PV_VM_SIGNALED, 0, "", 0},
    {"ud2", PV_VM_SIGNALED, SIGILL, "invalid opcode", 0},
    {"int3", PV_VM_SIGNALED, SIGTRAP, "breakpoint", 0},
    {"int80", PV_VM_SIGNALED, 0, "", 0},
    {"int_gate", PV_VM_SIGNALED, 0, "", 0},
    {"divide", PV_VM_SIGNALED, SIGFPE, "divide error", 0},
    {"trap_flag", PV_VM_SIGNALED, SIGTRAP, "debug exception", 0},
    {"null", PV_VM_SIGNALED, SIGSEGV, "page fault writing 0 at", 0},
    {"monitor_page", PV_VM_SIGNALED, SIGSEGV, "page fault writing 0x2000", 0},
    {"entry_page", PV_VM_SIGNALED, SIGSEGV, "page fault writing 0x7000", 0},
    {"gates", PV_VM_SIGNALED, SIGSEGV, "page fault executing 0x5000", 0},
    {"noncanonical", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"wrfsbase", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"forged_rcx", PV_VM_SIGNALED, SIGSEGV, "", 0},
    {"forged_gate", PV_VM_SIGNALED, SIGSEGV, "page fault executing 0x5000", 0},
    {"forged_r11", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"port", PV_VM_EXITED, 0, "port 1\n", 0},
    {"fault_port", PV_VM_SIGNALED, SIGSEGV, "general protection", 0},
    {"shared_page", PV_VM_EXITED, 0, "", 0},
    {"recursion", PV_VM_SIGNALED, SIGSEGV, "page fault", 0},
    {"memory", PV_VM_EXITED, 0, "no more: ENOMEM", 0},
    {"lazy_memory", PV_VM_MEMORY, 0, "MiB of memory", 0},
    {"areas", PV_VM_EXITED, 0, "no more: ENOMEM", 0},
    {"descriptors", PV_VM_EXITED, 0, "no more: EMFILE, many 1", 0},
    {"output", PV_VM_OUTPUT, 0, "4 MiB of output", 0},
    {"threads", PV_VM_EXITED, 0, "threads refused: 1", 0},
    {"fork", PV_VM_EXITED, 0, "fork -1 EAGAIN", 0},
    {"exec", PV_VM_EXITED, 0, "exec -1 EPERM", 0},
    {"loop", PV_VM_DEADLINE, 0, "deadline", 50},
    {"shim_loop", PV_VM_DEADLINE, 0, "deadline", 50},
    {"wait", PV_VM_DEADLINE, 0, "deadline", 50},
    {"bad_frame", PV_VM_SIGNALED, SIGSEGV, "", 0},
    {"no_stack", PV_VM_SIGNALED, SIGSEGV, "page fault", 0},
    {"calls", PV_VM_DEADLINE, 0, "deadline", 50},
    {"abort", PV_VM_SIGNALED, SIGABRT, "", 0},
    {"self_modify", PV_VM_EXITED, 0, "sum 19900", 0},
    {"move_nothing", PV_VM_EXITED, 0, "moved 1, at once 1", 0},
    {"discard_nothing", PV_VM_EXITED, 0, "discarded 1, at once 1", 0},
    {"random_flood", PV_VM_EXITED, 0, "drawn 1, zeros 1", 0},
    {"mincore", PV_VM_EXITED, 0, "mincore 0: 2 there, first 0 1 1", 0},
};

/* Where the machine enters at ring 0, a program has no port, neither in its own code nor when it
 * jumps to the entry, and there is no shim that would loop or whose page it could write. */
static bool has_no_shim(const struct deed *d)
{
    bool by_port = !strcmp(d->name, "port") || !strcmp(d->name, "forged_gate");
    bool by_page = !strcmp(d->name, "shared_page");
    bool by_loop = !strcmp(d->name, "shim_loop");

    if (a.end == PV_VM_EXITED)
        return by_loop && a.code == 0;
    return a.end == PV_VM_SIGNALED && a.signal == SIGSEGV &&
           ((by_port && strstr(a.text, "general protection")) ||
            (by_page && strstr(a.text, "page fault writing 0x8008")));
}

static void check(const struct deed *d, const char *how)
{
    if (has_no_shim(d))
        return;
    if (a.end != d->end || (d->signal && a.signal != d->signal) ||
        (!strstr(a.text, d->text) && !strstr(a.out, d->text)))
        fail_msg("%s (%s): ends by %s, signal %d, code %d, '%s', printing '%.200s'", d->name, how,
                 pv_vm_end_name(a.end), a.signal, a.code, a.text, a.out);
    if (strstr(a.out, "came back") && d->end == PV_VM_SIGNALED)
        fail_msg("%s (%s) came back", d->name, how);
}

/* Every deed in a clone of one image; after each a clone does honest work. */
static void every_deed_ends(void **state)
{
    const char *argv[] = {strdup(vm_program("hostile")), NULL};
    struct pv_vm_spec spec = vm_spec(argv);
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_report report;
    struct pv_vm *vm;

    (void)state;
    spec.limits.memory_bytes = 32 << 20;
    spec.limits.output_bytes = 4 << 20;
    struct pv_vm_image *image = make_image(&spec, &report);
    for (size_t i = 0; i < sizeof deeds / sizeof *deeds; i++) {
        const struct deed *d = &deeds[i];

        assert_int_equal(pv_vm_new(image, NULL, &vm, &err), 0);
        run_vm(vm, d->name, strlen(d->name), NULL, 0, d->timeout_ms ? d->timeout_ms : TIMEOUT_MS,
               &a);
        check(d, "first");
        if (a.end == PV_VM_EXITED) {
            assert_int_equal(pv_vm_reset(vm, &err), 0);
            if (pv_vm_compare(vm, &err) < 0)
                fail_msg("%s: %s", d->name, err.text);
        } else {
            assert_true(pv_vm_reset(vm, &err) < 0);
        }
        pv_vm_free(vm);
    }
    assert_int_equal(pv_vm_new(image, NULL, &vm, &err), 0);
    run_vm(vm, "self_modify", 11, NULL, 0, TIMEOUT_MS, &a);
    assert_string_equal(a.out, "sum 19900\ncame back\n");
    pv_vm_free(vm);
    pv_vm_image_free(image);
    free((void *)(uintptr_t)argv[0]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_deed_ends)};
    int rc = vm_ready(argc, argv);

    return rc ? rc : cmocka_run_group_tests(tests, NULL, NULL);
}
