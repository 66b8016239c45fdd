/* Proofs against the published vectors, and the log's tiles against a tree made the slow way. */
#include "log_fixture.h"

#include "pv/io.h"
#include "pv/proof.h"
#include "pv/tile.h"
#include "pv/verify.h"

#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct log_fixture f;

static int setup(void **state)
{
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_done(&f);
    return 0;
}

/* A hash of another length than 32 can be no hash of a proof: such a vector is refused here. */
static bool hash_of(const json_t *text, uint8_t out[PV_HASH_BYTES])
{
    size_t n = 0;
    return json_is_string(text) &&
           sodium_base642bin(out, PV_HASH_BYTES, json_string_value(text), json_string_length(text),
                             NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           n == PV_HASH_BYTES;
}

/* Where only equality counts, some vectors have a few words in place of a root. */
static bool root_of(const json_t *text, uint8_t out[PV_HASH_BYTES])
{
    if (hash_of(text, out))
        return true;
    pv_sha256(json_string_value(text), json_string_length(text), out);
    return json_is_string(text);
}

static bool proof_of(const json_t *v, struct pv_proof *ret)
{
    const json_t *all = json_object_get(v, "proof"), *one;
    size_t i;
    ret->n = 0;
    if (json_array_size(all) > PV_PROOF_MAX)
        return false;
    json_array_foreach(all, i, one)
    {
        if (!hash_of(one, ret->hash[ret->n++]))
            return false;
    }
    return true;
}

static uint64_t number(const json_t *v, const char *key)
{
    const char *text = json_string_value(json_object_get(v, key));
    assert_non_null(text);
    return strtoull(text, NULL, 10);
}

static bool accepts_inclusion(const json_t *v)
{
    uint8_t leaf[PV_HASH_BYTES], root[PV_HASH_BYTES];
    struct pv_proof p;
    return hash_of(json_object_get(v, "leafHash"), leaf) &&
           root_of(json_object_get(v, "root"), root) && proof_of(v, &p) &&
           pv_proof_includes(&p, number(v, "leafIdx"), number(v, "treeSize"), leaf, root);
}

static bool accepts_consistency(const json_t *v)
{
    uint8_t a[PV_HASH_BYTES], b[PV_HASH_BYTES];
    struct pv_proof p;
    return root_of(json_object_get(v, "root1"), a) && root_of(json_object_get(v, "root2"), b) &&
           proof_of(v, &p) &&
           pv_proof_is_consistent(&p, number(v, "size1"), a, number(v, "size2"), b);
}

static void try_vectors(const char *path, bool (*accepts)(const json_t *v), size_t expected)
{
    json_error_t why;
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, &why), *v;
    size_t i, accepted = 0;
    if (!all)
        fail_msg("%s: %s", path, why.text);
    json_array_foreach(all, i, v)
    {
        bool want = !json_is_true(json_object_get(v, "wantErr"));
        if (accepts(v) != want)
            fail_msg("%s: %s", json_string_value(json_object_get(v, "name")),
                     want ? "refused" : "accepted");
        accepted += want;
    }
    assert_int_equal(i, expected);
    assert_true(accepted > 0);
    json_decref(all);
}

static void published_vectors_agree(void **state)
{
    (void)state;
    try_vectors(VECTORS "/merkle-inclusion.json", accepts_inclusion, 98);
    try_vectors(VECTORS "/merkle-consistency.json", accepts_consistency, 98);
}

static void paths_are_those_of_the_specification(void **state)
{
    (void)state;
    char path[PV_TILE_PATH_MAX];
    pv_tile_path(0, 1234067, PV_TILE_WIDTH, path);
    assert_string_equal(path, "tile/0/x001/x234/067");
    pv_tile_path(3, 999, 1, path);
    assert_string_equal(path, "tile/3/999.p/1");
    pv_tile_path(PV_TILE_ENTRIES, 1000, 255, path);
    assert_string_equal(path, "tile/entries/x001/000.p/255");
}

enum { MANY = 70000, STEP = 500 };

static void fill(unsigned n)
{
    while (n) {
        unsigned some = n < STEP ? n : STEP;
        fixture_append(&f, some);
        fixture_commit(&f);
        n -= some;
    }
}

static void check_tree(uint64_t size, const uint8_t (*leaves)[PV_HASH_BYTES])
{
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    struct pv_err err = PV_ERR_INIT;
    struct pv_frontier tree = {.size = 0};
    struct pv_proof p;
    uint8_t root[PV_HASH_BYTES], want[PV_HASH_BYTES];
    static uint8_t older[MANY + 1][PV_HASH_BYTES];
    for (uint64_t i = 0; i < size; i++) {
        pv_frontier_root(&tree, older[i]);
        pv_frontier_add(&tree, leaves[i]);
    }
    pv_frontier_root(&tree, want);
    assert_int_equal(pv_tree_reader_open(&r, f.log_fd, size, &err), 0);
    assert_int_equal(pv_tree_root(r, root, &err), 0);
    assert_memory_equal(root, want, sizeof root);
    for (uint64_t i = 0; i < size; i += 1 + size / 97) {
        assert_int_equal(pv_tree_inclusion(r, i, &p, &err), 0);
        assert_true(pv_proof_includes(&p, i, size, leaves[i], root));
        assert_false(pv_proof_includes(&p, i + 1, size, leaves[i], root));
        if (i == 0)
            continue;
        assert_int_equal(pv_tree_consistency(r, i, &p, &err), 0);
        assert_true(pv_proof_is_consistent(&p, i, older[i], size, root));
        older[i][7] ^= 1;
        assert_false(pv_proof_is_consistent(&p, i, older[i], size, root));
        older[i][7] ^= 1;
    }
}

static void read_leaves(uint8_t (*out)[PV_HASH_BYTES], uint64_t n)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_err err = PV_ERR_INIT;
    assert_int_equal(pv_log_reader_open(&r, f.log_fd, 0, &err), 0);
    for (uint64_t i = 0; i < n; i++) {
        struct pv_log_entry e;
        assert_int_equal(pv_log_reader_next(r, &e, &err), 1);
        pv_leaf_hash(e.bytes, e.len, out[i]);
    }
}

static uint64_t size_of(const char *path)
{
    struct stat st;
    return fstatat(f.log_fd, path, &st, 0) == 0 ? (uint64_t)st.st_size : UINT64_MAX;
}

static void expect_verdict(enum pv_verdict v, uint64_t seq)
{
    struct pv_verify_result res;
    struct pv_err err = PV_ERR_INIT;
    const struct pv_verify_options opt = {.key = pv_log_key(f.log)};
    if (pv_verify_log(f.log_fd, &opt, &res, &err) < 0)
        fail_msg("%s", err.text);
    if (res.verdict != v)
        fail_msg("%s: %s", pv_verdict_name(res.verdict), res.text);
    assert_int_equal(res.first_bad_seq, seq);
}

/* The example of the specification: 70,000 entries. The journal keeps only what is young, and all
 * of the log can still be read, checked, proven and continued. */
static void a_large_log_stands_in_tiles(void **state)
{
    (void)state;
    static uint8_t leaves[MANY + 300][PV_HASH_BYTES];
    fill(MANY);
    assert_int_equal(size_of("tile/0/272"), PV_TILE_BYTES);
    assert_int_equal(size_of("tile/0/273.p/112"), 112 * PV_HASH_BYTES);
    assert_int_equal(size_of("tile/1/000"), PV_TILE_BYTES);
    assert_int_equal(size_of("tile/1/001.p/17"), 17 * PV_HASH_BYTES);
    assert_int_equal(size_of("tile/2/000.p/1"), PV_HASH_BYTES);
    assert_int_equal(size_of("tile/0/272.p/1"), UINT64_MAX);
    assert_int_equal(size_of("journal/000000"), UINT64_MAX);
    assert_true(size_of("journal/000004") != UINT64_MAX);
    read_leaves(leaves, MANY);
    check_tree(MANY, (const uint8_t(*)[PV_HASH_BYTES])leaves);
    check_tree(65536, (const uint8_t(*)[PV_HASH_BYTES])leaves);
    check_tree(777, (const uint8_t(*)[PV_HASH_BYTES])leaves);
    expect_verdict(PV_VERDICT_OK, 0);
    fixture_close(&f);
    fixture_open(&f);
    fill(300);
    expect_verdict(PV_VERDICT_OK, 0);
    read_leaves(leaves, MANY + 300);
}

static void flip(const char *path, off_t at)
{
    uint8_t byte;
    int fd = openat(f.log_fd, path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void an_altered_tile_is_named(void **state)
{
    (void)state;
    fill(1000);
    expect_verdict(PV_VERDICT_OK, 0);
    static const struct {
        const char *path;
        uint64_t seq;
    } files[] = {{"tile/0/001", 256},
                 {"tile/entries/002", 767},
                 {"tile/0/003.p/232", 999},
                 {"tile/1/000.p/3", 999},
                 {"tile/entries/003.p/232", 999}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        flip(files[i].path, 20);
        expect_verdict(PV_VERDICT_BAD_TILE, files[i].seq);
        flip(files[i].path, 20);
    }
    expect_verdict(PV_VERDICT_OK, 0);
}

/* Tiles are synced late: a power failure may leave any of them torn while the journal has all. */
static void torn_tiles_are_made_again(void **state)
{
    (void)state;
    static const char *const files[] = {"tile/0/001", "tile/entries/001", "tile/entries/000"};
    fill(1000);
    fixture_close(&f);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int fd = openat(f.log_fd, files[i], O_RDWR);
        assert_int_equal(ftruncate(fd, 100), 0);
        close(fd);
    }
    assert_int_equal(unlinkat(f.log_fd, "tile/0/002", 0), 0);
    fixture_open(&f);
    fill(1);
    expect_verdict(PV_VERDICT_OK, 0);
    assert_int_equal(size_of("tile/0/002"), PV_TILE_BYTES);
}

static void a_proof_is_written_and_read(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_tlog_proof p = {.index = 42, .checkpoint = (const uint8_t *)"note\n"}, q;
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, 1 << 16);
    p.checkpoint_len = 5;
    p.path.n = 3;
    memset(p.path.hash, 7, sizeof p.path.hash);
    assert_int_equal(pv_tlog_proof_print(&p, &text, &err), 0);
    assert_int_equal(pv_tlog_proof_parse(text.data, text.len, &q, &err), 0);
    assert_int_equal(q.index, 42);
    assert_int_equal(q.path.n, 3);
    assert_memory_equal(q.path.hash, p.path.hash, 3 * PV_HASH_BYTES);
    assert_int_equal(q.checkpoint_len, 5);
    static const char with_extra[] = "c2sp.org/tlog-proof@v1\nextra YQ==\nindex 0\n\nx\n";
    assert_int_equal(pv_tlog_proof_parse(with_extra, sizeof with_extra - 1, &q, &err), 0);
    static const char *const bad[] = {
        "c2sp.org/tlog-proof@v2\nindex 0\n\nx\n",  "c2sp.org/tlog-proof@v1\nindex 00\n\nx\n",
        "c2sp.org/tlog-proof@v1\nindex -1\n\nx\n", "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nx\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n\n",     "c2sp.org/tlog-proof@v1\n\nx\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n",       ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(pv_tlog_proof_parse(bad[i], strlen(bad[i]), &q, &err), -EBADMSG);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_agree),
        cmocka_unit_test(paths_are_those_of_the_specification),
        CASE(a_large_log_stands_in_tiles),
        CASE(an_altered_tile_is_named),
        CASE(torn_tiles_are_made_again),
        CASE(a_proof_is_written_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
