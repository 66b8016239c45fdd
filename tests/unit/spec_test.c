/* The deployment specification: canonical bytes and bounds. */
#include "pv/host.h"
#include "pv/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void fill(struct pv_spec *s)
{
    pv_spec_init(s);
    strncpy(s->name, "resize", sizeof s->name - 1);
    memset(s->package, 7, sizeof s->package);
    assert_int_equal(pv_str_list_add(&s->argv, "/function/run", PV_ARGV_MAX, NULL), 0);
    assert_int_equal(pv_str_list_add(&s->argv, "-v", PV_ARGV_MAX, NULL), 0);
    assert_int_equal(pv_str_list_add(&s->env, "MODE=fast", PV_ENV_MAX, NULL), 0);
    assert_int_equal(pv_str_list_add(&s->secrets, "key", PV_GRANTS_MAX, NULL), 0);
    assert_int_equal(pv_str_list_add(&s->calls, "publish", PV_GRANTS_MAX, NULL), 0);
    assert_int_equal(pv_str_list_add(&s->egress, "example.org:443", PV_GRANTS_MAX, NULL), 0);
    assert_int_equal(pv_str_list_add(&s->egress, "[::1]:80", PV_GRANTS_MAX, NULL), 0);
    assert_int_equal(pv_str_list_add(&s->labels, "team=photos", PV_GRANTS_MAX, NULL), 0);
    s->cgi = true;
    s->audit = PV_AUDIT_SYNC;
    s->loss = PV_LOSS_DROP;
    s->class = PV_CLASS_MICROVM;
    s->finish = PV_FINISH_LENGTH;
}

static void round_trip(void **state)
{
    pv_autobuf struct pv_buf a, b;
    struct pv_spec s, t;
    struct pv_err err = PV_ERR_INIT;

    (void)state;
    fill(&s);
    pv_buf_init(&a, PV_SPEC_MAX);
    pv_buf_init(&b, PV_SPEC_MAX);
    assert_int_equal(pv_spec_encode(&s, &a, &err), 0);
    assert_int_equal(pv_spec_decode(a.data, a.len, &t, &err), 0);
    assert_int_equal(pv_spec_encode(&t, &b, &err), 0);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.data, b.data, a.len);
    assert_string_equal(t.argv.v[1], "-v");
    assert_true(t.cgi);
    assert_int_equal(t.loss, PV_LOSS_DROP);
    assert_int_equal(t.class, PV_CLASS_MICROVM);
    assert_int_equal(t.finish, PV_FINISH_LENGTH);
    assert_true(pv_str_list_has(&t.calls, "publish"));
    assert_false(pv_str_list_has(&t.calls, "upload"));
    pv_spec_done(&s);
    pv_spec_done(&t);
}

static void every_truncation_is_refused(void **state)
{
    pv_autobuf struct pv_buf a;
    struct pv_spec s, t;
    struct pv_err err = PV_ERR_INIT;

    (void)state;
    fill(&s);
    pv_buf_init(&a, PV_SPEC_MAX);
    assert_int_equal(pv_spec_encode(&s, &a, &err), 0);
    for (size_t n = 0; n < a.len; n++)
        assert_true(pv_spec_decode(a.data, n, &t, &err) < 0);
    pv_buf_u8(&a, 0);
    assert_true(pv_spec_decode(a.data, a.len, &t, &err) < 0);
    pv_spec_done(&s);
}

/* Each case spoils one field; the error must name the option. */
static void bad_values_are_named(void **state)
{
    struct pv_spec s;
    struct pv_err err;

    (void)state;
#define REFUSED(change, word)                                                                      \
    do {                                                                                           \
        fill(&s);                                                                                  \
        err = PV_ERR_INIT;                                                                         \
        change;                                                                                    \
        assert_int_equal(pv_spec_check(&s, &err), -EINVAL);                                        \
        assert_non_null(strstr(err.text, word));                                                   \
        pv_spec_done(&s);                                                                          \
    } while (0)
    REFUSED(s.name[0] = 'R', "name");
    REFUSED(s.name[0] = '-', "name");
    REFUSED(s.argv.v[0][0] = 'x', "command");
    REFUSED(memcpy(s.argv.v[0], "/../../bin/sh", 13), "command");
    REFUSED(s.env.v[0][0] = '=', "env");
    REFUSED(s.secrets.v[0][0] = '.', "secret");
    REFUSED(assert_int_equal(pv_str_list_add(&s.secrets, "key", PV_GRANTS_MAX, NULL), 0), "twice");
    REFUSED(s.calls.v[0][0] = '/', "allow-call");
    REFUSED(s.egress.v[0][11] = 'x', "allow-egress");
    REFUSED(s.memory_bytes = 0, "memory");
    REFUSED(s.timeout_ms = 0, "timeout");
    REFUSED(s.output_bytes = PV_RESPONSE_MAX + 1, "output");
    REFUSED(s.processes = 0, "processes");
    REFUSED(s.prepared = s.concurrency + 1, "prepared");
    REFUSED(s.concurrency = 0, "concurrency");
#undef REFUSED
}

static void names(void **state)
{
    char longest[PV_NAME_MAX + 2];

    (void)state;
    memset(longest, 'a', sizeof longest);
    longest[PV_NAME_MAX] = 0;
    assert_true(pv_name_ok(longest));
    longest[PV_NAME_MAX] = 'a';
    longest[PV_NAME_MAX + 1] = 0;
    assert_false(pv_name_ok(longest));
    assert_true(pv_name_ok("a"));
    assert_true(pv_name_ok("fetch-image2"));
    assert_false(pv_name_ok(""));
    assert_false(pv_name_ok("a-"));
    assert_false(pv_name_ok("a_b"));
    assert_false(pv_name_ok("../x"));
}

static void outcomes_have_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PV_OUT_MAX; i++)
        assert_string_not_equal(pv_outcome_name(i), "unknown");
    assert_string_equal(pv_outcome_name(PV_OUT_MAX), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),           cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(bad_values_are_named), cmocka_unit_test(names),
        cmocka_unit_test(outcomes_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
