#include "graph_fixture.h"
#include "log_fixture.h"

#include "pv/graph_follow.h"
#include "pv/note.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

static struct story story;

/* Stitches with a commit every `batch` entries; with restart, each batch in a new process' shoes,
 * and some entries more that are lost with it. */
static void stitch(char db[64], const char *name, size_t batch, bool restart)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_stitch *s = NULL;
    (void)snprintf(db, 64, "%s/%s.db", graph_dir, name);
    must(pv_stitch_open(&s, db, &err), &err);
    for (size_t i = 0; i < story.n; i++) {
        must(pv_stitch_entry(s, i, story.v[i].bytes, story.v[i].len, &err), &err);
        if ((i + 1) % batch != 0)
            continue;
        must(pv_stitch_commit(s, &err), &err);
        if (!restart)
            continue;
        for (size_t k = i + 1; k < i + 4 && k < story.n; k++)
            must(pv_stitch_entry(s, k, story.v[k].bytes, story.v[k].len, &err), &err);
        pv_stitch_close(s);
        must(pv_stitch_open(&s, db, &err), &err);
        assert_int_equal(pv_stitch_next_seq(s), i + 1);
    }
    must(pv_stitch_commit(s, &err), &err);
    pv_stitch_close(s);
}

static void batches_and_restarts_change_nothing(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    for (int order = STORY_BY_TIME; order <= STORY_NO_WITNESS; order++) {
        uint8_t whole[PV_HASH_BYTES], parts[PV_HASH_BYTES], broken[PV_HASH_BYTES];
        char db[64], name[32];
        story_tell(&story, (enum story_order)order);
        (void)snprintf(name, sizeof name, "whole%d", order);
        stitch(db, name, 100000, false);
        must(pv_graph_digest(db, whole, &err), &err);
        (void)snprintf(name, sizeof name, "parts%d", order);
        stitch(db, name, 7, false);
        must(pv_graph_digest(db, parts, &err), &err);
        (void)snprintf(name, sizeof name, "broken%d", order);
        stitch(db, name, 5, true);
        must(pv_graph_digest(db, broken, &err), &err);
        assert_memory_equal(whole, parts, sizeof whole);
        assert_memory_equal(whole, broken, sizeof whole);
    }
}

/* When this fails, stitching gives other rows than before: raise PV_GRAPH_FORMAT
 * (graph/src/schema.h) so that no graph is continued by other rules than it was begun with, and
 * note the new digest. */
static void rows_are_those_of_this_format(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    uint8_t digest[PV_HASH_BYTES];
    char db[64], hex[2 * PV_HASH_BYTES + 1];
    story_tell(&story, STORY_BY_TIME);
    stitch(db, "golden", 1000, false);
    must(pv_graph_digest(db, digest, &err), &err);
    pv_hex(digest, sizeof digest, hex);
    assert_string_equal(hex, "4c622b13f89dc2c3385baffd92297fbbd9972cbbba829d26eec916e2d6153cca");
}

/* Number of rows that the query counts in a story's graph. */
static int count(const char *db, const char *sql)
{
    sqlite3 *q = NULL;
    sqlite3_stmt *st = NULL;
    assert_int_equal(sqlite3_open(db, &q), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(q, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int n = sqlite3_column_int(st, 0);
    (void)sqlite3_finalize(st);
    (void)sqlite3_close(q);
    return n;
}

/* Also of what one function asked another: the call's event comes before the request's. */
static void payloads_have_their_functions_name(void **state)
{
    (void)state;
    for (int order = STORY_BY_TIME; order <= STORY_NO_WITNESS; order++) {
        char db[64], name[32];
        story_tell(&story, (enum story_order)order);
        (void)snprintf(name, sizeof name, "names%d", order);
        stitch(db, name, 1000, false);
        assert_true(count(db, "SELECT count(*) FROM inv WHERE caller > 0") > 0);
        assert_int_equal(count(db, "SELECT count(*) FROM obj o JOIN inv i ON i.id = o.inv"
                                   " WHERE o.id IN (i.request, i.response) AND"
                                   " o.name <> i.function"),
                         0);
    }
}

static void is_acyclic(void **state)
{
    (void)state;
    for (int order = STORY_BY_TIME; order <= STORY_NO_WITNESS; order++) {
        char db[64], name[32];
        story_tell(&story, (enum story_order)order);
        (void)snprintf(name, sizeof name, "cycle%d", order);
        stitch(db, name, 1000, false);
        assert_int_equal(count(db, "WITH RECURSIVE r(a, b) AS (SELECT src, dst FROM edge UNION"
                                   " SELECT r.a, e.dst FROM r JOIN edge e ON e.src = r.b)"
                                   " SELECT count(*) FROM r WHERE a = b"),
                         0);
    }
}

static void tampering_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        enum pv_graph_verdict verdict;
        const char *table;
    } cases[] = {
        {"UPDATE event SET entry = X'00' || substr(entry, 2) WHERE seq = 17", PV_GRAPH_BAD_EVENT,
         "event"},
        {"UPDATE event SET time_ns = time_ns + 1 WHERE seq = 17", PV_GRAPH_BAD_EVENT, "event"},
        {"DELETE FROM event WHERE seq = 17", PV_GRAPH_BAD_EVENT, "event"},
        {"DELETE FROM edge WHERE src = (SELECT max(src) FROM edge)", PV_GRAPH_BAD_DERIVED, "edge"},
        /* an index entry without a row */
        {"INSERT INTO edge VALUES(1, 1, 1, 1); PRAGMA writable_schema = 1;"
         "CREATE TABLE t AS SELECT * FROM sqlite_master WHERE name = 'rev';"
         "DELETE FROM sqlite_master WHERE name = 'rev'; PRAGMA writable_schema = RESET;"
         "DELETE FROM edge WHERE src = 1 AND dst = 1; PRAGMA writable_schema = 1;"
         "INSERT INTO sqlite_master SELECT * FROM t; DROP TABLE t",
         PV_GRAPH_BAD_DERIVED, "rev"},
        {"UPDATE revision SET version = version + 1 WHERE id = (SELECT max(id) FROM revision)",
         PV_GRAPH_BAD_DERIVED, "revision"},
        {"UPDATE event SET back = back + 1 WHERE seq = 17", PV_GRAPH_BAD_EVENT, "event"},
        {"UPDATE inv SET unit_frozen = 2 WHERE id = 1", PV_GRAPH_BAD_DERIVED, "inv"},
        {"UPDATE obj SET flags = 1 WHERE id = 5", PV_GRAPH_BAD_DERIVED, "obj"},
        {"UPDATE str SET text = 'x' WHERE id = 9", PV_GRAPH_BAD_DERIVED, "str"},
        {"INSERT INTO checkpoint VALUES(99999, X'00', 'x', X'00')", PV_GRAPH_BAD_CHECKPOINT,
         "checkpoint"},
    };
    story_tell(&story, STORY_BY_TIME);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct pv_err err = PV_ERR_INIT;
        struct pv_graph_check check;
        char db[64], name[32];
        sqlite3 *q = NULL;
        (void)snprintf(name, sizeof name, "tamper%zu", i);
        stitch(db, name, 1000, false);
        must(pv_graph_verify(db, -1, NULL, &check, &err), &err);
        assert_int_equal(check.verdict, PV_GRAPH_OK);
        assert_int_equal(check.events, story.n);
        assert_int_equal(sqlite3_open(db, &q), SQLITE_OK);
        assert_int_equal(sqlite3_exec(q, cases[i].sql, NULL, NULL, NULL), SQLITE_OK);
        (void)sqlite3_close(q);
        must(pv_graph_verify(db, -1, NULL, &check, &err), &err);
        assert_int_equal(check.verdict, cases[i].verdict);
        assert_string_equal(check.table, cases[i].table);
    }
}

static void a_foreign_file_is_refused(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_stitch *s = NULL;
    char name[64];
    (void)snprintf(name, sizeof name, "%s/garbage.db", graph_dir);
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    for (int i = 0; i < 5000; i++)
        (void)fputc(i * 7 & 0xff, f);
    (void)fclose(f);
    struct pv_graph_check check;
    assert_int_equal(pv_stitch_open(&s, name, &err), -EILSEQ);
    must(pv_graph_verify(name, -1, NULL, &check, &err), &err);
    assert_int_equal(check.verdict, PV_GRAPH_UNREADABLE);
}

static void follow_all(struct pv_stitch *s, int log_fd)
{
    struct pv_err err = PV_ERR_INIT;
    PV_CLEANUP(pv_follow_close) struct pv_follow *f = NULL;
    int n;
    must(pv_follow_open(&f, s, log_fd, &err), &err);
    while ((n = pv_follow_step(f, 10, &err)) > 0)
        must(pv_stitch_commit(s, &err), &err);
    must(n, &err);
    must(pv_stitch_commit(s, &err), &err);
}

static void a_followed_log_equals_its_rebuild(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct log_fixture log;
    struct pv_stitch *s = NULL;
    struct pv_graph_check check;
    uint8_t followed[PV_HASH_BYTES], rebuilt[PV_HASH_BYTES];
    char db[64];
    (void)snprintf(db, sizeof db, "%s/follow.db", graph_dir);
    fixture_init(&log);
    fixture_open(&log);
    fixture_append(&log, 25);
    fixture_commit(&log);
    must(pv_stitch_open(&s, db, &err), &err);
    follow_all(s, log.log_fd);
    fixture_append(&log, 8);
    fixture_commit(&log);
    follow_all(s, log.log_fd);
    assert_int_equal(pv_stitch_next_seq(s), 33);
    pv_stitch_close(s);
    must(pv_graph_verify(db, log.log_fd, NULL, &check, &err), &err);
    assert_int_equal(check.verdict, PV_GRAPH_OK);
    assert_true(check.checkpoints >= 2);
    must(pv_graph_digest(db, followed, &err), &err);
    must(pv_graph_rebuild(db, log.log_fd, NULL, NULL, &err), &err);
    must(pv_graph_digest(db, rebuilt, &err), &err);
    assert_memory_equal(followed, rebuilt, sizeof followed);

    /* Another log's graph is told apart. */
    struct log_fixture other;
    fixture_init(&other);
    fixture_open(&other);
    fixture_append(&other, 33);
    fixture_commit(&other);
    must(pv_graph_verify(db, other.log_fd, NULL, &check, &err), &err);
    assert_int_equal(check.verdict, PV_GRAPH_NOT_THE_LOG);
    fixture_close(&other);
    fixture_done(&other);
    fixture_close(&log);
    fixture_done(&log);
}

static void read_key(const struct log_fixture *log, struct pv_note_key *ret)
{
    char text[200];
    struct pv_err err = PV_ERR_INIT;
    int fd = openat(log->key_fd, "log.pub", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text);
    assert_true(n > 0);
    must(pv_note_key_parse(text, (size_t)n, ret, &err), &err);
    (void)close(fd);
}

static void checkpoints_must_be_signed(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct log_fixture log;
    struct pv_stitch *s = NULL;
    struct pv_graph_check check;
    struct pv_note_key key;
    sqlite3 *q = NULL;
    char db[64];
    (void)snprintf(db, sizeof db, "%s/signed.db", graph_dir);
    fixture_init(&log);
    fixture_open(&log);
    fixture_append(&log, 25);
    fixture_commit(&log);
    read_key(&log, &key);
    must(pv_stitch_open(&s, db, &err), &err);
    follow_all(s, log.log_fd);
    pv_stitch_close(s);
    must(pv_graph_verify(db, -1, &key, &check, &err), &err);
    assert_int_equal(check.verdict, PV_GRAPH_OK);
    assert_true(check.checkpoints >= 1);
    assert_int_equal(sqlite3_open(db, &q), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(q,
                     "UPDATE checkpoint SET note = replace(note, substr(note, -10, 1), "
                     "CASE substr(note, -10, 1) WHEN 'B' THEN 'C' ELSE 'B' END)",
                     NULL, NULL, NULL),
        SQLITE_OK);
    (void)sqlite3_close(q);
    must(pv_graph_verify(db, -1, &key, &check, &err), &err);
    assert_int_equal(check.verdict, PV_GRAPH_BAD_CHECKPOINT);
    fixture_close(&log);
    fixture_done(&log);
}

/* A log that lost what the graph has seen, and has grown again since. */
static void another_log_is_not_followed(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct log_fixture log, other;
    struct pv_stitch *s = NULL;
    struct pv_follow *f = NULL;
    char db[64];
    (void)snprintf(db, sizeof db, "%s/grown.db", graph_dir);
    fixture_init(&log);
    fixture_open(&log);
    fixture_append(&log, 25);
    fixture_commit(&log);
    fixture_init(&other);
    fixture_open(&other);
    fixture_append(&other, 40);
    fixture_commit(&other);
    must(pv_stitch_open(&s, db, &err), &err);
    follow_all(s, log.log_fd);
    assert_int_equal(pv_follow_open(&f, s, other.log_fd, &err), -ESTALE);
    must(pv_follow_open(&f, s, log.log_fd, &err), &err);
    pv_follow_close(f);
    pv_stitch_close(s);
    fixture_close(&other);
    fixture_done(&other);
    fixture_close(&log);
    fixture_done(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_and_restarts_change_nothing),
        cmocka_unit_test(rows_are_those_of_this_format),
        cmocka_unit_test(checkpoints_must_be_signed),
        cmocka_unit_test(another_log_is_not_followed),
        cmocka_unit_test(payloads_have_their_functions_name),
        cmocka_unit_test(is_acyclic),
        cmocka_unit_test(tampering_is_named),
        cmocka_unit_test(a_foreign_file_is_refused),
        cmocka_unit_test(a_followed_log_equals_its_rebuild),
    };
    return cmocka_run_group_tests(tests, graph_dir_make, graph_dir_remove);
}
