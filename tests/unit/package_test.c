#include "package.h"
#include "pv/id.h"
#include "pv/own.h"
#include "pv/ratchet.h"
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
#include <unistd.h>

struct fixture {
    char path[64]; /* holds src and store */
    int top, src, store;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct pv_err err = PV_ERR_INIT;

    if (!f || pv_crypto_init(&err) < 0)
        return -1;
    snprintf(f->path, sizeof f->path, "/tmp/pv-package-XXXXXX");
    if (!mkdtemp(f->path))
        return -1;
    f->top = open(f->path, O_RDONLY | O_DIRECTORY);
    if (mkdirat(f->top, "src", 0755) != 0 || mkdirat(f->top, "store", 0755) != 0)
        return -1;
    f->src = openat(f->top, "src", O_RDONLY | O_DIRECTORY);
    f->store = openat(f->top, "store", O_RDONLY | O_DIRECTORY);
    *state = f;
    return f->src < 0 || f->store < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct pv_err err = PV_ERR_INIT;
    int rc = pv_tree_remove(AT_FDCWD, f->path, &err);

    (void)close(f->src);
    (void)close(f->store);
    (void)close(f->top);
    free(f);
    return rc;
}

static void put(int dir, const char *name, const char *text, mode_t mode)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

static int import(struct fixture *f, const char *name, struct pv_package *p, struct pv_err *err)
{
    char path[256];

    *err = PV_ERR_INIT;
    snprintf(path, sizeof path, "%s/%s", f->path, name);
    return pv_package_import(f->store, &(struct pv_package_source){.root = "/", .path = path}, p,
                             err);
}

static void hex_of(const struct pv_package *p, char out[2 * PV_MEASUREMENT_BYTES + 1])
{
    pv_hex(p->measurement, PV_MEASUREMENT_BYTES, out);
}

static void assert_store_is_clean(struct fixture *f)
{
    DIR *list = pv_tree_list(f->store);

    assert_non_null(list);
    for (struct dirent *e; (e = readdir(list));)
        if (strncmp(e->d_name, ".import", 7) == 0)
            fail_msg("'%s' was left in the store", e->d_name);
    (void)closedir(list);
}

/* Computed by hand from docs/formats/package.md, so that the format cannot drift unseen. */
static void test_single_file_measurement(void **state)
{
    struct fixture *f = *state;
    struct pv_package p;
    struct pv_err err;
    uint8_t file[2 + 2 + 8] = {1, 1, 'h', 'i', 0, 0, 0, 0, 0, 0, 0, 2};
    uint8_t dir[1 + 4 + 4 + 4 + 1 + 32] = {3, 0, 0, 0, 1, 0, 0, 0, 4, 'e', 'c', 'h', 'o', 1};
    uint8_t expected[PV_HASH_BYTES];
    char hex[2 * PV_MEASUREMENT_BYTES + 1], inside[128];
    struct stat st;

    put(f->src, "echo", "hi", 0755);
    assert_int_equal(import(f, "src/echo", &p, &err), 0);
    pv_sha256(file, sizeof file, dir + sizeof dir - 32);
    pv_sha256(dir, sizeof dir, expected);
    assert_memory_equal(p.measurement, expected, sizeof expected);
    assert_string_equal(p.command, "/function/echo");
    assert_string_equal(p.kind, "file");
    hex_of(&p, hex);
    snprintf(inside, sizeof inside, "%s/echo", hex);
    assert_int_equal(fstatat(f->store, inside, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0555);
    assert_int_equal(fstatat(f->store, hex, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0555);
    assert_store_is_clean(f);
}

static void test_import_is_idempotent(void **state)
{
    struct fixture *f = *state;
    struct pv_package a, b;
    struct pv_err err;

    put(f->src, "handler", "x", 0755);
    assert_int_equal(import(f, "src", &a, &err), 0);
    assert_int_equal(import(f, "src", &b, &err), 0);
    assert_memory_equal(a.measurement, b.measurement, sizeof a.measurement);
    assert_store_is_clean(f);
}

static int open_stored(const struct fixture *f, const struct pv_package *p)
{
    char name[2 * PV_MEASUREMENT_BYTES + 1];
    int fd;

    hex_of(p, name);
    fd = openat(f->store, name, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    return fd;
}

static void change(int stored, unsigned how)
{
    switch (how) {
    case 0:
        put(stored, "handler", "evil", 0555);
        break;
    case 1:
        put(stored, "handler", "x", 0444);
        break;
    case 2:
        put(stored, "more", "", 0444);
        break;
    case 3:
        assert_int_equal(unlinkat(stored, "handler", 0), 0);
        break;
    case 4:
        assert_int_equal(unlinkat(stored, "link", 0), 0);
        assert_int_equal(symlinkat("link", stored, "link"), 0);
        break;
    default:
        assert_int_equal(mkfifoat(stored, "fifo", 0666), 0);
    }
}

/* What is stored under a name is looked at again: a changed copy is noticed, and replaced. */
static void test_changed_packages_are_replaced(void **state)
{
    struct fixture *f = *state;
    struct pv_package p;
    struct pv_err err;

    put(f->src, "handler", "x", 0755);
    assert_int_equal(symlinkat("handler", f->src, "link"), 0);
    assert_int_equal(mkdirat(f->src, "empty", 0755), 0);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_false(p.mended);
    for (unsigned how = 0; how < 6; how++) {
        int stored = open_stored(f, &p);

        assert_int_equal(pv_package_check(stored, p.measurement, &err), 0);
        change(stored, how);
        assert_int_equal(pv_package_check(stored, p.measurement, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "changed after it was stored"));
        (void)close(stored);
        assert_int_equal(import(f, "src", &p, &err), 0);
        assert_true(p.mended);
        assert_store_is_clean(f);
    }
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_false(p.mended);
}

/* Everything that a function could notice changes the measurement; other mode bits do not. */
static void test_what_the_measurement_covers(void **state)
{
    struct fixture *f = *state;
    struct pv_package base, p;
    struct pv_err err;

    put(f->src, "handler", "x", 0755);
    assert_int_equal(symlinkat("handler", f->src, "link"), 0);
    assert_int_equal(import(f, "src", &base, &err), 0);
    put(f->src, "handler", "x", 04711);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_memory_equal(p.measurement, base.measurement, sizeof p.measurement);
    put(f->src, "handler", "x", 0644);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_memory_not_equal(p.measurement, base.measurement, sizeof p.measurement);
    put(f->src, "handler", "y", 0755);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_memory_not_equal(p.measurement, base.measurement, sizeof p.measurement);
    put(f->src, "handler", "x", 0755);
    assert_int_equal(renameat(f->src, "link", f->src, "knil"), 0);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_memory_not_equal(p.measurement, base.measurement, sizeof p.measurement);
    assert_int_equal(mkdirat(f->src, "empty", 0755), 0);
    assert_int_equal(renameat(f->src, "knil", f->src, "link"), 0);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_memory_not_equal(p.measurement, base.measurement, sizeof p.measurement);
}

static void assert_refused(struct fixture *f, const char *why)
{
    struct pv_package p;
    struct pv_err err;

    assert_true(import(f, "src", &p, &err) < 0);
    if (!strstr(err.text, why))
        fail_msg("'%s' does not say '%s'", err.text, why);
    assert_store_is_clean(f);
}

static void test_links_out_are_refused(void **state)
{
    static const char *const targets[] = {"/etc/shadow", "../x", "sub/../../x", ".."};
    struct fixture *f = *state;

    for (unsigned i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        assert_int_equal(symlinkat(targets[i], f->src, "link"), 0);
        assert_refused(f, "leads out of the package");
        assert_int_equal(unlinkat(f->src, "link", 0), 0);
    }
    assert_int_equal(mkdirat(f->src, "sub", 0755), 0);
    assert_int_equal(symlinkat("../handler", f->src, "sub/link"), 0);
    put(f->src, "handler", "x", 0755);
    struct pv_package p;
    struct pv_err err;
    assert_int_equal(import(f, "src", &p, &err), 0);
}

static void test_special_files_are_refused(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkfifoat(f->src, "pipe", 0644), 0);
    assert_refused(f, "'pipe' is neither file");
}

static void test_depth_is_bounded(void **state)
{
    struct fixture *f = *state;
    int at = dup(f->src);

    for (int i = 0; i < 40; i++) {
        int next;

        assert_int_equal(mkdirat(at, "d", 0755), 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY);
        assert_true(next >= 0);
        (void)close(at);
        at = next;
    }
    (void)close(at);
    assert_refused(f, "nested deeper");
}

static void test_default_commands(void **state)
{
    struct fixture *f = *state;
    struct pv_package p;
    struct pv_err err;

    put(f->src, "readme", "x", 0644);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_string_equal(p.command, "");
    assert_non_null(strstr(p.hint, "--"));
    put(f->src, "handler.py", "x", 0755);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_string_equal(p.command, "/function/handler.py");
    put(f->src, "handler.sh", "x", 0755);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_string_equal(p.command, "");
    put(f->src, "handler", "x", 0755);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_string_equal(p.command, "/function/handler");
    assert_int_equal(import(f, "src/readme", &p, &err), 0);
    assert_string_equal(p.command, "");
    assert_non_null(strstr(p.hint, "chmod +x"));
}

static void test_package_root_confines(void **state)
{
    struct fixture *f = *state;
    struct pv_package p;
    struct pv_err err = PV_ERR_INIT;
    char root[128], path[256];

    put(f->src, "handler", "x", 0755);
    put(f->top, "outside", "x", 0755);
    assert_int_equal(symlinkat("../outside", f->src, "way-out"), 0);
    snprintf(root, sizeof root, "%s/src", f->path);
    snprintf(path, sizeof path, "%s/handler", root);
    assert_int_equal(pv_package_import(f->store,
                                       &(struct pv_package_source){.root = root, .path = path}, &p,
                                       &err),
                     0);
    snprintf(path, sizeof path, "%s/outside", f->path);
    assert_int_equal(pv_package_import(f->store,
                                       &(struct pv_package_source){.root = root, .path = path}, &p,
                                       &err),
                     -EPERM);
    snprintf(path, sizeof path, "%s/../outside", root);
    assert_true(pv_package_import(f->store, &(struct pv_package_source){.root = root, .path = path},
                                  &p, &err) < 0);
    snprintf(path, sizeof path, "%s/way-out", root);
    assert_true(pv_package_import(f->store, &(struct pv_package_source){.root = root, .path = path},
                                  &p, &err) < 0);
}

static bool is_the_one(const void *ctx, const uint8_t measurement[PV_MEASUREMENT_BYTES])
{
    return memcmp(ctx, measurement, PV_MEASUREMENT_BYTES) == 0;
}

static bool stored(struct fixture *f, const struct pv_package *p)
{
    char hex[2 * PV_MEASUREMENT_BYTES + 1];

    hex_of(p, hex);
    return faccessat(f->store, hex, F_OK, 0) == 0;
}

static unsigned hidden_entries(struct fixture *f)
{
    DIR *list = pv_tree_list(f->store);
    unsigned n = 0;

    assert_non_null(list);
    for (struct dirent *e; (e = readdir(list));)
        n += e->d_name[0] == '.' && strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    (void)closedir(list);
    return n;
}

static void test_only_unused_packages_go(void **state)
{
    struct fixture *f = *state;
    struct pv_package kept, unused;
    struct pv_err err;
    unsigned n = 7;

    assert_int_equal(mkdirat(f->src, "sub", 0755), 0);
    put(f->src, "handler", "x", 0755);
    put(f->src, "sub/data", "x", 0644);
    assert_int_equal(import(f, "src", &unused, &err), 0);
    put(f->src, "handler", "y", 0755);
    assert_int_equal(import(f, "src", &kept, &err), 0);
    assert_int_equal(mkdirat(f->store, "foreign", 0755), 0);
    assert_int_equal(pv_package_set_unused_aside(f->store, is_the_one, kept.measurement, &n, &err),
                     0);
    assert_int_equal(n, 1);
    assert_true(stored(f, &kept));
    assert_false(stored(f, &unused));
    /* The same package may come back before the old one is gone. */
    put(f->src, "handler", "x", 0755);
    assert_int_equal(import(f, "src", &unused, &err), 0);
    assert_int_equal(hidden_entries(f), 1);
    assert_int_equal(pv_package_remove_unused(f->store, &err), 0);
    assert_int_equal(hidden_entries(f), 0);
    assert_true(stored(f, &kept) && stored(f, &unused));
    assert_int_equal(faccessat(f->store, "foreign", F_OK, 0), 0);
}

/* More entries than are synced one by one. */
static void test_large_packages_are_stored(void **state)
{
    struct fixture *f = *state;
    struct pv_package p;
    struct pv_err err;
    char name[16];

    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "f%u", i);
        put(f->src, name, name, 0644);
    }
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_true(stored(f, &p));
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_int_equal(hidden_entries(f), 0);
}

static void test_sweep_removes_half_imports(void **state)
{
    struct fixture *f = *state;
    struct pv_err err = PV_ERR_INIT;

    assert_int_equal(mkdirat(f->store, ".import-dead", 0555), 0);
    assert_int_equal(mkdirat(f->store, ".unused-dead", 0555), 0);
    assert_int_equal(mkdirat(f->store, "kept", 0555), 0);
    assert_int_equal(pv_package_sweep(f->store, &err), 0);
    assert_int_equal(hidden_entries(f), 0);
    assert_int_equal(faccessat(f->store, "kept", F_OK, 0), 0);
}

#define WITH_TREE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* What a compromised gateway would ask for first: the log's key. */
static void test_the_state_directory_is_no_package(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"src/state", "src/state/key", "src", "src/way"};
    char path[256], closed[256];
    struct pv_package p;

    assert_int_equal(mkdirat(f->src, "state", 0755), 0);
    assert_int_equal(mkdirat(f->src, "stated", 0755), 0);
    assert_int_equal(symlinkat("state", f->src, "way"), 0);
    put(f->src, "state/key", "secret", 0600);
    put(f->src, "stated/handler", "x", 0755);
    snprintf(closed, sizeof closed, "%s/src/state", f->path);
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct pv_err err = PV_ERR_INIT;

        snprintf(path, sizeof path, "%s/%s", f->path, names[i]);
        assert_int_equal(
            pv_package_import(
                f->store, &(struct pv_package_source){.root = "/", .path = path, .closed = closed},
                &p, &err),
            -EPERM);
    }
    struct pv_err err = PV_ERR_INIT;
    snprintf(path, sizeof path, "%s/src/stated", f->path);
    assert_int_equal(
        pv_package_import(f->store,
                          &(struct pv_package_source){.root = "/", .path = path, .closed = closed},
                          &p, &err),
        0);
    assert_store_is_clean(f);
}

/* Each link alone looks harmless; together they would leave the package. */
static void test_links_do_not_escape_together(void **state)
{
    struct fixture *f = *state;
    struct pv_package p;
    struct pv_err err;

    assert_int_equal(mkdirat(f->src, "a", 0755), 0);
    assert_int_equal(mkdirat(f->src, "a/b", 0755), 0);
    assert_int_equal(symlinkat("..", f->src, "a/b/up"), 0);
    put(f->src, "handler", "x", 0755);
    assert_int_equal(import(f, "src", &p, &err), 0);
    assert_int_equal(symlinkat("a/b/up/../..", f->src, "out"), 0);
    assert_int_equal(import(f, "src", &p, &err), -EINVAL);
    assert_non_null(strstr(err.text, "'out'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TREE(test_links_do_not_escape_together),
        WITH_TREE(test_the_state_directory_is_no_package),
        WITH_TREE(test_single_file_measurement),
        WITH_TREE(test_import_is_idempotent),
        WITH_TREE(test_changed_packages_are_replaced),
        WITH_TREE(test_what_the_measurement_covers),
        WITH_TREE(test_links_out_are_refused),
        WITH_TREE(test_special_files_are_refused),
        WITH_TREE(test_depth_is_bounded),
        WITH_TREE(test_default_commands),
        WITH_TREE(test_package_root_confines),
        WITH_TREE(test_sweep_removes_half_imports),
        WITH_TREE(test_only_unused_packages_go),
        WITH_TREE(test_large_packages_are_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
