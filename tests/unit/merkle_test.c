#include "pv/checkpoint.h"
#include "pv/id.h"
#include "pv/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Leaves and roots of the Certificate Transparency reference implementation's tests. */
static const struct {
    const char *leaf;
    size_t len;
    const char *root;
} steps[] = {
    {"", 0, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {"\x00", 1, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"\x10", 1, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {"\x20\x21", 2, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"\x30\x31", 2, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {"\x40\x41\x42\x43", 4, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {"\x50\x51\x52\x53\x54\x55\x56\x57", 8,
     "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16,
     "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

static void roots_are_those_of_rfc6962(void **state)
{
    (void)state;
    struct pv_frontier f = {0};
    uint8_t hash[32];
    char hex[65];
    pv_frontier_root(&f, hash);
    pv_hex(hash, 32, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        pv_leaf_hash(steps[i].leaf, steps[i].len, hash);
        pv_frontier_add(&f, hash);
        pv_frontier_root(&f, hash);
        pv_hex(hash, 32, hex);
        assert_string_equal(hex, steps[i].root);
    }
}

/* At every size, the subtree that the last leaf completes is the one over those leaves alone. */
static void subtrees_are_given_as_they_fill(void **state)
{
    (void)state;
    enum { HEIGHT = 3, LEAVES = 1 << (HEIGHT + 3) };
    struct pv_frontier all = {0}, alone = {0}, plain = {0};
    uint8_t leaf[32], got[32], want[32];
    for (unsigned i = 0; i < LEAVES; i++) {
        uint8_t text = (uint8_t)i;
        memset(got, 0, sizeof got);
        memset(want, 0, sizeof want);
        pv_leaf_hash(&text, 1, leaf);
        pv_frontier_add_above(&all, leaf, HEIGHT, got);
        pv_frontier_add(&alone, leaf);
        pv_frontier_add(&plain, leaf);
        if (alone.size == 1u << HEIGHT) {
            pv_frontier_root(&alone, want);
            alone.size = 0;
        }
        assert_memory_equal(got, want, sizeof got);
    }
    assert_int_equal(all.size, LEAVES);
    pv_frontier_root(&all, got);
    pv_frontier_root(&plain, want);
    assert_memory_equal(got, want, sizeof got);
}

/* The example of Go's golang.org/x/mod/sumdb/note documentation. */
static const char go_key[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
static const char go_note[] =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "\xe2\x80\x94 PeterNeumann "
    "x08go/ZJkuBS9UG/"
    "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

static void a_foreign_note_verifies(void **state)
{
    (void)state;
    struct pv_note_key key;
    struct pv_err err = PV_ERR_INIT;
    const char *text;
    size_t len;
    char changed[sizeof go_note];
    assert_int_equal(pv_note_key_parse(go_key, strlen(go_key), &key, &err), 0);
    assert_int_equal(pv_note_open(&key, go_note, strlen(go_note), &text, &len, &err), 0);
    assert_int_equal(len, strlen("If you think cryptography is the answer to your problem,\n"
                                 "then you don't know what your problem is.\n"));
    for (size_t i = 0; i < sizeof go_note - 1; i++) {
        memcpy(changed, go_note, sizeof changed);
        changed[i] ^= 1;
        assert_true(pv_note_open(&key, changed, strlen(go_note), &text, &len, &err) < 0);
        assert_true(pv_note_open(&key, go_note, i, &text, &len, &err) < 0);
    }
}

static void checkpoints_sign_size_and_root(void **state)
{
    (void)state;
    uint8_t seed[32] = {7}, other_seed[32] = {8}, root[32];
    struct pv_note_signer s, other;
    struct pv_checkpoint c;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf note, key_text;
    struct pv_note_key parsed;
    pv_buf_init(&note, PV_NOTE_MAX);
    pv_buf_init(&key_text, PV_NOTE_MAX);
    memset(root, 0xab, sizeof root);
    assert_int_equal(pv_note_signer_init(&s, "provost/0011", seed, &err), 0);
    assert_int_equal(pv_note_signer_init(&other, "provost/0011", other_seed, &err), 0);
    pv_note_key_print(&s.key, &key_text);
    assert_int_equal(pv_note_key_parse((char *)key_text.data, key_text.len, &parsed, &err), 0);
    assert_memory_equal(&parsed, &s.key, sizeof parsed);
    assert_int_equal(pv_checkpoint_sign(&s, NULL, 12345, root, &note, &err), 0);
    assert_int_equal(pv_checkpoint_open(&parsed, note.data, note.len, &c, &err), 0);
    assert_int_equal(c.size, 12345);
    assert_string_equal(c.origin, "provost/0011");
    assert_memory_equal(c.root, root, 32);
    assert_int_equal(pv_checkpoint_open(&other.key, note.data, note.len, &c, &err), -ENOKEY);
    note.data[strlen("provost/0011\n")] = '9';
    assert_int_equal(pv_checkpoint_open(&parsed, note.data, note.len, &c, &err), -EKEYREJECTED);
    assert_int_equal(pv_note_signer_init(&other, "a b", seed, &err), -EINVAL);
    assert_int_equal(pv_note_signer_init(&other, "", seed, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roots_are_those_of_rfc6962),
        cmocka_unit_test(subtrees_are_given_as_they_fill),
        cmocka_unit_test(a_foreign_note_verifies),
        cmocka_unit_test(checkpoints_sign_size_and_root),
    };
    struct pv_err err = PV_ERR_INIT;
    if (pv_crypto_init(&err) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
