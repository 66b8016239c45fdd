/* Every write, sync, creation, cut, rename, removal and allocation of the log's path fails in turn,
 * and the process dies at each of them in turn: by kill -9 (what was handed to the kernel stays),
 * and by a power failure (each file falls back to what its last sync made durable). What was
 * acknowledged as signed is there afterwards, the log opens by itself, and it verifies. */
#include "log_fixture.h"

#include "pv/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DIED = 9, REFUSED = 3, ROUNDS = 6, EVENTS = 90, CHANGES = 3 };

/* Shared with the child: what it was told was safe. */
static struct {
    uint64_t signed_size;
    uint64_t calls;   /* that could have failed */
    uint64_t changes; /* of the key, that were recorded */
} * told;

static struct {
    bool armed;
    uint64_t at; /* this call, counted from 0 */
    bool die;    /* instead of failing */
    bool power;  /* and what was not synced goes with it */
    int error;
} fault;

/* Files that were written to, with the length that a sync made durable. */
static struct {
    char path[128];
    off_t durable;
} files[512];
static unsigned n_files;

static off_t length_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_size : 0;
}

/* The file's place in the list, by its present name; a new one begins with what it holds. */
static void note_file(int fd, off_t durable, bool known_only)
{
    char link[32], path[128];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return;
    path[n] = 0;
    unsigned i = 0;
    while (i < n_files && strcmp(files[i].path, path) != 0)
        i++;
    if (i == n_files && (known_only || n_files == sizeof files / sizeof *files))
        return;
    if (i < n_files && !known_only)
        return;
    if (i == n_files)
        memcpy(files[n_files++].path, path, (size_t)n + 1);
    files[i].durable = durable;
}

static void lose_power(void)
{
    for (unsigned i = 0; i < n_files; i++) {
        struct stat st;
        if (stat(files[i].path, &st) == 0 && st.st_size > files[i].durable)
            (void)!truncate(files[i].path, files[i].durable);
    }
    _exit(DIED);
}

/* Whether the call that is about to be made is the one. */
static bool strikes(void)
{
    if (!fault.armed || told->calls++ != fault.at)
        return false;
    if (fault.die && fault.power)
        lose_power();
    if (fault.die)
        _exit(DIED);
    errno = fault.error;
    return true;
}

#define WRAP(type, name, params, args)                                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return strikes() ? (type)-1 : __real_##name args;                                          \
    }
/* A sync makes durable what the file holds. */
#define WRAP_SYNC(name)                                                                            \
    int __real_##name(int fd);                                                                     \
    int __wrap_##name(int fd);                                                                     \
    int __wrap_##name(int fd)                                                                      \
    {                                                                                              \
        if (strikes())                                                                             \
            return -1;                                                                             \
        if (fault.power)                                                                           \
            note_file(fd, length_of(fd), true);                                                    \
        return __real_##name(fd);                                                                  \
    }
WRAP_SYNC(fdatasync)
WRAP_SYNC(fsync)
WRAP(int, ftruncate, (int fd, off_t len), (fd, len))
WRAP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(int, unlinkat, (int dir, const char *name, int flags), (dir, name, flags))
WRAP(int, mkdirat, (int dir, const char *name, mode_t mode), (dir, name, mode))

int __real_openat(int dir, const char *name, int flags, mode_t mode);
int __wrap_openat(int dir, const char *name, int flags, mode_t mode);
int __wrap_openat(int dir, const char *name, int flags, mode_t mode)
{
    return strikes() ? -1 : __real_openat(dir, name, flags, mode);
}

/* Half of it reaches the file, as on a disk that fills up. */
ssize_t __real_write(int fd, const void *p, size_t len);
ssize_t __wrap_write(int fd, const void *p, size_t len);
ssize_t __wrap_write(int fd, const void *p, size_t len)
{
    if (fault.power)
        note_file(fd, length_of(fd), false);
    if (!fault.armed || told->calls != fault.at)
        return strikes() ? -1 : __real_write(fd, p, len);
    (void)!__real_write(fd, p, len / 2);
    (void)strikes();
    return -1;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return strikes() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
    return strikes() ? NULL : __real_realloc(p, size);
}

/* Opens the log and works: enough for full and partial tiles, several commits, and a change of key
 * in the middle. A failure that may pass is tried again, as the auditor does. */
static int work(struct log_fixture *f, struct pv_err *err)
{
    struct pv_log_recovery found;
    uint8_t next[32];
    PV_TRY(pv_log_open(&f->log, f->log_fd, f->key_fd, NULL, NULL, &found, err));
    for (unsigned round = 0; round < ROUNDS; round++) {
        bool was_armed = fault.armed;
        fault.armed = false; /* the events are the test's, not the log's */
        fixture_append(f, EVENTS);
        fault.armed = was_armed;
        if (round == 3)
            PV_TRY(pv_log_rotate_begin(f->log, next, err));
        int rc = pv_log_commit(f->log, err);
        if (rc == -ENOSPC)
            rc = pv_log_commit(f->log, err);
        PV_TRY(rc);
        told->signed_size = pv_log_signed_size(f->log);
        if (round == 3)
            PV_TRY(pv_log_rotate_record(f->log, err));
        if (round == 3)
            PV_TRY(pv_log_rotate_end(f->log, err));
        rc = pv_log_publish(f->log, true, err);
        if (rc == -ENOSPC)
            rc = pv_log_publish(f->log, true, err);
        PV_TRY(rc);
    }
    return 0;
}

/* By an event of that domain; the child uses one, the parent the other. */
static int change_key(struct log_fixture *f, unsigned domain, struct pv_err *err)
{
    struct pv_event e;
    uint8_t next[32];
    bool was_armed = fault.armed;
    PV_TRY(pv_log_rotate_begin(f->log, next, err));
    pv_event_init(&e, PV_K_KEY_ROTATION, NULL);
    pv_event_bytes(&e, pv_log_key(f->log)->public_key, sizeof next);
    pv_event_bytes(&e, next, sizeof next);
    fault.armed = false;
    fixture_put(f, domain, &e, 0);
    fault.armed = was_armed;
    PV_TRY(pv_log_write(f->log, err));
    PV_TRY(pv_log_commit(f->log, err));
    PV_TRY(pv_log_rotate_record(f->log, err));
    told->changes++;
    PV_TRY(pv_log_rotate_end(f->log, err));
    return pv_log_publish(f->log, true, err);
}

/* One change of the key after the other. */
static int change_keys(struct log_fixture *f, struct pv_err *err)
{
    struct pv_log_recovery found;
    PV_TRY(pv_log_open(&f->log, f->log_fd, f->key_fd, NULL, NULL, &found, err));
    for (unsigned i = 0; i < CHANGES; i++)
        PV_TRY(change_key(f, 0, err));
    return 0;
}

/* In a child, so that it may die. The parent's domains stay as they were. */
static int run_child(struct log_fixture *f, int (*work_of)(struct log_fixture *, struct pv_err *))
{
    struct pv_err err = PV_ERR_INIT;
    memset(told, 0, sizeof *told);
    pid_t pid = fork();
    if (pid == 0) {
        fault.armed = true;
        int rc = work_of(f, &err);
        fault.armed = false;
        _exit(rc < 0 ? REFUSED : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status)); /* no abort, no fault */
    return WEXITSTATUS(status);
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
    assert_true((fault.power ? found.size : found.checkpointed_size) >= promised);
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

static uint64_t stride(void)
{
    const char *all = getenv("PV_FAULT_ALL");
    return all && *all ? 1 : 7;
}

/* A log with a key of its own, a domain, and nothing else; and every step of changing that. */
static void sweep_changes(bool die, bool power, int error)
{
    uint64_t calls = 0, struck = 0;
    for (uint64_t at = 0; calls == 0; at += die ? 1 : stride()) {
        struct log_fixture f;
        struct pv_note_key first;
        fixture_init(&f);
        fault.armed = false;
        fixture_open(&f);
        fixture_append(&f, 2);
        fixture_commit(&f);
        fixture_close(&f);
        published_key(&f, &first);
        fault.at = at;
        fault.die = die;
        fault.power = power;
        fault.error = error;
        int status = run_child(&f, change_keys);
        struck += status == (die ? DIED : REFUSED);
        if (told->calls <= at)
            calls = told->calls;
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

static void sweep(bool die, bool power, int error)
{
    uint64_t calls = 0, struck = 0;
    for (uint64_t at = 0; calls == 0; at += stride()) {
        struct log_fixture f;
        fixture_init(&f);
        fault.armed = false;
        fault.at = at;
        fault.die = die;
        fault.power = power;
        fault.error = error;
        int status = run_child(&f, work);
        struck += status == (die ? DIED : REFUSED);
        if (die)
            assert_int_equal(status, told->calls > at ? DIED : 0);
        if (told->calls <= at)
            calls = told->calls; /* it came through: that were all */
        check_after(&f, told->signed_size);
        fixture_done(&f);
    }
    assert_true(calls > 100);
    assert_true(struck > 0);
    printf("%ju calls, every %ju-th struck\n", (uintmax_t)calls, (uintmax_t)stride());
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
    };
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (told == MAP_FAILED)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
