/* Threads of one process that use its slots at once take no descriptor for another object, and
 * leave no first use without its edge. */
#include "reduction_race.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { SEEDS = 1000, ROUNDS = 2000 };

static void test_in_turns(void **state)
{
    struct race_result result = {0};

    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        race_sound(seed, &result);
        if (result.wrong || result.missing)
            fail_msg("order %llu: %u wrong objects, %u edges missing", (unsigned long long)seed,
                     result.wrong, result.missing);
    }
}

/* A fault put back must be found, or the test above proves nothing. */
static struct race_result found(const char *what, race_in_turns_fn *faulty)
{
    struct race_result result = {0};

    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        faulty(seed, &result);
        if (result.wrong || result.missing) {
            printf("%s: found by order %llu\n", what, (unsigned long long)seed);
            break;
        }
    }
    return result;
}

static void test_faults_are_found(void **state)
{
    struct race_result result;

    (void)state;
    result = found("learning while others do", race_learning);
    assert_true(result.wrong > 0 || result.missing > 0);
    result = found("marks without the object", race_unmarked);
    assert_true(result.missing > 0);
}

static void test_freely(void **state)
{
    struct race_result result = {0};

    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* as in the kernel, plain loads and stores are what they race with */
#endif
    race_freely(ROUNDS, &result);
    assert_int_equal(result.wrong, 0);
    assert_int_equal(result.missing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_turns),
        cmocka_unit_test(test_faults_are_found),
        cmocka_unit_test(test_freely),
    };

    return cmocka_run_group_tests_name("reduction race", tests, NULL, NULL);
}
