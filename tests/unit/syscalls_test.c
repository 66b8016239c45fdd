/* The table of system calls against the kernel's headers. */
#include "pv/bpf_syscalls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct call {
    unsigned number;
    const char *name;
};
struct entry {
    unsigned class;
    unsigned number;
    const char *name;
};

static const struct call kernel_64[] = {
#include "calls_64.inc"
};
static const struct call kernel_32[] = {
#include "calls_32.inc"
};
#define ENTRY(class, number, name) {PV_SC_##class, number, #name},
static const struct entry table[] = {PV_SYSCALLS(ENTRY)};
#define COMPAT(number, name) {number, #name},
static const struct call compat[] = {PV_COMPAT_CALLS(COMPAT)};

enum {
    N_64 = sizeof kernel_64 / sizeof kernel_64[0],
    N_32 = sizeof kernel_32 / sizeof kernel_32[0],
    N_TABLE = sizeof table / sizeof table[0],
    N_COMPAT = sizeof compat / sizeof compat[0],
};

static const struct entry *by_name(const char *name)
{
    for (size_t i = 0; i < N_TABLE; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static const char *name_32(unsigned number)
{
    for (size_t i = 0; i < N_32; i++)
        if (kernel_32[i].number == number)
            return kernel_32[i].name;
    return NULL;
}

static void test_every_call_of_the_kernel_has_a_class(void **state)
{
    (void)state;
    assert_true(N_64 > 300);
    for (size_t i = 0; i < N_64; i++) {
        const struct entry *e = by_name(kernel_64[i].name);

        if (!e)
            fail_msg("the kernel's headers have %s (%u), the table has not: give it a class in "
                     "bpf/include/pv/bpf_syscalls.h",
                     kernel_64[i].name, kernel_64[i].number);
        assert_int_equal(e->number, kernel_64[i].number);
    }
}

static void test_every_call_has_one_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_TABLE; i++) {
        assert_in_range(table[i].number, 0, PV_SYSCALL_NUMBERS - 1);
        assert_in_range(table[i].class, PV_SC_UNKNOWN + 1, PV_SC_CLASSES - 1);
        for (size_t k = 0; k < i; k++)
            if (table[k].number == table[i].number || strcmp(table[k].name, table[i].name) == 0)
                fail_msg("%s and %s share a number or name", table[k].name, table[i].name);
    }
}

/* Equal names must be translated to each other where the call is recorded at all. */
static void test_compat_numbers(void **state)
{
    static const struct call renamed[] = {
        {192, "mmap"}, /* mmap2 */
        {239, "sendfile"}, {193, "truncate"},     {194, "ftruncate"},       {412, "utimensat"},
        {417, "recvmmsg"}, {418, "mq_timedsend"}, {419, "mq_timedreceive"},
    };

    (void)state;
    assert_true(N_32 > 300);
    for (size_t i = 0; i < N_COMPAT; i++) {
        const char *name = name_32(compat[i].number);
        size_t n = strlen(compat[i].name);

        assert_non_null(by_name(compat[i].name));
        bool same = name && strncmp(name, compat[i].name, n) == 0 &&
                    (name[n] == 0 || strcmp(name + n, "32") == 0);
        for (size_t k = 0; k < sizeof renamed / sizeof renamed[0]; k++)
            same |= renamed[k].number == compat[i].number &&
                    strcmp(renamed[k].name, compat[i].name) == 0;
        if (!same)
            fail_msg("i386 call %u is %s, not %s", compat[i].number, name ? name : "none",
                     compat[i].name);
    }
}

static bool in_compat(unsigned number)
{
    for (size_t i = 0; i < N_COMPAT; i++)
        if (compat[i].number == number)
            return true;
    return false;
}

static void test_compat_is_complete(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_32; i++) {
        const struct entry *e = by_name(kernel_32[i].name);

        /* old_mmap has its arguments in memory; its effect on data comes with later calls */
        if (!e || strcmp(e->name, "mmap") == 0 || in_compat(kernel_32[i].number))
            continue;
        if (e->class == PV_SC_DATA_IN || e->class == PV_SC_DATA_OUT || e->class == PV_SC_COPY ||
            e->class == PV_SC_OPEN || e->class == PV_SC_NAME || e->class == PV_SC_INTERFERE)
            fail_msg("i386 call %s (%u) is not translated", kernel_32[i].name, kernel_32[i].number);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_of_the_kernel_has_a_class),
        cmocka_unit_test(test_every_call_has_one_class),
        cmocka_unit_test(test_compat_numbers),
        cmocka_unit_test(test_compat_is_complete),
    };

    return cmocka_run_group_tests_name("syscalls", tests, NULL, NULL);
}
