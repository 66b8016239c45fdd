#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static int parse(struct pv_config *c, const char *text, struct pv_err *err)
{
    *err = PV_ERR_INIT;
    pv_config_init(c);
    return pv_config_parse(c, text, strlen(text), err);
}

static void test_values_are_taken(void **state)
{
    struct pv_config c;
    struct pv_err err;

    (void)state;
    assert_int_equal(parse(&c,
                           "# a comment\n\n  state-dir = /srv/p v \r\nlisten=[::1]:9\n"
                           "uid-base = 200000\ncgroups = off\nbpf= off\npackage-root =/srv",
                           &err),
                     0);
    assert_string_equal(c.state_dir, "/srv/p v");
    assert_string_equal(c.listen, "[::1]:9");
    assert_int_equal(c.uid_base, 200000);
    assert_false(c.cgroups);
    assert_false(c.bpf);
    assert_string_equal(c.package_root, "/srv");
}

static void test_defaults_stay(void **state)
{
    struct pv_config c;
    struct pv_err err;

    (void)state;
    assert_int_equal(parse(&c, "", &err), 0);
    assert_string_equal(c.state_dir, "/var/lib/provost");
    assert_string_equal(c.listen, "127.0.0.1:8080");
    assert_int_equal(c.uid_base, 1879100000u);
    assert_true(c.cgroups && c.bpf && c.audit);
}

static void test_faults_are_named(void **state)
{
    static const struct {
        const char *text, *line, *name;
    } cases[] = {
        {"listen = 127.0.0.1:1\nstat-dir = /x\n", "line 2", "stat-dir"},
        {"x = y\n", "line 1",
         "state-dir, libexec-dir, package-root, listen, uid-base, cgroups, bpf"},
        {"state-dir = x\n", "line 1", "state-dir"},
        {"\n\nnonsense\n", "line 3", "nonsense"},
        {"bpf = on\nbpf = on\n", "line 2", "twice"},
        {"uid-base = 12x\n", "line 1", "uid-base"},
        {"uid-base = 4294967290\n", "line 1", "uid-base"},
        {"uid-base = -1\n", "line 1", "uid-base"},
        {"uid-base = 0\n", "line 1", "uid-base"},
        {"cgroups = maybe\n", "line 1", "cgroups"},
        {"listen = 8080\n", "line 1", "listen"},
        {"audit = off\n", "line 1", "audit"}, /* no configuration may switch the audit off */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pv_config c;
        struct pv_err err;

        assert_int_equal(parse(&c, cases[i].text, &err), -EINVAL);
        if (!strstr(err.text, cases[i].line) || !strstr(err.text, cases[i].name))
            fail_msg("'%s' does not name %s and %s", err.text, cases[i].line, cases[i].name);
    }
}

static void test_nul_bytes_are_refused(void **state)
{
    struct pv_config c;
    struct pv_err err = PV_ERR_INIT;

    (void)state;
    pv_config_init(&c);
    assert_int_equal(pv_config_parse(&c, "bpf = off\0\n", 11, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_are_taken),
        cmocka_unit_test(test_defaults_stay),
        cmocka_unit_test(test_faults_are_named),
        cmocka_unit_test(test_nul_bytes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
