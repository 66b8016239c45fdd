/* What a run must not be able to tell the next one, nor the monitor a program. Needs /dev/kvm. */
#include "vm_harness.h"

#include "pv/clock.h"

#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static struct answer a;
static struct pv_vm_image *image;

/* One run in vm, which then is as the snapshot again. */
static void run(struct pv_vm *vm, const char *request)
{
    struct pv_err err = PV_ERR_INIT;

    run_vm(vm, request, strlen(request), NULL, 0, TIMEOUT_MS, &a);
    if (a.end != PV_VM_EXITED)
        fail_msg("%s ends by %s: %s", request, pv_vm_end_name(a.end), a.text);
    if (pv_vm_reset(vm, &err) < 0 || pv_vm_compare(vm, &err) < 0)
        fail_msg("after %s: %s", request, err.text);
}

static struct pv_vm *clone_of(struct pv_vm_image *of)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm *vm;

    if (pv_vm_new(of, NULL, &vm, &err) < 0)
        fail_msg("clone: %s", err.text);
    return vm;
}

static struct pv_vm *clone(void)
{
    return clone_of(image);
}

static int set_up(void **state)
{
    const char *argv[] = {vm_program("channels"), NULL};
    struct pv_vm_spec spec = vm_spec(argv);
    struct pv_vm_report report;

    (void)state;
    uint64_t start = pv_now_mono_ns();
    image = make_image(&spec, &report);
    /* the program has reserved 80 TiB: page by page that is a quarter of a minute */
    return pv_now_mono_ns() - start < 8 * PV_NS_PER_S ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pv_vm_image_free(image);
    return 0;
}

static void records_hold_nothing_of_the_monitor(void **state)
{
    struct pv_vm *vm = clone();

    (void)state;
    for (int i = 0; i < 2; i++) {
        run(vm, "pl");
        assert_string_equal(a.out, "records 1, dirty bytes 0\nrecords 1, dirty bytes 0\n");
    }
    pv_vm_free(vm);
}

static void files_stay_what_they_are(void **state)
{
    struct pv_vm *vm = clone();

    (void)state;
    run(vm, "ds");
    assert_string_equal(a.out, "discard 0 content\n");
    run(vm, "dl");
    assert_string_equal(a.out, "content\n");
    pv_vm_free(vm);
}

/* Tables of few pages are kept with their VM; a VM with many is given up. Either way the next run
 * has as many as the one before. */
static void page_tables_are_there_for_every_run(void **state)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm *vm = clone();
    char first[64];

    (void)state;
    run_vm(vm, "tl", 2, NULL, 0, TIMEOUT_MS, &a);
    (void)snprintf(first, sizeof first, "%s", a.out);
    assert_true(strtol(first + strlen("mapped "), NULL, 10) > 100);
    assert_int_equal(pv_vm_reset(vm, &err), -ESTALE);
    pv_vm_free(vm);
    vm = clone();
    run(vm, "fs");
    run(vm, "fs");
    run_vm(vm, "fl", 2, NULL, 0, TIMEOUT_MS, &a);
    assert_string_equal(a.out, first);
    pv_vm_free(vm);
}

static void segments_are_set_back(void **state)
{
    struct pv_vm *vm = clone();
    char first[64];

    (void)state;
    run(vm, "gl");
    (void)snprintf(first, sizeof first, "%s", a.out);
    for (int i = 0; i < 3; i++) {
        run(vm, "gs");
        assert_string_equal(a.out, first);
    }
    pv_vm_free(vm);
}

/* KVM may finish the instruction by which the guest left at the next entry. */
static void a_run_begins_where_it_should(void **state)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm *vm = clone();

    (void)state;
    run_vm(vm, "bs", 2, NULL, 0, TIMEOUT_MS, &a);
    if (a.end == PV_VM_SIGNALED && strstr(a.text, "general protection")) {
        pv_vm_free(vm); /* no port is the program's here */
        return;
    }
    assert_int_equal(a.end, PV_VM_EXITED);
    assert_int_equal(pv_vm_reset(vm, &err), 0);
    run(vm, "bl");
    assert_string_equal(a.out, "skipped 0\n");
    pv_vm_free(vm);
}

static void clocks_are_as_exact_as_said(void **state)
{
    struct pv_vm *vm = clone();

    (void)state;
    run(vm, "rl");
    assert_string_equal(a.out, "0: 0.000000001\n1: 0.000000001\n2: 0.000000001\n"
                               "3: 0.000000001\n4: 0.000000001\n5: 0.004000000\n"
                               "6: 0.004000000\n7: 0.000000001\n8: 0.000000001\n"
                               "9: 0.000000001\n11: 0.000000001\n");
    pv_vm_free(vm);
}

#ifndef PV_SANITIZED /* sanitizers need address space of their own */
static void lose_output_of(struct pv_vm_image *of)
{
    struct rlimit before;
    struct rlimit tight;
    struct pv_vm *vm = clone_of(of);

    run(vm, "al"); /* all that a run needs besides is there now */
    assert_int_equal(a.len, 960000);
    pv_vm_free(vm);
    vm = clone_of(of);
    assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
    tight = (struct rlimit){1 << 20, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &tight), 0);
    run_vm(vm, "al", 2, NULL, 0, TIMEOUT_MS, &a);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    if (a.end != PV_VM_MEMORY || !strstr(a.text, "Cannot allocate memory"))
        fail_msg("ends by %s with %zu bytes: %s", pv_vm_end_name(a.end), a.len, a.text);
    pv_vm_free(vm);
}

/* Neither where the shim collects it nor where each write leaves the guest. */
static void lost_output_is_no_answer(void **state)
{
    const char *argv[] = {vm_program("channels"), NULL};
    struct pv_vm_spec spec = vm_spec(argv);
    struct pv_vm_report report;

    (void)state;
    assert_int_equal(mallopt(M_MMAP_THRESHOLD, 128 << 10), 1);
    lose_output_of(image);
    spec.finish = PV_VM_FINISH_NEWLINE;
    struct pv_vm_image *direct = make_image(&spec, &report);
    lose_output_of(direct);
    pv_vm_image_free(direct);
}
#endif

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_hold_nothing_of_the_monitor),
        cmocka_unit_test(files_stay_what_they_are),
        cmocka_unit_test(page_tables_are_there_for_every_run),
        cmocka_unit_test(segments_are_set_back),
        cmocka_unit_test(a_run_begins_where_it_should),
        cmocka_unit_test(clocks_are_as_exact_as_said),
#ifndef PV_SANITIZED
        cmocka_unit_test(lost_output_is_no_answer),
#endif
    };
    int rc = vm_ready(argc, argv);

    return rc ? rc : cmocka_run_group_tests(tests, set_up, tear_down);
}
