/* Records of two rings come in one order, and none is handed out while an earlier one can come. */
#include "probe_order.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PAGE = 4096, SIZE = 65536, RECORD = sizeof(struct pv_bpf_head) };
enum { STEP = RECORD + 8 };

/* As the kernel lays a ring out. */
struct memory {
    uint64_t consumer[PAGE / 8];
    uint64_t producer[PAGE / 8];
    uint8_t data[SIZE];
};
static struct memory memory[PV_PROBE_RINGS];
static struct pv_probe_order order;

static void put(unsigned ring, uint64_t time_ns, uint32_t cpu, uint64_t seq)
{
    uint64_t at = memory[ring].producer[0];
    uint32_t len = RECORD;
    struct pv_bpf_head h = {.time_ns = time_ns, .cpu = cpu, .seq = seq, .bytes = RECORD};

    memcpy(memory[ring].data + at, &len, sizeof len);
    memcpy(memory[ring].data + at + 8, &h, sizeof h);
    memory[ring].producer[0] = at + STEP;
}

static int begin(void **state)
{
    (void)state;
    memset(memory, 0, sizeof memory);
    memset(&order, 0, sizeof order);
    for (unsigned i = 0; i < PV_PROBE_RINGS; i++)
        order.ring[i] = (struct pv_probe_ring){.consumer = (uint8_t *)memory[i].consumer,
                                               .producer = (uint8_t *)memory[i].producer,
                                               .size = SIZE,
                                               .page = PAGE};
    pv_probe_order_init(&order);
    return 0;
}

static void fill(uint64_t now_ns)
{
    struct pv_err err = PV_ERR_INIT;

    assert_int_equal(pv_probe_order_fill(&order, now_ns, 2, &err), 0);
}

static void expect(uint64_t time_ns, uint32_t cpu)
{
    const struct pv_probe_item *item = pv_probe_order_peek(&order);

    assert_non_null(item);
    assert_int_equal(item->head->time_ns, time_ns);
    assert_int_equal(item->head->cpu, cpu);
    pv_probe_order_take(&order, item);
}

static void test_both_rings_in_one_order(void **state)
{
    (void)state;
    put(0, 10, 0, 1);
    put(0, 30, 1, 1);
    put(0, 25, 0, 3); /* reserved later, its time taken first */
    put(1, 20, 0, 2);
    put(1, 30, 0, 4);
    fill(100);
    expect(10, 0);
    expect(20, 0);
    expect(25, 0);
    expect(30, 0);
    expect(30, 1);
    assert_null(pv_probe_order_peek(&order));
    assert_true(pv_probe_order_is_empty(&order));
}

/* What is later than the look at the rings may still be overtaken. */
static void test_waits_for_earlier(void **state)
{
    (void)state;
    put(0, 50, 0, 2);
    fill(40);
    assert_null(pv_probe_order_peek(&order));
    put(1, 45, 0, 1);
    fill(60);
    expect(45, 0);
    expect(50, 0);
}

/* Space is freed only up to the first record that was not handed out. */
static void test_release(void **state)
{
    (void)state;
    put(0, 20, 0, 2);
    put(0, 10, 1, 1);
    fill(100);
    expect(10, 1);
    pv_probe_order_release(&order);
    assert_int_equal(memory[0].consumer[0], 0);
    expect(20, 0);
    pv_probe_order_release(&order);
    assert_int_equal(memory[0].consumer[0], 2 * STEP);
}

static void test_no_such_cpu(void **state)
{
    struct pv_err err = PV_ERR_INIT;

    (void)state;
    put(0, 10, 7, 1);
    put(0, 11, 1, 1);
    assert_int_equal(pv_probe_order_fill(&order, 100, 2, &err), -EBADMSG);
    fill(100); /* it has been passed */
    expect(11, 1);
}

/* Both rings by turns, each a little out of order: one order all the same, and everything. */
static void test_rings_by_turns(void **state)
{
    enum { N = 700, ROUNDS = 40 };
    uint64_t now = 100, last = 0;
    unsigned n = 0;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        (void)begin(NULL);
        for (unsigned i = 0; i < N; i++, now += 2)
            put((i >> round % 5) % 2, now + (i % 3 == 1 ? 3 : 0), 0, i);
        fill(now + 10);
        for (const struct pv_probe_item *item; (item = pv_probe_order_peek(&order)); n++) {
            assert_true(item->head->time_ns >= last);
            last = item->head->time_ns;
            pv_probe_order_take(&order, item);
        }
        assert_true(pv_probe_order_is_empty(&order));
    }
    assert_int_equal(n, N * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_both_rings_in_one_order, begin),
        cmocka_unit_test_setup(test_waits_for_earlier, begin),
        cmocka_unit_test_setup(test_release, begin),
        cmocka_unit_test_setup(test_no_such_cpu, begin),
        cmocka_unit_test_setup(test_rings_by_turns, begin),
    };

    return cmocka_run_group_tests_name("probe order", tests, NULL, NULL);
}
