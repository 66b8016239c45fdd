#include "pv/event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { KINDS_SEARCHED = 300 };

static void fill(struct pv_event *e, const struct pv_kind_schema *s)
{
    struct pv_call_id call = pv_call_id_new();
    pv_event_init(e, s->kind, &call);
    e->domain = pv_domain_id_new();
    e->epoch = 7;
    e->dseq = 0x0102030405060708;
    for (unsigned i = 0; i < s->n_fields; i++) {
        if (s->fields[i].type == PV_F_U64)
            pv_event_u64(e, UINT64_MAX - i);
        else if (s->fields[i].type == PV_F_TEXT)
            pv_event_text(e, s->fields[i].name);
        else
            pv_event_bytes(e, "a\0b", 3);
    }
}

static void every_kind_survives_a_round_trip(void **state)
{
    (void)state;
    unsigned kinds = 0;
    for (unsigned k = 0; k < KINDS_SEARCHED; k++) {
        const struct pv_kind_schema *s = pv_kind_schema(k);
        struct pv_err err = PV_ERR_INIT;
        struct pv_event e, back;
        pv_autobuf struct pv_buf b, again;
        pv_buf_init(&b, PV_EVENT_MAX);
        pv_buf_init(&again, PV_EVENT_MAX);
        if (!s)
            continue;
        kinds++;
        assert_ptr_equal(pv_kind_by_name(s->name), s);
        assert_true(s->n_fields <= PV_EVENT_FIELDS_MAX);
        fill(&e, s);
        assert_int_equal(pv_event_encode(&e, &b, &err), 0);
        assert_int_equal(pv_event_decode(b.data, b.len, &back, &err), 0);
        assert_int_equal(back.dseq, e.dseq);
        assert_int_equal(back.time_ns, e.time_ns);
        assert_true(pv_call_id_equal(&back.invocation, &e.invocation));
        assert_int_equal(pv_event_encode(&back, &again, &err), 0);
        assert_int_equal(again.len, b.len);
        assert_memory_equal(again.data, b.data, b.len);
        /* Not one byte less, not one more. */
        for (size_t n = 0; n < b.len; n++)
            assert_int_equal(pv_event_decode(b.data, n, &back, &err), -EBADMSG);
        pv_buf_u8(&b, 0);
        assert_int_equal(pv_event_decode(b.data, b.len, &back, &err), -EBADMSG);
    }
    assert_true(kinds > 40);
}

static void fields_are_found_by_name(void **state)
{
    (void)state;
    struct pv_event e;
    char text[8];
    pv_event_init(&e, PV_K_PROC_EXEC, NULL);
    pv_event_u64(&e, 5);
    pv_event_u64(&e, 6);
    pv_event_text(&e, "/bin/true");
    pv_event_bytes(&e, "a\0b", 3);
    assert_int_equal(pv_event_get_u64(&e, "object"), 6);
    assert_int_equal(pv_event_get_u64(&e, "no such"), 0);
    assert_null(pv_event_field(&e, "no such"));
    pv_event_get_text(&e, "argv", text, sizeof text);
    assert_string_equal(text, "a b");
    pv_event_get_text(&e, "path", text, sizeof text);
    assert_string_equal(text, "/bin/tr");
}

static void wrong_fields_are_refused(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_event e;
    pv_autobuf struct pv_buf b;
    static char big[PV_EVENT_MAX + 1];
    pv_buf_init(&b, 4 * PV_EVENT_MAX);
    pv_event_init(&e, PV_K_LIMIT, NULL);
    assert_int_equal(pv_event_encode(&e, &b, &err), -EINVAL); /* too few */
    pv_event_u64(&e, 1);
    pv_event_u64(&e, 1);
    pv_event_u64(&e, 1);
    assert_int_equal(pv_event_encode(&e, &b, &err), -EINVAL); /* a number for a text */
    for (unsigned i = 0; i < 2 * PV_EVENT_FIELDS_MAX; i++)
        pv_event_u64(&e, 1);
    assert_int_equal(pv_event_encode(&e, &b, &err), -EINVAL); /* too many */
    memset(big, 'x', sizeof big - 1);
    pv_event_init(&e, PV_K_SECRET_MOUNTED, NULL);
    pv_event_text(&e, big);
    pv_event_bytes(&e, "", 0);
    assert_int_equal(pv_event_encode(&e, &b, &err), -EMSGSIZE);
    e.kind = 9999;
    assert_int_equal(pv_event_encode(&e, &b, &err), -EINVAL);
    assert_int_equal(b.len, 0);
}

static void what_is_not_canonical_is_refused(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_event e, back;
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, PV_EVENT_MAX);
    pv_event_init(&e, PV_K_SECRET_MOUNTED, NULL);
    pv_event_text(&e, "name");
    pv_event_bytes(&e, "hash", 4);
    assert_int_equal(pv_event_encode(&e, &b, &err), 0);
    uint8_t *name = memmem(b.data, b.len, "name", 4);
    assert_non_null(name);
    name[1] = 0; /* a text with a NUL */
    assert_int_equal(pv_event_decode(b.data, b.len, &back, &err), -EBADMSG);
    name[1] = 'a';
    assert_int_equal(pv_event_decode(b.data, b.len, &back, &err), 0);
    b.data[0] = 2; /* version */
    assert_int_equal(pv_event_decode(b.data, b.len, &back, &err), -EBADMSG);
    b.data[0] = 1;
    b.data[2] = 200; /* kind */
    assert_int_equal(pv_event_decode(b.data, b.len, &back, &err), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_survives_a_round_trip),
        cmocka_unit_test(fields_are_found_by_name),
        cmocka_unit_test(wrong_fields_are_refused),
        cmocka_unit_test(what_is_not_canonical_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
