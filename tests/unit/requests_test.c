/* The supervisor's table of requests: what a role may not say is refused before anything is done.
 */
#include "hosts.h"
#include "pv/role.h"
#include "requests.h"
#include "roles.h"
#include "tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    struct pv_supervisor s;
    struct pv_role host;
    struct pv_msg m;
    struct pv_err err;
};

static void begin(struct fixture *f, uint16_t type)
{
    memset(f, 0, sizeof *f);
    f->s.phase = PV_PH_RUNNING;
    pv_state_init(&f->s.state);
    pv_role_init(&f->s.roles[PV_ROLE_AUDITOR], PV_ROLE_AUDITOR, "auditor", 0);
    pv_role_init(&f->s.roles[PV_ROLE_STITCHER], PV_ROLE_STITCHER, "stitcher", 0);
    pv_role_init(&f->s.roles[PV_ROLE_GATEWAY], PV_ROLE_GATEWAY, "gateway", 0);
    pv_role_init(&f->host, PV_ROLE_HOST, "host:f@1", 0);
    pv_msg_init(&f->m, type);
}

static int say(struct fixture *f, struct pv_role *from)
{
    int rc = pv_request_handle(&f->s, from, &f->m, &f->err);

    pv_msg_done(&f->m);
    return rc;
}

static void put_secret(struct pv_msg *m)
{
    pv_buf_u64(&m->body, 1);
    pv_buf_str(&m->body, "key");
    pv_buf_str(&m->body, "value");
}

static void test_only_the_gateway_asks_for_things(void **state)
{
    static const uint16_t asked[] = {PV_SUP_IMPORT,       PV_SUP_HOST_START,    PV_SUP_HOST_STOP,
                                     PV_SUP_SECRET_PUT,   PV_SUP_SECRET_DELETE, PV_SUP_SECRET_LIST,
                                     PV_SUP_PACKAGES_USED};
    struct fixture f;

    (void)state;
    for (unsigned i = 0; i < sizeof asked / sizeof asked[0]; i++)
        for (unsigned kind = 0; kind <= PV_ROLE_HOST; kind++) {
            if (kind == PV_ROLE_GATEWAY)
                continue;
            begin(&f, asked[i]);
            put_secret(&f.m);
            assert_int_equal(say(&f, kind == PV_ROLE_HOST ? &f.host : &f.s.roles[kind]), -EPROTO);
        }
}

static void test_only_the_auditor_reports_domains(void **state)
{
    static const uint16_t reports[] = {PV_AUDIT_DOMAIN_DONE, PV_AUDIT_TRACING, PV_AUDIT_WATCHED};
    uint8_t domain[PV_DOMAIN_ID_BYTES] = {1};
    struct fixture f;

    (void)state;
    for (unsigned i = 0; i < sizeof reports / sizeof reports[0]; i++) {
        begin(&f, reports[i]);
        pv_buf_raw(&f.m.body, domain, sizeof domain);
        assert_int_equal(say(&f, &f.host), -EPROTO);
        begin(&f, reports[i]);
        pv_buf_raw(&f.m.body, domain, sizeof domain);
        assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EPROTO);
        begin(&f, reports[i]);
        pv_buf_raw(&f.m.body, domain, sizeof domain);
        assert_int_equal(say(&f, &f.s.roles[PV_ROLE_AUDITOR]), 0); /* unknown domain: no matter */
    }
}

/* A ring must not be removed on the auditor's word while its producer lives. */
static void test_a_living_domain_is_kept(void **state)
{
    struct pv_domain d = {.name = "gateway", .id = {{7}}, .ring = -1};
    struct fixture f;

    (void)state;
    begin(&f, PV_AUDIT_DOMAIN_DONE);
    f.s.domains.head = &d;
    pv_buf_raw(&f.m.body, d.id.bytes, sizeof d.id.bytes);
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_AUDITOR]), -EPROTO);
    assert_ptr_equal(f.s.domains.head, &d);
}

/* Only a host, of itself, and once. */
static void test_a_host_seals_itself(void **state)
{
    struct pv_domain d = {.name = "host:f@1", .id = {{8}}, .ring = -1};
    struct fixture f;

    (void)state;
    begin(&f, PV_HOST_SEALED);
    pv_buf_u64(&f.m.body, 0x1234);
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EPROTO);
    begin(&f, PV_HOST_SEALED);
    pv_buf_u64(&f.m.body, 0x1234);
    f.host.domain = &d;
    assert_int_equal(say(&f, &f.host), 0);
    assert_true(d.sealed);
    assert_int_equal(d.claim, 0x1234);
    begin(&f, PV_HOST_SEALED);
    pv_buf_u64(&f.m.body, 0x99);
    f.host.domain = &d;
    assert_int_equal(say(&f, &f.host), -EPROTO);
    assert_int_equal(d.claim, 0x1234);
}

static int make_way(struct fixture *f, struct pv_host *h, enum pv_class class, const char *why)
{
    static struct pv_domain d = {.name = "host:f@1", .id = {{9}}, .ring = -1};

    begin(f, PV_HOST_UNFIT);
    pv_buf_str(&f->m.body, why);
    h->spec.class = class;
    h->role = f->host;
    h->role.domain = &d;
    f->s.hosts = h;
    return say(f, &h->role);
}

/* Only a host that may be of processes as well; once; and with a reason. */
static void test_a_host_makes_way(void **state)
{
    struct pv_host h = {.host_end = -1};
    struct fixture f;

    (void)state;
    begin(&f, PV_HOST_UNFIT);
    pv_buf_str(&f.m.body, "it can start other programs");
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EPROTO);
    assert_int_equal(make_way(&f, &h, PV_CLASS_MICROVM, "because"), -EPROTO);
    assert_int_equal(make_way(&f, &h, PV_CLASS_PROCESS, "because"), -EPROTO);
    assert_int_equal(make_way(&f, &h, PV_CLASS_AUTO, ""), -EPROTO);
    assert_false(h.makes_way);
    assert_int_equal(make_way(&f, &h, PV_CLASS_AUTO, "it can start other programs"), 0);
    assert_true(h.makes_way);
    assert_true(h.role.draining);
    assert_string_equal(h.unfit, "it can start other programs");
    /* the one that should follow cannot be started yet: nowhere for its cgroup */
    h.role.domain = NULL;
    f.s.cgroups.mode = PV_CGROUP_V2;
    for (unsigned i = 0; i < PV_CG_COUNT; i++)
        snprintf(f.s.cgroups.base[i], sizeof f.s.cgroups.base[i], "/nowhere");
    pv_host_ended(&f.s, &h, 0);
    assert_false(h.makes_way);
    assert_true(h.role.restart_at_ns != 0);
    assert_int_equal(make_way(&f, &h, PV_CLASS_AUTO, "again"), -EPROTO);
    assert_string_equal(h.unfit, "it can start other programs");
}

/* Nor one that is of processes by its deployment, nor one that is being stopped. */
static void test_some_hosts_make_no_way(void **state)
{
    struct pv_host h = {.host_end = -1};
    struct fixture f;

    (void)state;
    h.spec.prepare = PV_PREPARE_EXEC;
    assert_int_equal(make_way(&f, &h, PV_CLASS_AUTO, "because"), -EPROTO);
    h.spec.prepare = PV_PREPARE_AUTO;
    h.leaving = true;
    assert_int_equal(make_way(&f, &h, PV_CLASS_AUTO, "because"), -EPROTO);
}

static void test_malformed_messages_are_refused(void **state)
{
    static const uint16_t types[] = {PV_ROLE_READY,      PV_SUP_IMPORT,       PV_SUP_HOST_START,
                                     PV_SUP_HOST_STOP,   PV_SUP_SECRET_PUT,   PV_SUP_SECRET_DELETE,
                                     PV_SUP_SECRET_LIST, PV_SUP_PACKAGES_USED};
    struct fixture f;

    (void)state;
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        begin(&f, types[i]);
        pv_buf_u16(&f.m.body, 1);
        assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EBADMSG);
    }
    begin(&f, PV_SUP_PACKAGES_USED);
    put_secret(&f.m);
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EBADMSG);
    begin(&f, PV_SUP_PACKAGES_USED);
    pv_buf_u64(&f.m.body, 1);
    pv_buf_str(&f.m.body, "no measurement");
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EBADMSG);
    begin(&f, PV_SUP_SECRET_PUT);
    put_secret(&f.m);
    pv_buf_u8(&f.m.body, 0); /* one byte too many */
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EBADMSG);
}

static void test_oversized_fields_are_refused(void **state)
{
    static char name[PV_NAME_MAX + 2];
    static uint8_t content[PV_SECRET_MAX + 1];
    struct fixture f;

    (void)state;
    memset(name, 'a', sizeof name - 1);
    begin(&f, PV_SUP_SECRET_DELETE);
    pv_buf_u64(&f.m.body, 1);
    pv_buf_str(&f.m.body, name);
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EBADMSG);
    begin(&f, PV_SUP_SECRET_PUT);
    pv_buf_u64(&f.m.body, 1);
    pv_buf_str(&f.m.body, "key");
    pv_buf_bytes(&f.m.body, content, sizeof content);
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EBADMSG);
}

static void make_package(struct fixture *f, uint8_t first)
{
    uint8_t measurement[PV_HASH_BYTES] = {first};
    char name[2 * PV_HASH_BYTES + 1];

    pv_hex(measurement, sizeof measurement, name);
    assert_int_equal(mkdirat(f->s.state.packages, name, 0555), 0);
}

static bool has_package(const struct fixture *f, uint8_t first)
{
    uint8_t measurement[PV_HASH_BYTES] = {first};
    char name[2 * PV_HASH_BYTES + 1];

    pv_hex(measurement, sizeof measurement, name);
    return faccessat(f->s.state.packages, name, F_OK, 0) == 0;
}

static void say_used(struct fixture *f, uint8_t first)
{
    uint8_t measurement[PV_HASH_BYTES] = {first};

    pv_msg_init(&f->m, PV_SUP_PACKAGES_USED);
    pv_buf_u64(&f->m.body, 1);
    pv_buf_bytes(&f->m.body, measurement, sizeof measurement);
    assert_int_equal(say(f, &f->s.roles[PV_ROLE_GATEWAY]), 0);
}

/* Whatever the gateway says, a host's package stays, and every one while one is being imported. */
static void test_packages_in_use_stay(void **state)
{
    char path[] = "/tmp/pv-requests-XXXXXX";
    struct pv_host host = {.spec.package = {1}};
    struct pv_import import = {0};
    struct fixture f;

    (void)state;
    begin(&f, PV_SUP_PACKAGES_USED);
    pv_msg_done(&f.m);
    assert_non_null(mkdtemp(path));
    f.s.state.packages = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (uint8_t i = 1; i <= 3; i++)
        make_package(&f, i);
    f.s.hosts = &host;
    f.s.imports = &import;
    say_used(&f, 2);
    assert_true(has_package(&f, 1) && has_package(&f, 2) && has_package(&f, 3));
    f.s.imports = NULL;
    say_used(&f, 2);
    assert_true(has_package(&f, 1) && has_package(&f, 2) && !has_package(&f, 3));
    assert_true(f.s.remover > 0);
    f.s.hosts = NULL;
    say_used(&f, 2); /* not while an earlier removal runs */
    assert_true(has_package(&f, 1));
    int status = -1;
    assert_int_equal(waitpid(f.s.remover, &status, 0), f.s.remover);
    assert_int_equal(status, 0);
    (void)close(f.s.state.packages);
    assert_int_equal(pv_tree_remove(AT_FDCWD, path, &f.err), 0);
}

static void test_descriptors_are_refused(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, PV_ROLE_READY);
    pv_buf_str(&f.m.body, "ready");
    pv_msg_put_fd(&f.m, open("/dev/null", O_RDONLY | O_CLOEXEC));
    assert_int_equal(say(&f, &f.host), -EPROTO);
    assert_false(f.host.ready);
}

static void test_ready_is_said_once(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, PV_ROLE_READY);
    pv_buf_str(&f.m.body, "ready");
    assert_int_equal(say(&f, &f.host), 0);
    assert_true(f.host.ready);
    pv_msg_init(&f.m, PV_ROLE_READY);
    pv_buf_str(&f.m.body, "ready");
    assert_int_equal(say(&f, &f.host), -EPROTO);
}

static void test_the_stitcher_falls_silent_when_asked(void **state)
{
    struct pv_domain d = {.name = "stitcher", .id = {{8}}, .ring = -1};
    struct fixture f;

    (void)state;
    begin(&f, PV_STITCHER_SILENT);
    f.s.roles[PV_ROLE_STITCHER].domain = &d;
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_STITCHER]), -EPROTO);
    for (unsigned turn = 0; turn < 2; turn++) {
        pv_msg_init(&f.m, PV_STITCHER_SILENT);
        f.s.phase = PV_PH_SILENCE_STITCHER;
        assert_int_equal(say(&f, &f.s.roles[PV_ROLE_STITCHER]), turn ? -EPROTO : 0);
        assert_true(d.gone);
        assert_null(f.s.roles[PV_ROLE_STITCHER].domain);
    }
    begin(&f, PV_STITCHER_SILENT);
    f.s.phase = PV_PH_SILENCE_STITCHER;
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EPROTO);
}

static void test_nothing_new_while_stopping(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, PV_SUP_SECRET_PUT);
    f.s.phase = PV_PH_STOP_HOSTS;
    put_secret(&f.m);
    assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EPROTO);
}

static void test_unknown_types_are_refused(void **state)
{
    struct fixture f;

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        if (type == PV_ROLE_READY || (type >= PV_SUP_IMPORT && type <= PV_SUP_PACKAGES_USED))
            continue;
        begin(&f, (uint16_t)type);
        assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EPROTO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_the_gateway_asks_for_things),
        cmocka_unit_test(test_only_the_auditor_reports_domains),
        cmocka_unit_test(test_a_living_domain_is_kept),
        cmocka_unit_test(test_a_host_seals_itself),
        cmocka_unit_test(test_a_host_makes_way),
        cmocka_unit_test(test_some_hosts_make_no_way),
        cmocka_unit_test(test_malformed_messages_are_refused),
        cmocka_unit_test(test_oversized_fields_are_refused),
        cmocka_unit_test(test_packages_in_use_stay),
        cmocka_unit_test(test_descriptors_are_refused),
        cmocka_unit_test(test_ready_is_said_once),
        cmocka_unit_test(test_the_stitcher_falls_silent_when_asked),
        cmocka_unit_test(test_nothing_new_while_stopping),
        cmocka_unit_test(test_unknown_types_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
