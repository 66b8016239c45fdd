#include "pv/ring.h"

#include "pv/own.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

enum { HEADER_BYTES = 4096 };

struct pair {
    char dir[32];
    int dir_fd, file_fd, bell;
    struct pv_domain_id id;
    uint8_t k0[32];
    struct pv_producer *producer;
    struct pv_ring_reader *reader;
};

static int open_pair(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    struct pv_err err = PV_ERR_INIT;
    uint8_t measurement[32] = {1};
    memcpy(p->dir, "/tmp/pv-ring-XXXXXX", 20);
    assert_non_null(mkdtemp(p->dir));
    p->dir_fd = open(p->dir, O_RDONLY | O_DIRECTORY);
    p->id = pv_domain_id_new();
    memset(p->k0, 42, sizeof p->k0);
    p->file_fd = pv_ring_create(p->dir_fd, "ring", &p->id, &err);
    assert_true(p->file_fd >= 0);
    p->bell = eventfd(0, EFD_NONBLOCK);
    assert_int_equal(pv_ring_reader_open(&p->reader, dup(p->file_fd), &err), 0);
    assert_int_equal(pv_producer_open(&p->producer, dup(p->file_fd), dup(p->bell), &p->id, p->k0,
                                      "test", measurement, &err),
                     0);
    *state = p;
    return 0;
}

static int close_pair(void **state)
{
    struct pair *p = *state;
    pv_producer_close(p->producer, "end");
    pv_ring_reader_free(p->reader);
    unlinkat(p->dir_fd, "ring", 0);
    close(p->dir_fd);
    close(p->file_fd);
    close(p->bell);
    rmdir(p->dir);
    free(p);
    return 0;
}

static int emit(struct pair *p, size_t text_len)
{
    static char text[PV_EVENT_MAX];
    struct pv_event e;
    struct pv_err err = PV_ERR_INIT;
    memset(text, 'x', text_len);
    text[text_len] = 0;
    pv_event_init(&e, PV_K_DENIED, NULL);
    pv_event_text(&e, text);
    pv_event_text(&e, "object");
    pv_event_text(&e, "reason");
    return pv_producer_emit(p->producer, &e, &err);
}

/* Reads all there is, checks numbers and tags against an own ratchet. */
static void expect_all(struct pair *p, struct pv_ratchet *r, uint64_t until)
{
    struct pv_ring_record rec;
    struct pv_err err = PV_ERR_INIT;
    while (r->index < until) {
        struct pv_event e;
        uint8_t tag[PV_TAG_BYTES];
        assert_int_equal(pv_ring_reader_next(p->reader, &rec, &err), 1);
        assert_int_equal(pv_event_decode(rec.event, rec.event_len, &e, &err), 0);
        assert_int_equal(e.dseq, r->index);
        pv_ratchet_tag(r, rec.event, rec.event_len, tag);
        assert_memory_equal(tag, rec.tag, sizeof tag);
    }
    assert_int_equal(pv_ring_reader_next(p->reader, &rec, &err), 0);
}

static void records_pass_and_wrap(void **state)
{
    struct pair *p = *state;
    struct pv_ratchet r;
    uint64_t n = 1; /* domain-open */
    pv_ratchet_init(&r, p->k0);
    for (unsigned round = 0; round < 40; round++) {
        for (unsigned i = 0; i < 50; i++, n++)
            assert_int_equal(emit(p, (i * 977 + round * 131) % 7900), 0);
        expect_all(p, &r, n);
        pv_ring_reader_release(p->reader, n);
        assert_int_equal(pv_producer_space(p->producer), PV_RING_BYTES);
    }
    pv_ring_reader_signed(p->reader, 17);
    assert_int_equal(pv_producer_signed_dseq(p->producer), 17);
    assert_int_equal(pv_producer_next_dseq(p->producer), n);
}

static void a_full_ring_refuses_and_loses_nothing(void **state)
{
    struct pair *p = *state;
    struct pv_ratchet r;
    uint64_t n = 1;
    int rc;
    pv_ratchet_init(&r, p->k0);
    while ((rc = emit(p, 1000)) == 0)
        n++;
    assert_int_equal(rc, -EAGAIN);
    assert_int_equal(emit(p, 1000), -EAGAIN);
    expect_all(p, &r, n);
    assert_int_equal(emit(p, 1000), -EAGAIN); /* read, but not released */
    pv_ring_reader_release(p->reader, n);
    assert_int_equal(emit(p, 1000), 0);
    expect_all(p, &r, n + 1);
}

static void unreleased_records_are_seen_again(void **state)
{
    struct pair *p = *state;
    struct pv_ratchet r;
    struct pv_err err = PV_ERR_INIT;
    assert_int_equal(emit(p, 10), 0);
    pv_ratchet_init(&r, p->k0);
    expect_all(p, &r, 2);
    pv_ring_reader_free(p->reader);
    assert_int_equal(pv_ring_reader_open(&p->reader, dup(p->file_fd), &err), 0);
    pv_ratchet_init(&r, p->k0);
    expect_all(p, &r, 2);
}

static bool rang(struct pair *p)
{
    uint64_t count;
    return read(p->bell, &count, sizeof count) == (ssize_t)sizeof count;
}

static void the_bell_rings_for_a_sleeper_once(void **state)
{
    struct pair *p = *state;
    struct pv_ratchet r;
    pv_ratchet_init(&r, p->k0);
    (void)rang(p);
    assert_int_equal(emit(p, 1), 0);
    assert_false(rang(p));
    assert_false(pv_ring_reader_sleep(p->reader)); /* something is there */
    expect_all(p, &r, 2);
    assert_true(pv_ring_reader_sleep(p->reader));
    assert_int_equal(emit(p, 1), 0);
    assert_true(rang(p));
    assert_int_equal(emit(p, 1), 0);
    assert_false(rang(p));
}

static void a_damaged_record_condemns_the_ring(void **state)
{
    struct pair *p = *state;
    struct pv_ring_record rec;
    struct pv_err err = PV_ERR_INIT;
    static const uint32_t lengths[] = {0, 32, PV_EVENT_MAX + 33, 0x7fffffff, 0xffffffff};
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        assert_int_equal(pwrite(p->file_fd, &lengths[i], 4, HEADER_BYTES), 4);
        assert_int_equal(pv_ring_reader_next(p->reader, &rec, &err), -EBADMSG);
    }
    uint64_t head = (uint64_t)PV_RING_BYTES + 8;
    assert_int_equal(pwrite(p->file_fd, &head, 8, (off_t)offsetof(struct pv_ring_header, head)), 8);
    pv_ring_reader_free(p->reader);
    p->reader = NULL;
    assert_int_equal(pv_ring_reader_open(&p->reader, p->file_fd, &err), -EBADMSG);
}

enum { STRESS = 100000 };

static void *produce(void *arg)
{
    for (unsigned i = 0; i < STRESS;)
        if (emit(arg, i % 300) == 0)
            i++;
        else
            sched_yield();
    return NULL;
}

static void both_sides_run_at_once(void **state)
{
    struct pair *p = *state;
    pthread_t thread;
    uint64_t n = 0;
    assert_int_equal(pthread_create(&thread, NULL, produce, p), 0);
    while (n < STRESS + 1) {
        struct pv_ring_record rec;
        struct pv_event e;
        struct pv_err err = PV_ERR_INIT;
        int rc = pv_ring_reader_next(p->reader, &rec, &err);
        assert_true(rc >= 0);
        if (rc == 0) {
            pv_ring_reader_release(p->reader, n);
            if (pv_ring_reader_sleep(p->reader)) {
                struct pollfd bell = {.fd = p->bell, .events = POLLIN};
                /* A lost wake-up would show here as a time-out. */
                assert_int_equal(poll(&bell, 1, 5000), 1);
                (void)rang(p);
            }
            pv_ring_reader_wake(p->reader);
            continue;
        }
        assert_int_equal(pv_event_decode(rec.event, rec.event_len, &e, &err), 0);
        assert_int_equal(e.dseq, n++);
        if (n % 64 == 0)
            pv_ring_reader_release(p->reader, n);
    }
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_pass_and_wrap, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_full_ring_refuses_and_loses_nothing, open_pair,
                                        close_pair),
        cmocka_unit_test_setup_teardown(unreleased_records_are_seen_again, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(the_bell_rings_for_a_sleeper_once, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(both_sides_run_at_once, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(a_damaged_record_condemns_the_ring, open_pair, close_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
