#include "log_fixture.h"

#include "pv/verify.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
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

static struct pv_log_recovery reopen(void)
{
    struct pv_log_recovery found;
    struct pv_err err = PV_ERR_INIT;
    fixture_close(&f);
    if (pv_log_open(&f.log, f.log_fd, f.key_fd, NULL, NULL, &found, &err) < 0)
        fail_msg("%s", err.text);
    return found;
}

static void expect_refusal(const char *part)
{
    struct pv_log_recovery found;
    struct pv_err err = PV_ERR_INIT;
    fixture_close(&f);
    assert_true(pv_log_open(&f.log, f.log_fd, f.key_fd, NULL, NULL, &found, &err) < 0);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
}

static void entries_are_read_back(void **state)
{
    (void)state;
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_err err = PV_ERR_INIT;
    struct pv_log_entry entry;
    struct pv_event e;
    fixture_append(&f, 100);
    fixture_commit(&f);
    assert_int_equal(pv_log_reader_open(&r, f.log_fd, 40, &err), 0);
    for (uint64_t seq = 40; seq < 100; seq++) {
        assert_int_equal(pv_log_reader_next(r, &entry, &err), 1);
        assert_int_equal(entry.seq, seq);
        assert_int_equal(pv_event_decode(entry.event, entry.event_len, &e, &err), 0);
        assert_int_equal(e.dseq, seq / 2);
    }
    assert_int_equal(pv_log_reader_next(r, &entry, &err), 0);
    fixture_append(&f, 1);
    assert_int_equal(pv_log_reader_next(r, &entry, &err), 0); /* only in memory */
    assert_int_equal(pv_log_write(f.log, &err), 0);
    assert_int_equal(pv_log_reader_next(r, &entry, &err), 1); /* the reader follows */
    pv_log_reader_free(r);
    r = NULL;
    assert_int_equal(pv_log_reader_open(&r, f.log_fd, 102, &err), -ESTALE);
}

static void segments_follow_one_another(void **state)
{
    (void)state;
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_err err = PV_ERR_INIT;
    struct pv_log_entry entry;
    fixture_append(&f, PV_LOG_SEGMENT_ENTRIES + 10);
    fixture_commit(&f);
    struct pv_log_recovery found = reopen();
    assert_int_equal(found.size, PV_LOG_SEGMENT_ENTRIES + 10);
    assert_int_equal(found.rebuilt_leaves, 0);
    fixture_append(&f, 10);
    fixture_commit(&f);
    assert_int_equal(pv_log_reader_open(&r, f.log_fd, PV_LOG_SEGMENT_ENTRIES - 1, &err), 0);
    for (unsigned i = 0; i < 21; i++)
        assert_int_equal(pv_log_reader_next(r, &entry, &err), 1);
    assert_int_equal(pv_log_reader_next(r, &entry, &err), 0);
}

static void a_clean_log_opens_as_it_was(void **state)
{
    (void)state;
    uint8_t before[32], after[32];
    fixture_append(&f, 77);
    fixture_commit(&f);
    pv_log_root(f.log, before);
    struct pv_log_recovery found = reopen();
    pv_log_root(f.log, after);
    assert_memory_equal(before, after, 32);
    assert_int_equal(found.size, 77);
    assert_int_equal(found.checkpointed_size, 77);
    assert_int_equal(found.discarded_bytes, 0);
    assert_false(found.created);
}

static void an_unsigned_tail_is_kept(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_append(&f, 5);
    assert_int_equal(pv_log_write(f.log, &err), 0);
    struct pv_log_recovery found = reopen();
    assert_int_equal(found.size, 15);
    assert_int_equal(found.checkpointed_size, 10);
}

/* Who reads can tell whether what is half there may become whole, and takes what stands there in
 * the end, also when the half was cut off first. */
static void half_an_entry_is_read_again(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    pv_autobuf struct pv_buf whole, other;
    struct pv_log_entry e;
    long start;
    size_t len;
    fixture_append(&f, 11);
    fixture_commit(&f);
    fixture_read(&f, "journal/000000", &whole);
    fixture_place(&f, 10, &start, &len);
    pv_buf_init(&other, whole.len);
    pv_buf_raw(&other, whole.data, whole.len);
    for (size_t i = (size_t)start + 2; i < other.len; i++)
        other.data[i] ^= 0x55;
    fixture_write(&f, "journal/000000", whole.data, (size_t)start + len / 2);
    assert_int_equal(pv_log_reader_open(&r, f.log_fd, 0, &err), 0);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(pv_log_reader_next(r, &e, &err), 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pv_log_reader_next(r, &e, &err), 0);
        assert_int_equal(pv_log_reader_torn(r), len / 2);
    }
    assert_true(pv_log_is_live(f.log_fd));
    fixture_close(&f);
    assert_false(pv_log_is_live(f.log_fd));
    fixture_write(&f, "journal/000000", other.data, other.len);
    assert_int_equal(pv_log_reader_next(r, &e, &err), 1);
    assert_memory_equal(e.bytes, other.data + start + 2, len - 2);
}

/* Whatever byte the crash stops at, the log opens with the whole entries before it. */
static void a_torn_tail_is_cut_wherever_it_ends(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf whole;
    long start;
    size_t len;
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_append(&f, 1);
    assert_int_equal(pv_log_write(f.log, &err), 0);
    fixture_read(&f, "journal/000000", &whole);
    fixture_place(&f, 10, &start, &len);
    for (size_t cut = 0; cut < len; cut++) {
        fixture_write(&f, "journal/000000", whole.data, (size_t)start + cut);
        struct pv_log_recovery found = reopen();
        assert_int_equal(found.size, 10);
        assert_int_equal(found.discarded_bytes, cut);
    }
    /* Zeroes, as a file system leaves them after a loss of power. */
    memset(whole.data + start, 0, len);
    fixture_write(&f, "journal/000000", whole.data, whole.len);
    struct pv_log_recovery found = reopen();
    assert_int_equal(found.size, 10);
    assert_int_equal(found.discarded_bytes, len);
}

static void a_torn_checkpoint_is_cut(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf notes;
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_read(&f, "checkpoints", &notes);
    size_t first = notes.len;
    struct pv_err err = PV_ERR_INIT;
    fixture_append(&f, 10);
    assert_int_equal(pv_log_commit(f.log, &err), 0); /* published, it would be durable */
    pv_buf_done(&notes);
    fixture_read(&f, "checkpoints", &notes);
    for (size_t cut = first; cut < notes.len; cut += 13) {
        fixture_write(&f, "checkpoints", notes.data, cut);
        struct pv_log_recovery found = reopen();
        assert_int_equal(found.size, 20);
        assert_int_equal(found.checkpointed_size, 10);
    }
}

/* What was published is signed, whatever became of the list: nothing of it is cut. */
static void a_list_that_ends_before_what_was_published_is_refused(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf first, notes, before, after;
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_read(&f, "checkpoints", &first);
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_read(&f, "checkpoints", &notes);
    fixture_read(&f, "journal/000000", &before);
    for (size_t cut = 0; cut < notes.len; cut += 29) {
        fixture_write(&f, "checkpoints", notes.data, cut);
        expect_refusal(cut < first.len ? "ends at 0: it was cut" : "ends at 10: it was cut");
    }
    assert_int_equal(unlinkat(f.log_fd, "checkpoints", 0), 0);
    expect_refusal("'checkpoint' signs 20 entries");
    fixture_read(&f, "journal/000000", &after);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.data, before.data, before.len);
    fixture_write(&f, "checkpoints", notes.data, notes.len); /* put back, all is well */
    assert_int_equal(reopen().checkpointed_size, 20);
}

/* The published checkpoint may still be by the key before: then it counts as well. */
static void a_checkpoint_of_an_older_key_counts(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf first, notes, old;
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_read(&f, "checkpoint", &first);
    fixture_rotate(&f, &old);
    assert_int_equal(reopen().checkpointed_size, 11);
    fixture_close(&f);
    fixture_write(&f, "checkpoint", first.data, first.len);
    assert_int_equal(reopen().checkpointed_size, 11);
    fixture_close(&f);
    fixture_write(&f, "checkpoint", first.data, first.len);
    fixture_read(&f, "checkpoints", &notes);
    fixture_write(&f, "checkpoints", notes.data, 0);
    expect_refusal("'checkpoint' signs 10 entries");
}

static void a_damaged_published_checkpoint_is_made_anew(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf good, again;
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_read(&f, "checkpoint", &good);
    good.data[good.len - 9] ^= 1;
    fixture_write(&f, "checkpoint", good.data, good.len);
    assert_int_equal(reopen().checkpointed_size, 10);
    fixture_commit(&f);
    good.data[good.len - 9] ^= 1;
    fixture_read(&f, "checkpoint", &again);
    assert_int_equal(again.len, good.len);
    assert_memory_equal(again.data, good.data, good.len);
}

static void a_log_cut_below_its_checkpoint_is_refused(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf whole;
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_read(&f, "journal/000000", &whole);
    fixture_write(&f, "journal/000000", whole.data, whole.len - 1);
    expect_refusal("it was cut");
}

static void an_edited_log_is_refused(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf whole;
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_read(&f, "journal/000000", &whole);
    whole.data[whole.len - 40] ^= 1; /* inside the last event's last number */
    fixture_write(&f, "journal/000000", whole.data, whole.len);
    expect_refusal("not those its checkpoint signs");
}

static void a_lost_key_is_not_replaced(void **state)
{
    (void)state;
    fixture_append(&f, 1);
    fixture_commit(&f);
    assert_int_equal(unlinkat(f.key_fd, "log.key", 0), 0);
    expect_refusal("log key");
}

static void the_key_is_private(void **state)
{
    (void)state;
    struct stat st;
    assert_int_equal(fstatat(f.key_fd, "log.key", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void cached_leaves_are_mended(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf before, after;
    fixture_append(&f, 50);
    fixture_commit(&f);
    fixture_read(&f, "journal/000000.leaves", &before);
    assert_int_equal(before.len, 50 * 32);
    uint8_t damaged[20 * 32 + 7];
    memcpy(damaged, before.data, sizeof damaged);
    damaged[3 * 32] ^= 1;
    fixture_write(&f, "journal/000000.leaves", damaged, sizeof damaged);
    struct pv_log_recovery found = reopen();
    assert_int_equal(found.rebuilt_leaves, 47);
    fixture_read(&f, "journal/000000.leaves", &after);
    assert_int_equal(after.len, before.len);
    assert_memory_equal(after.data, before.data, before.len);
}

/* A full disk, played by the file size limit: the batch stays, and nothing half is left behind. */
static void a_failed_write_changes_nothing(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct rlimit old, tight;
    struct stat st;
    fixture_append(&f, 10);
    fixture_commit(&f);
    assert_int_equal(fstatat(f.log_fd, "journal/000000", &st, 0), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    for (rlim_t room = 0; room < 400; room += 57) {
        tight = (struct rlimit){(rlim_t)st.st_size + room, old.rlim_max};
        fixture_append(&f, 5);
        setrlimit(RLIMIT_FSIZE, &tight);
        int rc = pv_log_commit(f.log, &err);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_true(rc < 0);
        struct stat now;
        assert_int_equal(fstatat(f.log_fd, "journal/000000", &now, 0), 0);
        assert_int_equal(now.st_size, st.st_size);
        assert_int_equal(pv_log_signed_size(f.log), 10);
    }
    fixture_commit(&f);
    struct pv_log_recovery found = reopen();
    assert_int_equal(found.checkpointed_size, 10 + 8 * 5);
}

static int reject_from(void *ctx, const struct pv_log_entry *entry, const struct pv_event *event,
                       bool is_signed, struct pv_err *err)
{
    (void)event;
    (void)is_signed;
    (void)err;
    return entry->seq >= *(uint64_t *)ctx;
}

static void a_rejected_tail_is_cut_but_not_what_is_signed(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_log_recovery found;
    uint64_t from = 5;
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_append(&f, 4);
    assert_int_equal(pv_log_write(f.log, &err), 0);
    fixture_close(&f);
    assert_int_equal(pv_log_open(&f.log, f.log_fd, f.key_fd, reject_from, &from, &found, &err), 0);
    assert_int_equal(found.size, 10);
    assert_true(found.discarded_bytes > 0);
}

/* Four segments, of which the journal keeps two. */
static void grow_past_the_journal(void)
{
    struct pv_err err = PV_ERR_INIT;
    for (unsigned i = 0; i < 4 * PV_LOG_SEGMENT_ENTRIES; i += 1024) {
        fixture_append(&f, 1024);
        assert_int_equal(pv_log_commit(f.log, &err), 0);
    }
    fixture_append(&f, 77);
    fixture_commit(&f);
    fixture_settle(&f);
}

static void damage(const char *name, off_t at)
{
    uint8_t byte;
    int fd = openat(f.log_fd, name, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void opening_reads_the_journal_alone(void **state)
{
    (void)state;
    uint8_t before[32], after[32];
    struct pv_err err = PV_ERR_INIT;
    uint64_t first, last;
    grow_past_the_journal();
    assert_int_equal(pv_log_journal(f.log_fd, &first, &last, &err), 0);
    assert_true(first >= 2);
    pv_log_root(f.log, before);
    struct pv_log_recovery found = reopen();
    pv_log_root(f.log, after);
    assert_int_equal(found.scanned_from, first * PV_LOG_SEGMENT_ENTRIES);
    assert_memory_equal(before, after, 32);
    /* an old entry that was edited is for the verifier to find; the tree does not rest on it */
    damage("tile/entries/003", 40);
    assert_int_equal(reopen().scanned_from, first * PV_LOG_SEGMENT_ENTRIES);
    damage("tile/entries/003", 40);
    /* what is written on is what would have been written */
    fixture_append(&f, 70000);
    fixture_commit(&f);
    struct pv_verify_result res;
    struct pv_verify_options opt = {.key = pv_log_key(f.log)};
    assert_int_equal(pv_verify_log(f.log_fd, &opt, &res, &err), 0);
    if (res.verdict != PV_VERDICT_OK)
        fail_msg("%s", res.text);
}

static void opening_reads_everything_when_tiles_are_damaged(void **state)
{
    (void)state;
    uint8_t before[32], after[32];
    grow_past_the_journal();
    pv_log_root(f.log, before);
    damage("tile/1/000", 3);
    struct pv_log_recovery found = reopen();
    pv_log_root(f.log, after);
    assert_int_equal(found.scanned_from, 0);
    assert_memory_equal(before, after, 32);
}

static void the_last_of_many_checkpoints_is_found(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct stat st;
    for (unsigned i = 0; i < 1000; i++) {
        fixture_append(&f, 1);
        assert_int_equal(pv_log_commit(f.log, &err), 0);
    }
    assert_int_equal(fstatat(f.log_fd, "checkpoints", &st, 0), 0);
    assert_true(st.st_size > 1 << 17);
    assert_int_equal(reopen().checkpointed_size, 1000);
    for (off_t cut = 1; cut < 400; cut += 57) { /* torn wherever; the journal has all entries */
        int fd = openat(f.log_fd, "checkpoints", O_WRONLY);
        assert_int_equal(ftruncate(fd, st.st_size - cut), 0);
        close(fd);
        struct pv_log_recovery found = reopen();
        assert_true(found.checkpointed_size < 1000 && found.checkpointed_size >= 995);
        assert_int_equal(found.size, 1000);
        assert_int_equal(pv_log_commit(f.log, &err), 0);
        assert_int_equal(fstatat(f.log_fd, "checkpoints", &st, 0), 0);
    }
}

/* One more than verifiers take would leave a log that nobody can check. */
static void the_key_changes_as_often_as_verifiers_follow(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    uint8_t next[32];
    fixture_append(&f, 10);
    fixture_commit(&f);
    for (unsigned i = 0; i < PV_NOTE_OLDER_KEYS_MAX; i++) {
        pv_autobuf struct pv_buf old;
        fixture_rotate(&f, &old);
    }
    assert_int_equal(pv_log_rotate_begin(f.log, next, &err), -E2BIG);
    assert_non_null(strstr(err.text, "16 keys"));
    assert_non_null(strstr(err.text, "docs/operations.md"));
    fixture_append(&f, 10);
    fixture_commit(&f);
    fixture_close(&f);
    fixture_open(&f);
    fixture_append(&f, 10);
    fixture_commit(&f);
}

static struct {
    unsigned calls;
    int rc;
} asked;

static int before_drop(void *ctx, struct pv_err *err)
{
    assert_int_equal(faccessat(f.log_fd, "journal/000000", F_OK, 0), 0); /* still there */
    asked.calls++;
    assert_ptr_equal(ctx, &f);
    return asked.rc ? pv_refuse(err, EIO, "not durable") : 0;
}

/* The auditor makes durable what it can make up for only from the journal. */
static void the_journal_goes_only_after_asking(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    int rc = 0;
    pv_log_before_drop(f.log, before_drop, &f);
    asked.rc = -1;
    for (unsigned i = 0; rc == 0 && i < 4 * PV_LOG_SEGMENT_ENTRIES; i += 1024) {
        fixture_append(&f, 1024);
        rc = pv_log_commit(f.log, &err);
        if (rc == 0)
            rc = pv_log_publish(f.log, true, &err);
    }
    assert_int_equal(rc, -EIO);
    assert_int_equal(asked.calls, 1);
    assert_int_equal(faccessat(f.log_fd, "journal/000000", F_OK, 0), 0);
    asked.rc = 0;
    assert_int_equal(pv_log_publish(f.log, true, &err), 0);
    assert_int_equal(asked.calls, 2);
    assert_int_equal(faccessat(f.log_fd, "journal/000000", F_OK, 0), -1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(entries_are_read_back),
        CASE(segments_follow_one_another),
        CASE(a_clean_log_opens_as_it_was),
        CASE(an_unsigned_tail_is_kept),
        CASE(half_an_entry_is_read_again),
        CASE(a_torn_tail_is_cut_wherever_it_ends),
        CASE(a_torn_checkpoint_is_cut),
        CASE(a_list_that_ends_before_what_was_published_is_refused),
        CASE(a_checkpoint_of_an_older_key_counts),
        CASE(a_damaged_published_checkpoint_is_made_anew),
        CASE(a_log_cut_below_its_checkpoint_is_refused),
        CASE(an_edited_log_is_refused),
        CASE(a_lost_key_is_not_replaced),
        CASE(the_key_is_private),
        CASE(cached_leaves_are_mended),
        CASE(a_failed_write_changes_nothing),
        CASE(a_rejected_tail_is_cut_but_not_what_is_signed),
        CASE(opening_reads_the_journal_alone),
        CASE(opening_reads_everything_when_tiles_are_damaged),
        CASE(the_last_of_many_checkpoints_is_found),
        CASE(the_key_changes_as_often_as_verifiers_follow),
        CASE(the_journal_goes_only_after_asking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
