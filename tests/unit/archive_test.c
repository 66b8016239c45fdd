/* Old entries that move into archives: what is proved and verified before and after, what is
 * refused, and a process that dies at each step of letting go. */
#include "log_fixture.h"

#include "pv/archive.h"
#include "pv/own.h"
#include "pv/prove.h"
#include "pv/verify.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SEGMENT = PV_LOG_SEGMENT_ENTRIES, ENTRIES = 3 * SEGMENT + 500, END = SEGMENT - 256 };
static struct log_fixture f;
static struct pv_note_key key;
static struct pv_err err;

static int setup(void **state)
{
    (void)state;
    err = PV_ERR_INIT;
    fixture_init(&f);
    fixture_open(&f);
    key = *pv_log_key(f.log);
    for (unsigned i = 0; i < ENTRIES; i += 500) {
        fixture_append(&f, 500);
        assert_int_equal(pv_log_commit(f.log, &err), 0);
    }
    fixture_commit(&f);
    fixture_settle(&f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_done(&f);
    return 0;
}

static int create(const char *name)
{
    int fd = openat(f.dir_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static struct pv_archive_info archive(const char *name, uint64_t first, uint64_t end)
{
    struct pv_archive_info info;
    pv_autoclose int fd = create(name);
    if (pv_archive_write(f.log_fd, &key, first, end, fd, &info, &err) < 0)
        fail_msg("%s", err.text);
    return info;
}

/* As the auditor does it: the event under a checkpoint, then the files. */
static void say_detached(uint64_t first, uint64_t end)
{
    struct pv_event e;
    uint8_t hash[32] = {1};
    pv_event_init(&e, PV_K_LOG_DETACHED, NULL);
    pv_event_u64(&e, first);
    pv_event_u64(&e, end - first);
    pv_event_bytes(&e, hash, sizeof hash);
    fixture_put(&f, 0, &e, 0);
    fixture_commit(&f);
}

static void detach(uint64_t end)
{
    if (pv_log_detach(f.log, end, &err) < 0)
        fail_msg("%s", err.text);
    while (pv_log_tidy(f.log, 7, &err) == 1)
        ;
}

static void attach(const char *name, uint64_t first, uint64_t end)
{
    char to[PV_ARCHIVE_NAME_MAX], from[64];
    if (mkdirat(f.log_fd, "archive", 0755) < 0)
        assert_int_equal(errno, EEXIST);
    pv_archive_name(first, end, to);
    snprintf(from, sizeof from, "%s/%s", f.dir, name);
    assert_int_equal(symlinkat(from, f.log_fd, to), 0);
}

static struct pv_verify_result verify_with(struct pv_verify_options opt)
{
    struct pv_verify_result res;
    opt.key = &key;
    if (pv_verify_log(f.log_fd, &opt, &res, &err) < 0)
        fail_msg("%s", err.text);
    opt.jobs = 3;
    struct pv_verify_result again;
    if (pv_verify_log(f.log_fd, &opt, &again, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(again.verdict, res.verdict);
    assert_int_equal(again.first_bad_seq, res.first_bad_seq);
    assert_string_equal(again.text, res.text);
    return res;
}

static struct pv_verify_result expect(enum pv_verdict verdict, uint64_t seq)
{
    struct pv_verify_result res = verify_with((struct pv_verify_options){0});
    if (res.verdict != verdict || (verdict != PV_VERDICT_OK && res.first_bad_seq != seq))
        fail_msg("%s at %ju: %s", pv_verdict_name(res.verdict), (uintmax_t)res.first_bad_seq,
                 res.text);
    return res;
}

static void damage(int dir, const char *name, off_t at)
{
    uint8_t byte;
    int fd = openat(dir, name, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

static void check_proof(uint64_t seq, bool with_entry)
{
    pv_autobuf struct pv_buf proof, entry;
    uint64_t at;
    struct pv_checkpoint c;
    pv_buf_init(&proof, 1 << 16);
    pv_buf_init(&entry, 1 << 16);
    struct pv_signed_checkpoint latest;
    int rc = pv_log_latest(f.log_fd, &key, &latest, &err);
    if (rc == 0)
        rc = pv_log_prove(f.log_fd, &latest, seq, &proof, with_entry ? &entry : NULL, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    if (!with_entry)
        return;
    assert_int_equal(
        pv_proof_check(&key, proof.data, proof.len, entry.data, entry.len, &at, &c, &err), 0);
    assert_int_equal(at, seq);
}

static void what_is_archived_is_still_proved_and_verified(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf proof, entry;
    uint64_t limit;
    uint8_t before[32], after[32];
    pv_buf_init(&proof, 1 << 16);
    pv_buf_init(&entry, 1 << 16);
    assert_int_equal(pv_log_detachable(f.log_fd, &limit, &err), 0);
    assert_true(limit >= END);
    uint64_t rechecked = expect(PV_VERDICT_OK, 0).rechecked_tags;
    archive("a", 0, 512);
    say_detached(0, 512);
    detach(512);
    assert_int_equal(expect(PV_VERDICT_OK, 0).detached, 512);
    archive("b", 512, END);
    say_detached(512, END);
    detach(END);
    assert_int_equal(faccessat(f.log_fd, "tile/entries/003", F_OK, 0), -1);
    assert_int_equal(expect(PV_VERDICT_OK, 0).detached, END);
    check_proof(5, false);
    struct pv_signed_checkpoint latest;
    assert_int_equal(pv_log_latest(f.log_fd, &key, &latest, &err), 0);
    assert_int_equal(pv_log_prove(f.log_fd, &latest, 5, &proof, &entry, &err), -ENOENT);
    check_proof(END, true);
    /* it opens, grows and opens again */
    pv_log_root(f.log, before);
    fixture_close(&f);
    fixture_open(&f);
    pv_log_root(f.log, after);
    assert_memory_equal(before, after, 32);
    fixture_append(&f, 300);
    fixture_commit(&f);
    /* one archive, the other, both */
    attach("b", 512, END);
    assert_int_equal(expect(PV_VERDICT_OK, 0).detached, 512);
    check_proof(513, true);
    attach("a", 0, 512);
    struct pv_verify_result res = expect(PV_VERDICT_OK, 0);
    assert_int_equal(res.detached, 0);
    assert_int_equal(res.rechecked_tags, rechecked);
    assert_int_equal(res.domains, 2);
    check_proof(5, true);
    assert_int_equal(verify_with((struct pv_verify_options){.complete = true}).verdict,
                     PV_VERDICT_OK);
    assert_int_equal(unlinkat(f.log_fd, "archive/0-512", 0), 0);
    res = verify_with((struct pv_verify_options){.complete = true});
    assert_int_equal(res.verdict, PV_VERDICT_GAP);
    assert_int_equal(res.first_bad_seq, 0);
}

/* Checking may begin at any size below what was detached since. */
static void checking_goes_on_from_before_what_was_archived(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 255, 256, 300, END - 1, END, END + 7};
    say_detached(0, END);
    detach(END);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pv_auto_tree_reader struct pv_tree_reader *r = NULL;
        struct pv_checkpoint since = {.size = sizes[i]};
        assert_int_equal(pv_tree_reader_open(&r, f.log_fd, sizes[i], &err), 0);
        assert_int_equal(pv_tree_root(r, since.root, &err), 0);
        struct pv_verify_result res =
            verify_with((struct pv_verify_options){.since = &since, .pinned = &since});
        if (res.verdict != PV_VERDICT_OK)
            fail_msg("from %ju: %s: %s", (uintmax_t)sizes[i], pv_verdict_name(res.verdict),
                     res.text);
        assert_int_equal(res.detached, sizes[i] < END ? END - sizes[i] : 0);
    }
}

static void detach_meanwhile(void *ctx, uint64_t entries)
{
    uint64_t *end = ctx;
    (void)entries;
    if (*end)
        detach(*end);
    *end = 0;
}

/* Entries that go while a verifier reads are no deletion. */
static void detaching_while_verifying_is_no_fault(void **state)
{
    (void)state;
    uint64_t limit, end = 3 * SEGMENT;
    for (unsigned i = 0; i < 2 * SEGMENT; i += 512) {
        fixture_append(&f, 512);
        assert_int_equal(pv_log_commit(f.log, &err), 0);
    }
    fixture_commit(&f);
    fixture_settle(&f);
    assert_int_equal(pv_log_detachable(f.log_fd, &limit, &err), 0);
    assert_true(limit >= end);
    say_detached(0, end);
    struct pv_verify_result res;
    const struct pv_verify_options opt = {.key = &key, .progress = detach_meanwhile, .ctx = &end};
    if (pv_verify_log(f.log_fd, &opt, &res, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(end, 0);
    if (res.verdict != PV_VERDICT_OK)
        fail_msg("%s: %s", pv_verdict_name(res.verdict), res.text);
    assert_in_range(res.detached, 1, 2 * SEGMENT);
}

static void what_nobody_signed_away_counts_as_deleted(void **state)
{
    (void)state;
    int fd = openat(f.log_fd, "detached", O_WRONLY | O_CREAT, 0644);
    char path[64];
    assert_int_equal(write(fd, "1024\n", 5), 5);
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "tile/entries/%03u", i);
        assert_int_equal(unlinkat(f.log_fd, path, 0), 0);
    }
    expect(PV_VERDICT_DELETED, 0);
    /* an event says so of a part; the rest is missing all the same */
    say_detached(0, 512);
    expect(PV_VERDICT_DELETED, 512);
    /* one that no checkpoint covers says nothing */
    struct pv_event e;
    uint8_t hash[32] = {1};
    pv_event_init(&e, PV_K_LOG_DETACHED, NULL);
    pv_event_u64(&e, 512);
    pv_event_u64(&e, 512);
    pv_event_bytes(&e, hash, sizeof hash);
    fixture_put(&f, 0, &e, 0);
    assert_int_equal(pv_log_write(f.log, &err), 0);
    expect(PV_VERDICT_DELETED, 512);
    fixture_commit(&f);
    expect(PV_VERDICT_OK, 0);
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, "0\n", 2, 0), 2); /* without the file: as if cut */
    close(fd);
    expect(PV_VERDICT_TRUNCATED, 0);
}

static void edited_hashes_and_archives_are_found(void **state)
{
    (void)state;
    archive("a", 0, END);
    say_detached(0, END);
    detach(END);
    damage(f.log_fd, "tile/0/002", 33);
    expect(PV_VERDICT_BAD_TILE, 500); /* between two checkpoints */
    damage(f.log_fd, "tile/0/002", 33);
    attach("a", 0, END);
    expect(PV_VERDICT_OK, 0);
    damage(f.dir_fd, "a", 60000);
    struct pv_verify_result res = verify_with((struct pv_verify_options){0});
    assert_int_equal(res.verdict, PV_VERDICT_EDITED);
    assert_true(res.first_bad_seq > 0 && res.first_bad_seq < 1000);
}

/* Each byte of the head, some of the entries; and a file that is cut or goes on. */
static void an_archive_alone_is_checked(void **state)
{
    (void)state;
    struct pv_archive_info info = archive("a", 256, 768), found;
    struct stat st;
    pv_autoclose int fd = openat(f.dir_fd, "a", O_RDWR);
    assert_int_equal(pv_archive_check(fd, &key, &found, &err), 0);
    assert_memory_equal(&found, &info, sizeof found);
    assert_int_equal(fstat(fd, &st), 0);
    for (off_t at = 0; at < st.st_size; at += at < 900 ? 1 : 777) {
        damage(f.dir_fd, "a", at);
        if (pv_archive_check(fd, &key, &found, &err) >= 0)
            fail_msg("a changed byte at %jd passes", (intmax_t)at);
        damage(f.dir_fd, "a", at);
    }
    assert_int_equal(ftruncate(fd, st.st_size + 1), 0);
    assert_int_equal(pv_archive_check(fd, &key, &found, &err), -EBADMSG);
    assert_int_equal(ftruncate(fd, st.st_size - 1), 0);
    assert_int_equal(pv_archive_check(fd, &key, &found, &err), -EBADMSG);
}

static void what_was_changed_is_not_archived(void **state)
{
    (void)state;
    struct pv_archive_info info;
    pv_autoclose int fd = create("a");
    damage(f.log_fd, "tile/entries/001", 50);
    assert_int_equal(pv_archive_write(f.log_fd, &key, 0, 1024, fd, &info, &err), -EBADMSG);
    damage(f.log_fd, "tile/entries/001", 50);
    assert_int_equal(pv_archive_write(f.log_fd, &key, 100, 1024, fd, &info, &err), -EINVAL);
    assert_int_equal(pv_archive_write(f.log_fd, &key, 0, 1u << 30, fd, &info, &err), -EINVAL);
    assert_int_equal(pv_log_detach(f.log, 100, &err), -EINVAL);
    assert_int_equal(pv_log_detach(f.log, 3 * SEGMENT, &err), -EINVAL);
}

/* Dies after so many steps: whatever is left opens, is tidied up, and verifies. */
static void letting_go_may_be_interrupted_anywhere(void **state)
{
    (void)state;
    archive("a", 0, END);
    say_detached(0, END);
    unsigned gone = 0;
    for (unsigned steps = 0; gone < END / 256; steps += 5) {
        pid_t pid = fork();
        if (pid == 0) {
            (void)!pv_log_detach(f.log, END, &err);
            (void)!pv_log_tidy(f.log, steps, &err);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        gone = gone + steps < END / 256 ? gone + steps : END / 256;
        assert_int_equal(expect(PV_VERDICT_OK, 0).detached, 256 * gone);
        fixture_close(&f);
        fixture_open(&f);
    }
    while (pv_log_tidy(f.log, 1, &err) == 1)
        ;
    assert_int_equal(expect(PV_VERDICT_OK, 0).detached, END);
}

/* An archive that holds what is gone is what was asked for only when nothing else was. */
static void another_archive_is_not_taken_for_the_new_one(void **state)
{
    (void)state;
    struct pv_archive_info info = {.first = 0, .end = END};
    assert_int_equal(pv_archive_store(f.dir_fd, "a", f.log_fd, &key, &info, &err), 0);
    say_detached(0, END);
    detach(END);
    info = (struct pv_archive_info){.first = END, .end = END + 256};
    assert_int_equal(pv_archive_store(f.dir_fd, "a", f.log_fd, &key, &info, &err), -EEXIST);
    info = (struct pv_archive_info){.first = END, .end = END};
    assert_int_equal(pv_archive_store(f.dir_fd, "a", f.log_fd, &key, &info, &err), 0);
    assert_int_equal(info.end, END);
}

/* The event that changed the key is in an archive; the list of changes has it too, and its hash
 * stands in the tree. */
static void a_change_of_the_key_is_followed_when_it_is_archived(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf old;
    uint64_t at = pv_log_size(f.log), end;
    fixture_rotate(&f, &old);
    for (unsigned i = 0; i < 3 * SEGMENT; i += 500) {
        fixture_append(&f, 500);
        assert_int_equal(pv_log_commit(f.log, &err), 0);
    }
    fixture_settle(&f);
    end = at - at % 256 + 256;
    say_detached(0, end);
    detach(end);
    struct pv_verify_result res = expect(PV_VERDICT_OK, 0);
    assert_int_equal(res.detached, end);
    assert_int_equal(res.rotations, 1);
    assert_int_equal(res.key.n_older, 1);
    damage(f.log_fd, "rotations", 40); /* of an entry with another hash nothing follows */
    expect(PV_VERDICT_UNKNOWN_KEY, at + 1);
    assert_int_equal(unlinkat(f.log_fd, "rotations", 0), 0);
    res = expect(PV_VERDICT_UNKNOWN_KEY, at + 1);
    assert_non_null(strstr(res.text, "--rotations FILE"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_is_archived_is_still_proved_and_verified),
        CASE(checking_goes_on_from_before_what_was_archived),
        CASE(detaching_while_verifying_is_no_fault),
        CASE(what_nobody_signed_away_counts_as_deleted),
        CASE(edited_hashes_and_archives_are_found),
        CASE(a_change_of_the_key_is_followed_when_it_is_archived),
        CASE(an_archive_alone_is_checked),
        CASE(what_was_changed_is_not_archived),
        CASE(letting_go_may_be_interrupted_anywhere),
        CASE(another_archive_is_not_taken_for_the_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
