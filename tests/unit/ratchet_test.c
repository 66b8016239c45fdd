#include "pv/ratchet.h"

#include "pv/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void expect_hex(const uint8_t digest[32], const char *hex)
{
    char text[65];
    pv_hex(digest, 32, text);
    assert_string_equal(text, hex);
}

/* Expected values computed with Python's hmac and hashlib. */
static void tags_follow_the_definition(void **state)
{
    (void)state;
    uint8_t seed[32], out[32], again[32];
    struct pv_ratchet r;
    char ten[110 + 1] = "";
    for (unsigned i = 0; i < sizeof seed; i++)
        seed[i] = (uint8_t)i;
    for (unsigned i = 0; i < 10; i++)
        memcpy(ten + 11 * i, "event bytes", 12);
    pv_ratchet_init(&r, seed);
    pv_ratchet_commitment(&r, out);
    expect_hex(out, "74e576914dea887526f45f81b57fd670d3ddbd1b1a04cf9c6559208ac1cd378e");
    pv_ratchet_tag(&r, "event bytes", 11, out);
    expect_hex(out, "2c86405e3e58ad709b18491e7a48843d9506cbcca4a59742998fa3537cd62472");
    assert_int_equal(r.index, 1);
    assert_memory_not_equal(r.key, seed, 32);
    pv_ratchet_tag(&r, ten, 110, out);
    expect_hex(out, "585d28816c1eab54f4e2bd0681f861963ed53094993df369f012eb1d17396c1c");
    pv_ratchet_next_commitment(&r, out);
    expect_hex(out, "1fccec50a54c2e36c24c6b3712079ab3986b12e16d325c9c4e7c1b696b1f0fcc");
    pv_ratchet_next_epoch(&r);
    pv_ratchet_commitment(&r, again);
    assert_memory_equal(again, out, 32);
    assert_int_equal(r.epoch, 1);
    assert_int_equal(r.first, 2);
    pv_ratchet_tag(&r, "event bytes", 11, out);
    expect_hex(out, "bf5cc1387b5d51a0b1f7ecc044da581584a06b0da8abefdce12709c583faa515");
    pv_ratchet_done(&r);
    memset(out, 0, sizeof out);
    assert_memory_equal(r.key, out, 32);
}

/* A disclosed key gives the tags of its epoch, and says nothing of the next. */
static void a_disclosed_key_follows_its_epoch(void **state)
{
    (void)state;
    const uint8_t seed[32] = {7};
    uint8_t start[32], want[32], got[32];
    struct pv_ratchet r, again;
    pv_ratchet_init(&r, seed);
    pv_ratchet_next_epoch(&r);
    memcpy(start, r.key, sizeof start);
    pv_ratchet_of_epoch(&again, 1, 0, start);
    for (unsigned i = 0; i < 5; i++) {
        pv_ratchet_tag(&r, "x", 1, want);
        pv_ratchet_tag(&again, "x", 1, got);
        assert_memory_equal(want, got, 32);
    }
    pv_ratchet_next_epoch(&r);
    pv_ratchet_next_epoch(&again);
    assert_memory_not_equal(r.key, again.key, 32);
}

static void a_hasher_takes_pieces_and_starts_over(void **state)
{
    (void)state;
    struct pv_hasher *h;
    struct pv_err err = PV_ERR_INIT;
    uint8_t whole[32], pieces[32];
    assert_int_equal(pv_hasher_new(&h, &err), 0);
    for (unsigned round = 0; round < 2; round++) {
        pv_sha256("abcdef", 6, whole);
        pv_hasher_update(h, "ab", 2);
        pv_hasher_update(h, "", 0);
        pv_hasher_update(h, "cdef", 4);
        pv_hasher_final(h, pieces);
        assert_memory_equal(whole, pieces, 32);
        pv_sha256_pair("abc", 3, "def", 3, pieces);
        assert_memory_equal(whole, pieces, 32);
    }
    pv_hasher_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_follow_the_definition),
        cmocka_unit_test(a_disclosed_key_follows_its_epoch),
        cmocka_unit_test(a_hasher_takes_pieces_and_starts_over),
    };
    struct pv_err err = PV_ERR_INIT;
    if (pv_crypto_init(&err) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
