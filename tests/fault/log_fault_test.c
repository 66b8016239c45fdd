/* Every write, sync, creation, cut, rename, removal and allocation of the log's path fails in turn,
 * and the process dies at each of them in turn: by kill -9 (what was handed to the kernel stays),
 * and by a power failure (each file falls back to what its last sync made durable). What was
 * acknowledged as signed is there afterwards, the log opens by itself, and it verifies. */
#include "faults.h"
#include "log_fixture.h"

#include "pv/rotations.h"
#include "pv/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS = 6, EVENTS = 90, CHANGES = 3 };

/* Shared with the child: what it was told was safe. */
static struct {
    uint64_t signed_size;
    uint64_t changes; /* of the key, that were recorded */
} * told;
static struct faults plan;

/* A failure that may pass is tried again, as the auditor does: the same step, and no other. */
static int again(int (*step)(struct pv_log *, struct pv_err *), struct pv_log *log,
                 struct pv_err *err)
{
    int rc = step(log, err);
    return rc == -ENOSPC ? step(log, err) : rc;
}

static int publish(struct pv_log *log, struct pv_err *err)
{
    return pv_log_publish(log, true, err);
}

static int next_key(struct pv_log *log, struct pv_err *err)
{
    uint8_t unused[32];
    return pv_log_rotate_begin(log, unused, err);
}

/* The next key, and the event that names it. */
static int begin_change(struct log_fixture *f, unsigned domain, struct pv_err *err)
{
    struct pv_event e;
    uint8_t next[32];
    PV_TRY(again(next_key, f->log, err));
    PV_TRY(pv_log_rotate_begin(f->log, next, err)); /* the same one */
    pv_event_init(&e, PV_K_KEY_ROTATION, NULL);
    pv_event_bytes(&e, pv_log_key(f->log)->public_key, sizeof next);
    pv_event_bytes(&e, next, sizeof next);
    bool was_armed = faults_arm(false);
    fixture_put(f, domain, &e, 0);
    (void)faults_arm(was_armed);
    return 0;
}

/* Once both keys signed its event. */
static int end_change(struct log_fixture *f, struct pv_err *err)
{
    PV_TRY(again(pv_log_rotate_record, f->log, err));
    told->changes++;
    return again(pv_log_rotate_end, f->log, err);
}

/* Opens the log and works: enough for full and partial tiles, several commits, and a change of key
 * in the middle. */
static int work(void *ctx, struct pv_err *err)
{
    struct log_fixture *f = ctx;
    struct pv_log_recovery found;
    PV_TRY(pv_log_open(&f->log, f->log_fd, f->key_fd, NULL, NULL, &found, err));
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool was_armed = faults_arm(false);
        /* the events are the test's, not the log's */
        fixture_append(f, EVENTS);
        (void)faults_arm(was_armed);
        if (round == 3)
            PV_TRY(begin_change(f, 0, err));
        PV_TRY(again(pv_log_commit, f->log, err));
        told->signed_size = pv_log_signed_size(f->log);
        if (round == 3)
            PV_TRY(end_change(f, err));
        PV_TRY(again(publish, f->log, err));
    }
    return 0;
}

/* By an event of that domain; the child uses one, the parent the other. */
static int change_key(struct log_fixture *f, unsigned domain, struct pv_err *err)
{
    PV_TRY(begin_change(f, domain, err));
    PV_TRY(again(pv_log_write, f->log, err));
    PV_TRY(again(pv_log_commit, f->log, err));
    PV_TRY(end_change(f, err));
    return again(publish, f->log, err);
}

/* One change of the key after the other. */
static int change_keys(void *ctx, struct pv_err *err)
{
    struct log_fixture *f = ctx;
    struct pv_log_recovery found;
    PV_TRY(pv_log_open(&f->log, f->log_fd, f->key_fd, NULL, NULL, &found, err));
    for (unsigned i = 0; i < CHANGES; i++)
        PV_TRY(change_key(f, 0, err));
    return 0;
}

/* In a child, so that it may die. The parent's domains stay as they were. */
static int run_child(struct log_fixture *f, int (*work_of)(void *, struct pv_err *))
{
    memset(told, 0, sizeof *told);
    return faults_run(work_of, f);
}

/* Entries that the file "checkpoint" promises to everybody. */
static uint64_t published_size(const struct log_fixture *f)
{
    char text[2048];
    uint64_t size = 0;
    int fd = openat(f->log_fd, "checkpoint", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (n > 0)
        assert_true(pv_checkpoint_claimed_size(text, (size_t)n, &size));
    if (fd >= 0)
        close(fd);
    return size;
}

/* The log opens, has what was promised, and verifies with the keys that it publishes. */
static void check_after(struct log_fixture *f, uint64_t promised)
{
    struct pv_verify_result *res = calloc(1, sizeof *res);
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key key;
    pv_autobuf struct pv_buf text;
    struct pv_log_recovery found;
    uint64_t published = published_size(f);
    if (pv_log_open(&f->log, f->log_fd, f->key_fd, NULL, NULL, &found, &err) < 0)
        fail_msg("the log does not open: %s", err.text);
    /* A power failure may take the last checkpoint (its sync comes with the next commit), but no
     * entry that it signed, and none that was published. */
    assert_true(found.checkpointed_size >= published);
    assert_true((plan.power ? found.size : found.checkpointed_size) >= promised);
    assert_int_equal(pv_log_commit(f->log, &err), 0);
    assert_int_equal(pv_log_publish(f->log, true, &err), 0);
    fixture_read(f, "log.pub", &text);
    assert_int_equal(pv_note_key_parse((const char *)text.data, text.len, &key, &err), 0);
    const struct pv_verify_options opt = {.key = &key};
    assert_int_equal(pv_verify_log(f->log_fd, &opt, res, &err), 0);
    if (res->verdict != PV_VERDICT_OK)
        fail_msg("%s: %s", pv_verdict_name(res->verdict), res->text);
    assert_int_equal(res->entries, found.size);
    free(res);
}

static void published_key(const struct log_fixture *f, struct pv_note_key *ret)
{
    pv_autobuf struct pv_buf text;
    struct pv_err err = PV_ERR_INIT;
    fixture_read(f, "log.pub", &text);
    assert_int_equal(pv_note_key_parse((const char *)text.data, text.len, ret, &err), 0);
}

/* Whoever knows the first key finds exactly the keys that the log's own list has, in its order:
 * none of a change that did not take place, and none is missing of one that did. No next key lies
 * about, and the next change works. */
static void check_keys(struct log_fixture *f, const struct pv_note_key *first)
{
    struct pv_verify_result *res = calloc(1, sizeof *res);
    struct pv_note_key published;
    struct pv_err err = PV_ERR_INIT;
    const struct pv_verify_options opt = {.key = first};
    uint64_t changes = told->changes;
    assert_true(faccessat(f->key_fd, "log.key.next", F_OK, 0) < 0 && errno == ENOENT);
    assert_int_equal(change_key(f, 1, &err), 0);
    published_key(f, &published);
    assert_int_equal(pv_verify_log(f->log_fd, &opt, res, &err), 0);
    if (res->verdict != PV_VERDICT_OK)
        fail_msg("%s: %s", pv_verdict_name(res->verdict), res->text);
    assert_true(published.n_older > changes);
    assert_int_equal(res->rotations, published.n_older);
    assert_int_equal(res->key.n_older, published.n_older);
    assert_memory_equal(res->key.public_key, published.public_key, 32);
    for (unsigned i = 0; i < published.n_older; i++)
        assert_memory_equal(res->key.older[i].key, published.older[i].key, 32);
    free(res);
}

/* A log with a key of its own, a domain, and nothing else; and every step of changing that. */
static void sweep_changes(bool die, bool power, int error)
{
    uint64_t calls = 0, struck = 0;
    for (uint64_t at = 0; calls == 0; at += die ? 1 : faults_stride()) {
        struct log_fixture f;
        struct pv_note_key first;
        fixture_init(&f);
        fixture_open(&f);
        fixture_append(&f, 2);
        fixture_commit(&f);
        fixture_close(&f);
        published_key(&f, &first);
        plan = (struct faults){.at = at, .die = die, .power = power, .error = error};
        faults_plan(&plan);
        int status = run_child(&f, change_keys);
        struck += status == (die ? FAULTS_DIED : FAULTS_REFUSED);
        if (faults_calls() <= at)
            calls = faults_calls();
        check_after(&f, 2);
        check_keys(&f, &first);
        fixture_done(&f);
    }
    assert_true(calls > 50);
    assert_true(struck > 0);
}

static void every_call_of_a_change_of_key_fails(void **state)
{
    (void)state;
    sweep_changes(false, false, ENOSPC);
    sweep_changes(false, false, EIO);
}

static void the_process_dies_at_every_step_of_a_change_of_key(void **state)
{
    (void)state;
    sweep_changes(true, false, 0);
    sweep_changes(true, true, 0);
}

static int open_and_lose_power(void *ctx, struct pv_err *err)
{
    struct log_fixture *f = ctx;
    struct pv_log_recovery found;
    PV_TRY(pv_log_open(&f->log, f->log_fd, f->key_fd, NULL, NULL, &found, err));
    faults_lose_power();
}

/* The process is killed at any step; the next one finishes the change, and then the power fails. */
static void the_power_fails_after_a_killed_change_of_key(void **state)
{
    uint64_t calls = 0;
    (void)state;
    for (uint64_t at = 0; calls == 0; at++) {
        struct log_fixture f;
        struct pv_note_key first;
        fixture_init(&f);
        fixture_open(&f);
        fixture_append(&f, 2);
        fixture_commit(&f);
        fixture_close(&f);
        published_key(&f, &first);
        plan = (struct faults){.at = at, .die = true};
        faults_plan(&plan);
        if (run_child(&f, change_keys) == 0)
            calls = faults_calls();
        plan = (struct faults){.at = UINT64_MAX, .power = true, .goes_on = true};
        faults_plan(&plan);
        assert_int_equal(faults_run(open_and_lose_power, &f), FAULTS_DIED);
        check_after(&f, 2);
        check_keys(&f, &first);
        fixture_done(&f);
    }
    assert_true(calls > 50);
}

static uint64_t follow_rotations(const struct log_fixture *f, struct pv_note_key *k)
{
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf text;
    fixture_read(f, "rotations", &text);
    if (pv_rotations_follow(k, text.data, text.len, &err) < 0)
        fail_msg("%s", err.text);
    return k->n_older;
}

/* Whatever both keys signed later: the change is the first checkpoint that they did. */
static void a_change_of_key_is_found_under_later_checkpoints(void **state)
{
    struct log_fixture f;
    struct pv_note_key first;
    struct pv_err err = PV_ERR_INIT;
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    fixture_append(&f, 4);
    fixture_commit(&f);
    published_key(&f, &first);
    assert_int_equal(begin_change(&f, 0, &err), 0);
    fixture_commit(&f);
    fixture_append(&f, 3);
    fixture_commit(&f);
    fixture_close(&f);
    plan = (struct faults){.at = UINT64_MAX};
    check_after(&f, 8);
    assert_int_equal(follow_rotations(&f, &first), 1);
    fixture_done(&f);
}

/* A list that nobody could follow would be the end of every proof. */
static void what_changes_no_key_is_not_listed(void **state)
{
    struct log_fixture f;
    struct pv_err err = PV_ERR_INIT;
    (void)state;
    fixture_init(&f);
    fixture_open(&f);
    assert_int_equal(next_key(f.log, &err), 0);
    fixture_append(&f, 4);
    fixture_commit(&f);
    assert_int_equal(pv_log_rotate_record(f.log, &err), -EBADMSG);
    assert_true(faccessat(f.log_fd, "rotations", F_OK, 0) < 0 && errno == ENOENT);
    fixture_close(&f);
    fixture_done(&f);
}

static void sweep(bool die, bool power, int error)
{
    uint64_t calls = 0, struck = 0;
    for (uint64_t at = 0; calls == 0; at += faults_stride()) {
        struct log_fixture f;
        fixture_init(&f);
        plan = (struct faults){.at = at, .die = die, .power = power, .error = error};
        faults_plan(&plan);
        int status = run_child(&f, work);
        struck += status == (die ? FAULTS_DIED : FAULTS_REFUSED);
        if (die)
            assert_int_equal(status, faults_calls() > at ? FAULTS_DIED : 0);
        if (faults_calls() <= at)
            calls = faults_calls(); /* it came through: that were all */
        check_after(&f, told->signed_size);
        fixture_done(&f);
    }
    assert_true(calls > 100);
    assert_true(struck > 0);
    printf("%ju calls, every %ju-th struck\n", (uintmax_t)calls, (uintmax_t)faults_stride());
}

static void every_call_fails_with_a_full_disk(void **state)
{
    (void)state;
    sweep(false, false, ENOSPC);
}

static void every_call_fails_with_an_error(void **state)
{
    (void)state;
    sweep(false, false, EIO);
}

static void the_process_dies_at_every_call(void **state)
{
    (void)state;
    sweep(true, false, 0);
}

static void the_power_fails_at_every_call(void **state)
{
    (void)state;
    sweep(true, true, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_fails_with_a_full_disk),
        cmocka_unit_test(every_call_fails_with_an_error),
        cmocka_unit_test(the_process_dies_at_every_call),
        cmocka_unit_test(the_power_fails_at_every_call),
        cmocka_unit_test(every_call_of_a_change_of_key_fails),
        cmocka_unit_test(the_process_dies_at_every_step_of_a_change_of_key),
        cmocka_unit_test(the_power_fails_after_a_killed_change_of_key),
        cmocka_unit_test(a_change_of_key_is_found_under_later_checkpoints),
        cmocka_unit_test(what_changes_no_key_is_not_listed),
    };
    told = faults_shared(sizeof *told);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
