/* The supervisor's table of requests: what a role may not say is refused before anything is done.
 */
#include "pv/role.h"
#include "requests.h"
#include "roles.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

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
    static const uint16_t asked[] = {PV_SUP_IMPORT,     PV_SUP_HOST_START,    PV_SUP_HOST_STOP,
                                     PV_SUP_SECRET_PUT, PV_SUP_SECRET_DELETE, PV_SUP_SECRET_LIST};
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
    static const uint16_t reports[] = {PV_AUDIT_DOMAIN_DONE, PV_AUDIT_TRACING};
    uint8_t domain[PV_DOMAIN_ID_BYTES] = {1};
    struct fixture f;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
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

static void test_malformed_messages_are_refused(void **state)
{
    static const uint16_t types[] = {PV_ROLE_READY,     PV_SUP_IMPORT,     PV_SUP_HOST_START,
                                     PV_SUP_HOST_STOP,  PV_SUP_SECRET_PUT, PV_SUP_SECRET_DELETE,
                                     PV_SUP_SECRET_LIST};
    struct fixture f;

    (void)state;
    for (unsigned i = 0; i < sizeof types / sizeof types[0]; i++) {
        begin(&f, types[i]);
        pv_buf_u16(&f.m.body, 1);
        assert_int_equal(say(&f, &f.s.roles[PV_ROLE_GATEWAY]), -EBADMSG);
    }
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
        if (type == PV_ROLE_READY || (type >= PV_SUP_IMPORT && type <= PV_SUP_SECRET_LIST))
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
        cmocka_unit_test(test_malformed_messages_are_refused),
        cmocka_unit_test(test_oversized_fields_are_refused),
        cmocka_unit_test(test_descriptors_are_refused),
        cmocka_unit_test(test_ready_is_said_once),
        cmocka_unit_test(test_the_stitcher_falls_silent_when_asked),
        cmocka_unit_test(test_nothing_new_while_stopping),
        cmocka_unit_test(test_unknown_types_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
