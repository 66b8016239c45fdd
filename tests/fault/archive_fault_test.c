/* Old entries move into an archive as 'provost audit archive' and the auditor do it between them,
 * while every call of it fails in turn, and the process or the power at each. At any moment every
 * entry is in the log or in the archive; what the log has let go of, the archive holds, durably;
 * and when it is all done again, it completes. */
#include "faults.h"
#include "log_fixture.h"

#include "pv/archive.h"
#include "pv/own.h"
#include "pv/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SEGMENT = PV_LOG_SEGMENT_ENTRIES, ENTRIES = 3 * SEGMENT + 500, END = 512, TIDY = 1 };
/* The domains that they speak in: what the child does to the state of one, the parent does not see.
 */
enum { CHILD, PARENT };

/* The log that every round begins with, and its key. */
static struct log_fixture whole;
static struct pv_note_key key;
static struct faults plan;
static bool *let_go; /* shared: the log was told to */

static int make_whole(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    fixture_init(&whole);
    fixture_open(&whole);
    key = *pv_log_key(whole.log);
    for (unsigned i = 0; i < ENTRIES; i += 500) {
        fixture_append(&whole, 500);
        assert_int_equal(pv_log_commit(whole.log, &err), 0);
    }
    fixture_commit(&whole);
    fixture_close(&whole);
    return 0;
}

static int drop_whole(void **state)
{
    (void)state;
    fixture_done(&whole);
    return 0;
}

/* A copy of it, with the state of its domains. */
static void copy_whole(struct log_fixture *f)
{
    char command[160];
    fixture_init(f);
    memcpy(f->domain, whole.domain, sizeof f->domain);
    snprintf(command, sizeof command, "cp -a '%s/.' '%s'", whole.dir, f->dir);
    assert_int_equal(system(command), 0);
    close(f->log_fd);
    close(f->key_fd);
    f->log_fd = openat(f->dir_fd, "log", O_RDONLY | O_DIRECTORY);
    f->key_fd = openat(f->dir_fd, "keys", O_RDONLY | O_DIRECTORY);
}

/* The command: the file, then the request. What the log has let go of is not asked for again. */
static int command(struct log_fixture *f, struct pv_err *err)
{
    struct pv_archive_info info = {.end = END};
    PV_TRY(pv_log_detached(f->log_fd, &info.first, err));
    PV_TRY(pv_archive_store(f->dir_fd, "archive", f->log_fd, &key, &info, err));
    return info.first == 0 && info.end == END ? pv_detach_ask(f->key_fd, &info, err) : 0;
}

static int say_detached(struct log_fixture *f, unsigned domain, uint64_t first,
                        const struct pv_detach_request *q, struct pv_err *err)
{
    struct pv_event e;
    bool was_armed = faults_arm(false); /* the event is the test's, not the log's */
    pv_event_init(&e, PV_K_LOG_DETACHED, NULL);
    pv_event_u64(&e, first);
    pv_event_u64(&e, q->end - first);
    pv_event_bytes(&e, q->archive, sizeof q->archive);
    fixture_put(f, domain, &e, 0);
    (void)faults_arm(was_armed);
    return pv_log_commit(f->log, err);
}

/* The auditor's side (audit/auditor/detach.c). */
static int answer(struct log_fixture *f, unsigned domain, struct pv_err *err)
{
    struct pv_detach_request q;
    uint64_t first;
    int rc = pv_detach_asked(f->key_fd, &q, err);
    PV_TRY(rc);
    if (rc == 0)
        return 0;
    PV_TRY(pv_log_detached(f->log_fd, &first, err));
    if (q.end > first) {
        PV_TRY(say_detached(f, domain, first, &q, err));
        PV_TRY(pv_log_detach(f->log, q.end, err));
        *let_go = true;
    }
    return pv_detach_answered(f->key_fd, err);
}

static int tidy(struct log_fixture *f, struct pv_err *err)
{
    int rc;
    while ((rc = pv_log_tidy(f->log, TIDY, err)) == 1)
        ;
    return rc;
}

static int all_of_it(void *ctx, struct pv_err *err)
{
    struct log_fixture *f = ctx;
    struct pv_log_recovery found;
    PV_TRY(command(f, err));
    bool was_armed = faults_arm(false); /* opening and publishing have a test of their own */
    PV_TRY(pv_log_open(&f->log, f->log_fd, f->key_fd, NULL, NULL, &found, err));
    PV_TRY(pv_log_publish(f->log, true, err));
    (void)faults_arm(was_armed);
    PV_TRY(answer(f, CHILD, err));
    return tidy(f, err);
}

/* Whether there is a whole archive under its name. */
static bool has_archive(const struct log_fixture *f, struct pv_err *err)
{
    struct pv_archive_info info;
    pv_autoclose int fd = openat(f->dir_fd, "archive", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    if (pv_archive_check(fd, &key, &info, err) < 0)
        fail_msg("a file under the archive's name is none: %s", err->text);
    assert_int_equal(info.first, 0);
    assert_int_equal(info.end, END);
    return true;
}

/* torn: half an event may stand at the end. */
static void expect(const struct log_fixture *f, uint64_t detached, bool torn, struct pv_err *err)
{
    struct pv_verify_result *res = calloc(1, sizeof *res);
    const struct pv_verify_options opt = {.key = &key};
    assert_int_equal(pv_verify_log(f->log_fd, &opt, res, err), 0);
    if (res->verdict != PV_VERDICT_OK && !(torn && res->verdict == PV_VERDICT_UNFINISHED_TAIL))
        fail_msg("%s: %s", pv_verdict_name(res->verdict), res->text);
    assert_int_equal(res->detached, detached);
    free(res);
}

static uint64_t missing(const struct log_fixture *f, struct pv_err *err)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_log_entry e;
    uint64_t held = 0;
    assert_int_equal(pv_log_reader_open(&r, f->log_fd, 0, err), 0);
    while (pv_log_reader_next_held(r, END, &e, err) > 0 && e.seq < END)
        held++;
    return END - held;
}

static void attach(const struct log_fixture *f)
{
    char to[PV_ARCHIVE_NAME_MAX], from[64];
    assert_true(mkdirat(f->log_fd, "archive", 0755) == 0 || errno == EEXIST);
    pv_archive_name(0, END, to);
    snprintf(from, sizeof from, "%s/archive", f->dir);
    assert_int_equal(symlinkat(from, f->log_fd, to), 0);
}

/* As it was left, then done again, then with the archive in its place. */
static void check(struct log_fixture *f)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_log_recovery found;
    uint64_t detached, gone = missing(f, &err);
    assert_int_equal(pv_log_detached(f->log_fd, &detached, &err), 0);
    if (*let_go)
        assert_int_equal(detached, END);
    if (detached || gone)
        assert_true(has_archive(f, &err));
    if (gone)
        assert_int_equal(detached, END);
    (void)has_archive(f, &err);
    if (detached || gone) /* else nothing of the log was touched but its end */
        expect(f, gone, plan.die, &err);
    assert_int_equal(command(f, &err), 0);
    if (pv_log_open(&f->log, f->log_fd, f->key_fd, NULL, NULL, &found, &err) < 0)
        fail_msg("the log does not open: %s", err.text);
    assert_int_equal(answer(f, PARENT, &err), 0);
    assert_int_equal(tidy(f, &err), 0);
    fixture_commit(f);
    assert_int_equal(missing(f, &err), END);
    if (plan.at == 0)
        expect(f, END, false, &err);
    attach(f);
    expect(f, 0, false, &err);
}

static void sweep(bool die, bool power, int error)
{
    uint64_t calls = 0, struck = 0;
    /* there are few: every second (or all with PV_FAULT_ALL=1) */
    uint64_t stride = faults_stride() == 1 ? 1 : 2;
    for (uint64_t at = 0; calls == 0; at += stride) {
        struct log_fixture f;
        copy_whole(&f);
        plan = (struct faults){.at = at, .die = die, .power = power, .error = error};
        faults_plan(&plan);
        *let_go = false;
        int status = faults_run(all_of_it, &f);
        struck += status == (die ? FAULTS_DIED : FAULTS_REFUSED);
        if (die)
            assert_int_equal(status, faults_calls() > at ? FAULTS_DIED : 0);
        if (faults_calls() <= at)
            calls = faults_calls(); /* it came through: that were all */
        check(&f);
        fixture_done(&f);
    }
    assert_true(calls > 30);
    assert_true(struck > 0);
    printf("%ju calls, every %ju-th struck\n", (uintmax_t)calls, (uintmax_t)stride);
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
    };
    let_go = faults_shared(sizeof *let_go);
    return cmocka_run_group_tests(tests, make_whole, drop_whole);
}
