#include "reduction_race.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

static void yield_turn(void);

#define RED_ORDER()                                                                                \
    do {                                                                                           \
        __asm__ volatile("" ::: "memory");                                                         \
        yield_turn();                                                                              \
    } while (0)
#define RED_REDUNDANT(condition) (yield_turn(), (condition))
#ifdef RACE_LEARNING
#define RED_CROSSED(condition) ((void)(condition), false)
#endif
#ifdef RACE_UNMARKED
#define RED_MARKED(object) ((void)(object), (u64)0)
#endif

#include "reduce_state.h"

enum { RACERS = 2, NAME = 1, NOBODY = RACERS, USES = 2 };
enum { USED_READ = 1, USED_WRITE = 2 };

static struct {
    struct proc_state proc;
    struct object_cell cell;
    u64 stamp;
    u64 random;
    u32 used[RACERS]; /* how, by object */
    u32 told[RACERS];
    u32 wrong[RACERS]; /* by racer */
} r;
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    u32 turn; /* NOBODY: they run freely */
    bool ended[RACERS];
} turns = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .turn = NOBODY};
static _Thread_local u32 me = NOBODY;

/* Both in slot 5. */
static u64 id_of(u32 object)
{
    return (object + 1) * SLOTS + 5;
}

static bool red_emit(struct proc_state *proc, u16 kind, u64 object, u64 n_bytes, u32 sysno)
{
    (void)proc;
    (void)n_bytes;
    (void)sysno;
    yield_turn();
    __sync_fetch_and_or(&r.told[object / SLOTS - 1], kind == RED_READ ? USED_READ : USED_WRITE);
    yield_turn();
    return true;
}

static void red_total(struct proc_state *proc, struct slot *slot)
{
    (void)proc;
    (void)slot;
    yield_turn();
}

static struct object_state *red_find(struct object_key *key)
{
    (void)key;
    return NULL;
}

static struct object_cell *red_cell(u32 index)
{
    (void)index;
    yield_turn();
    return &r.cell;
}

static u64 red_stamp(void)
{
    return __sync_add_and_fetch(&r.stamp, 1);
}

static void red_cannot_follow(void)
{
}

#define RED_FN static __attribute__((noinline, unused))
#define RED_INLINE static inline __attribute__((always_inline, unused))
#include "reduce.h"

static u32 draw(u32 below)
{
    r.random ^= r.random << 13;
    r.random ^= r.random >> 7;
    r.random ^= r.random << 17;
    return (u32)((r.random >> 11) % below);
}

static void wait_for_turn(void)
{
    while (turns.turn != me)
        pthread_cond_wait(&turns.changed, &turns.lock);
}

static void give_turn(void)
{
    turns.turn = 1 - me;
    pthread_cond_broadcast(&turns.changed);
}

static void yield_turn(void)
{
    if (me == NOBODY || turns.turn == NOBODY || turns.ended[1 - me] || draw(2) == 0)
        return;
    pthread_mutex_lock(&turns.lock);
    give_turn();
    wait_for_turn();
    pthread_mutex_unlock(&turns.lock);
}

/* One call on the racer's object, by a descriptor of its own, as the probes do it. */
static void use(u32 racer, u32 how, bool crossed)
{
    struct red_op op = {.object = id_of(racer), .fd = racer, .when = AT_EXIT};
    struct known known;

    op.key.ino = id_of(racer);
    r.used[racer] |= how;
    if (!is_known(&r.proc, op.fd, &op.key, NAME, crossed, &known)) {
        slot_learn(&r.proc, &op, NAME, r.cell.tag, crossed);
    } else if (known.object != op.object) {
        r.wrong[racer]++;
        op.object = known.object;
    }
    if (how == USED_READ)
        red_read(&r.proc, &op);
    else
        red_write(&r.proc, &op);
}

static void begin(uint64_t seed)
{
    memset(&r, 0, sizeof r);
    r.random = seed * 0x9e3779b97f4a7c15ull + 1;
    r.stamp = 1;
    r.cell.tag = red_stamp();
    r.cell.version = red_stamp();
    r.proc.version = red_stamp();
    r.proc.phase = 1;
    /* before it has a second thread, the process has used one of them */
    if (seed % 2)
        use((u32)seed / 2 % RACERS, USED_READ, false);
}

/* Alone again: what do the descriptors stand for, and was all told? */
static void judge(struct race_result *ret)
{
    struct object_key key = {0};
    struct known known;

    for (u32 i = 0; i < RACERS; i++) {
        key.ino = id_of(i);
        if (is_known(&r.proc, i, &key, NAME, false, &known) && known.object != id_of(i))
            ret->wrong++;
        ret->wrong += r.wrong[i];
        ret->missing += r.used[i] & ~r.told[i] ? 1 : 0;
    }
}

static u32 how_of(uint64_t seed, u32 racer, u32 use)
{
    return (seed >> (2 + racer * USES + use)) & 1 ? USED_WRITE : USED_READ;
}

struct racer {
    pthread_t thread;
    uint64_t seed;
    u32 number;
};

static void *race_in_turns(void *arg)
{
    const struct racer *racer = arg;

    me = racer->number;
    pthread_mutex_lock(&turns.lock);
    wait_for_turn();
    pthread_mutex_unlock(&turns.lock);
    for (u32 i = 0; i < USES; i++)
        use(me, how_of(racer->seed, me, i), true);
    pthread_mutex_lock(&turns.lock);
    turns.ended[me] = true;
    give_turn();
    pthread_mutex_unlock(&turns.lock);
    return NULL;
}

void RACE_NAME(uint64_t seed, struct race_result *ret)
{
    struct racer racers[RACERS];

    begin(seed);
    turns.ended[0] = turns.ended[1] = false;
    turns.turn = draw(RACERS);
    for (u32 i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.seed = seed, .number = i};
        if (pthread_create(&racers[i].thread, NULL, race_in_turns, &racers[i]) != 0)
            __builtin_trap();
    }
    for (u32 i = 0; i < RACERS; i++)
        (void)pthread_join(racers[i].thread, NULL);
    turns.turn = NOBODY;
    judge(ret);
}

#ifdef RACE_SOUND
static struct {
    unsigned arrived;
    unsigned round;
    unsigned rounds;
    struct race_result *result;
} free_race;

/* The last one prepares the next round. */
static void meet(unsigned round)
{
    if (__sync_add_and_fetch(&free_race.arrived, 1) == RACERS) {
        if (round)
            judge(free_race.result);
        begin(round + 1);
        free_race.arrived = 0;
        __atomic_store_n(&free_race.round, round + 1, __ATOMIC_SEQ_CST);
    }
    while (__atomic_load_n(&free_race.round, __ATOMIC_SEQ_CST) <= round)
        (void)sched_yield();
}

static void *race_free(void *arg)
{
    const struct racer *racer = arg;

    me = racer->number;
    meet(0);
    for (unsigned round = 1; round <= free_race.rounds; round++) {
        for (u32 i = 0; i < USES; i++)
            use(me, how_of(round, me, i), true);
        meet(round);
    }
    return NULL;
}

void race_freely(unsigned rounds, struct race_result *ret)
{
    struct racer racers[RACERS];

    free_race.rounds = rounds;
    free_race.result = ret;
    for (u32 i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.number = i};
        if (pthread_create(&racers[i].thread, NULL, race_free, &racers[i]) != 0)
            __builtin_trap();
    }
    for (u32 i = 0; i < RACERS; i++)
        (void)pthread_join(racers[i].thread, NULL);
}
#endif
