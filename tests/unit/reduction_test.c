/* No dependency is lost by reduction, and none is invented: for random traces of several processes
 * with several threads, everything that was really moved is reachable in the records, and what is
 * reachable in the reduced records is reachable in all records, and the other way round. Where
 * objects share a cell, the reduced may tell more.
 * PV_REDUCTION_TRACES says how many (CI: 100000). */
#include "reduction_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t traces(void)
{
    const char *text = getenv("PV_REDUCTION_TRACES");

    return text ? strtoull(text, NULL, 10) : 100000;
}

/* Bits that were really moved and are not told of. */
static uint32_t missing(const struct model_result *r)
{
    uint32_t lost = 0;

    for (unsigned i = 0; i < MODEL_ENTITIES; i++)
        lost |= r->real[i] & ~r->told[i];
    return lost;
}

static void test_nothing_is_lost(void **state)
{
    struct model_result all, reduced, shared;
    uint64_t n_all = 0, n_reduced = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= traces(); seed++) {
        reduction_raw(seed, &all);
        reduction_sound(seed, &reduced);
        reduction_shared(seed, &shared);
        n_all += all.records;
        n_reduced += reduced.records;
        if (missing(&all) || missing(&reduced) || missing(&shared))
            fail_msg("trace %llu: a dependency is missing (%x unreduced, %x reduced, %x with "
                     "shared cells)",
                     (unsigned long long)seed, missing(&all), missing(&reduced), missing(&shared));
        for (unsigned i = 0; i < MODEL_ENTITIES; i++)
            if (all.told[i] != reduced.told[i] || all.told[i] & ~shared.told[i])
                fail_msg("trace %llu: entity %u derives from %x by all records, from %x by the "
                         "reduced, from %x with shared cells",
                         (unsigned long long)seed, i, all.told[i], reduced.told[i], shared.told[i]);
    }
    printf("%llu traces: %llu records reduced to %llu\n", (unsigned long long)traces(),
           (unsigned long long)n_all, (unsigned long long)n_reduced);
    assert_true(n_reduced < n_all);
}

enum sign { LOSES, TELLS_LESS };

/* A fault put back must be found, or the test above proves nothing: by what is missing, or where
 * only a known limit hides that, by what all records tell. */
static void finds(const char *what, model_run_fn *faulty, enum sign sign)
{
    struct model_result r, all;

    for (uint64_t seed = 1; seed <= 20000; seed++) {
        faulty(seed, &r);
        reduction_raw(seed, &all);
        if (sign == LOSES ? !missing(&r) : memcmp(r.told, all.told, sizeof r.told) == 0)
            continue;
        printf("%s: found by trace %llu\n", what, (unsigned long long)seed);
        return;
    }
    fail_msg("%s was not found", what);
}

static void test_faults_are_found(void **state)
{
    (void)state;
    finds("versions per thread", reduction_per_thread, LOSES);
    finds("reads without the object's version", reduction_no_object, LOSES);
    finds("calls under way forgotten", reduction_no_flights, LOSES);
    finds("a descriptor believed to be what it was", reduction_stale_hint, LOSES);
    finds("a write from a mapping counted only", reduction_no_exit, TELLS_LESS);
    finds("several threads taken for one", reduction_crossed, LOSES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost),
        cmocka_unit_test(test_faults_are_found),
    };

    return cmocka_run_group_tests_name("reduction", tests, NULL, NULL);
}
