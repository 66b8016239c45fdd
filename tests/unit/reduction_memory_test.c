/* What a process remembers of an object, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#include "reduce_state.h"

static struct {
    struct proc_state reader;
    struct proc_state writer;
    struct object_cell cell;
    u64 stamp;
    unsigned reads; /* edges */
} t;

static bool red_emit(struct proc_state *proc, u16 kind, u64 object, u64 n_bytes, u32 sysno)
{
    (void)object;
    (void)n_bytes;
    (void)sysno;
    t.reads += kind == RED_READ && proc == &t.reader;
    return true;
}

static void red_total(struct proc_state *proc, struct slot *slot)
{
    (void)proc;
    (void)slot;
}

static struct object_state *red_find(struct object_key *key)
{
    (void)key;
    return NULL;
}

static struct object_cell *red_cell(u32 index)
{
    (void)index;
    return &t.cell;
}

static u64 red_stamp(void)
{
    return ++t.stamp;
}

static void red_cannot_follow(void)
{
}

#define RED_FN static __attribute__((unused))
#define RED_INLINE static inline __attribute__((unused))
#include "reduce.h"

enum { STREAM = 1, OTHER = 2, FD = 3, NAME = 4 };

static struct red_op on(u64 object)
{
    struct red_op op = {.object = object, .fd = FD, .when = AT_EXIT, .stream = object == STREAM};

    op.key.ino = object;
    return op;
}

static int begin(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    t.cell.tag = red_stamp();
    t.reader.version = red_stamp();
    t.writer.version = red_stamp();
    t.reader.phase = t.writer.phase = 1;
    return 0;
}

/* Edges of the end of a phase in which the stream was read twice and that was written meanwhile. */
static unsigned edges_at_end(u64 written)
{
    struct red_op read = on(STREAM);
    struct red_op write = on(written);

    assert_int_equal(red_read(&t.reader, &read), 1);
    assert_int_equal(red_read(&t.reader, &read), 1);
    assert_int_equal(t.reads, 1);
    if (written)
        assert_int_equal(red_write(&t.writer, &write), 1);
    end_phase(&t.reader, 0);
    return t.reads - 1;
}

static void test_later_reads(void **state)
{
    (void)state;
    assert_int_equal(edges_at_end(0), 1);
}

static void test_later_reads_of_what_was_written(void **state)
{
    (void)state;
    assert_int_equal(edges_at_end(STREAM), 0);
}

static void test_another_of_the_cell_was_written(void **state)
{
    (void)state;
    assert_int_equal(edges_at_end(OTHER), 1);
}

static bool knows(bool crossed)
{
    struct red_op op = on(STREAM);
    struct known known;

    return is_known(&t.reader, FD, &op.key, NAME, crossed, &known) && known.object == STREAM;
}

static void learn(bool crossed, u32 mapped)
{
    struct red_op op = on(STREAM);

    op.mapped = mapped;
    slot_learn(&t.reader, &op, NAME, t.cell.tag, crossed);
}

static void test_asked_for_again(void **state)
{
    (void)state;
    learn(false, 0);
    for (unsigned i = 0; i < USES_MAX; i++)
        assert_true(knows(false));
    assert_false(knows(false));
    learn(false, 0);
    assert_true(knows(false));
}

static void test_changed(void **state)
{
    (void)state;
    learn(false, 0);
    t.cell.tag = red_stamp();
    assert_false(knows(false));
}

static void test_crossed(void **state)
{
    (void)state;
    learn(true, 0);
    assert_false(knows(false));
    learn(false, 0);
    assert_false(knows(true));
    assert_true(knows(false));
}

static void test_mapped(void **state)
{
    struct red_op read = on(OTHER);
    struct slot *slot = slot_of(&t.reader, OTHER);

    (void)state;
    slot_learn(&t.reader, &read, NAME, t.cell.tag, false);
    assert_int_equal(red_read(&t.reader, &read), 1);
    assert_true(read_again(&t.reader, slot, &t.cell, 1));
    read.mapped = 1;
    slot_learn(&t.reader, &read, NAME, t.cell.tag, false);
    assert_false(read_again(&t.reader, slot, &t.cell, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_later_reads, begin),
        cmocka_unit_test_setup(test_later_reads_of_what_was_written, begin),
        cmocka_unit_test_setup(test_another_of_the_cell_was_written, begin),
        cmocka_unit_test_setup(test_asked_for_again, begin),
        cmocka_unit_test_setup(test_changed, begin),
        cmocka_unit_test_setup(test_crossed, begin),
        cmocka_unit_test_setup(test_mapped, begin),
    };

    return cmocka_run_group_tests_name("reduction memory", tests, NULL, NULL);
}
