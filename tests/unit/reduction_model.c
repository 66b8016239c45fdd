#include "reduction_model.h"

#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#ifdef MODEL_RAW
#define RED_REDUNDANT(condition) ((void)(condition), false)
#endif

#include "reduce_state.h"

#ifdef MODEL_NO_FLIGHTS
enum { WITH_FLIGHTS = 0 };
#else
enum { WITH_FLIGHTS = 1 };
#endif
/* Objects 0 and 1 are streams. */
enum { STREAMS = 2 };

struct thread {
    u32 op; /* 0: in user space; else what is under way */
    u32 object;
    u32 other; /* of a copy: where it goes */
    u32 moved;
    u32 known; /* what a read under way has brought, by entity */
    u32 taken; /* what the process knew when a write began, reads under way included */
};
struct process {
    struct proc_state state[MODEL_THREADS]; /* one, unless the fault is put back */
    struct thread threads[MODEL_THREADS];
    u32 n_threads;
};
static struct {
    struct process p[MODEL_PROCS];
    struct object_state objects[MODEL_OBJECTS];
    struct model_result *result;
    u64 random;
    u64 stamp;
} m;

enum { OP_NONE, OP_READ, OP_WRITE, OP_COPY };

static u32 proc_bit(u64 id)
{
    return (u32)id - 1;
}

static u32 object_bit(u64 id)
{
    return MODEL_PROCS + (u32)id - 1;
}

/* What the records say is followed as they come. */
static bool red_emit(struct proc_state *proc, u16 kind, u64 object, u64 n_bytes, u32 sysno)
{
    u32 *told = m.result->told;

    (void)n_bytes;
    (void)sysno;
    m.result->records++;
    if (kind == 7)
        told[proc_bit(proc->id)] |= told[object_bit(object)];
    else
        told[object_bit(object)] |= told[proc_bit(proc->id)];
    return true;
}

static void red_total(struct proc_state *proc, struct slot *slot)
{
    (void)proc;
    (void)slot;
}

static struct object_state *red_find(struct object_key *key)
{
    return &m.objects[key->ino];
}

static u64 red_stamp(void)
{
    return ++m.stamp;
}

static void red_cannot_follow(void)
{
}

#define RED_FN static __attribute__((unused)) /* mappings are not part of the model */
#define RED_INLINE static
#include "reduce.h"

static u32 draw(u32 below)
{
    m.random ^= m.random << 13;
    m.random ^= m.random >> 7;
    m.random ^= m.random << 17;
    return (u32)((m.random >> 11) % below);
}

static struct proc_state *state_of(struct process *p, u32 thread)
{
#ifdef MODEL_PER_THREAD
    return &p->state[thread];
#else
    (void)thread;
    return &p->state[0];
#endif
}

static struct red_op op_on(u32 object, u32 when)
{
    return (struct red_op){.key = {.ino = object}, .when = when, .stream = object < STREAMS};
}

static void hook_read(struct proc_state *state, u32 object, u32 when)
{
    struct red_op op = op_on(object, when);

#ifdef MODEL_NO_OBJECT
    /* as if nobody had written since */
    struct slot *slot = slot_of(state, m.objects[object].id);
    if (slot->read_version)
        slot->read_version = m.objects[object].version;
#endif
    red_read(state, &m.objects[object], &op);
}

static void hook_write(struct proc_state *state, u32 object, u32 when)
{
    struct red_op op = op_on(object, when);

    red_write(state, &m.objects[object], &op);
}

static u32 knows(struct process *p)
{
    return m.result->real[p - m.p];
}

static void enter(struct process *p, u32 t)
{
    struct thread *thread = &p->threads[t];
    struct proc_state *state = state_of(p, t);
    struct object_key key = {0};

    *thread = (struct thread){.op = OP_READ + draw(3), .object = draw(MODEL_OBJECTS)};
    thread->other = (thread->object + 1 + draw(MODEL_OBJECTS - 1)) % MODEL_OBJECTS;
    key.ino = thread->object;
    if (thread->op != OP_READ)
        end_phase(state, 0);
    if (thread->op == OP_WRITE)
        hook_write(state, thread->object, AT_ENTRY);
    if (thread->op == OP_COPY) {
        hook_read(state, thread->object, AT_ENTRY);
        hook_write(state, thread->other, AT_ENTRY);
    }
    if (WITH_FLIGHTS && p->n_threads > 1 && thread->op != OP_COPY)
        flight_begin(state, &key, t + 1, thread->op == OP_READ ? FLIGHT_READS : FLIGHT_WRITES);
    thread->taken = knows(p);
    for (u32 i = 0; i < p->n_threads; i++)
        thread->taken |= p->threads[i].op == OP_READ ? p->threads[i].known : 0;
}

/* Data moves. What a read brings is in the process's memory at once; that it is passed on by
 * another thread's write which had begun before it came, while the read itself still lasts, is the
 * one case that the probes cannot tell (bpf/README.md). */
static void move(struct process *p, struct thread *thread)
{
    u32 *real = m.result->real;
    u32 object = MODEL_PROCS + thread->object;

    thread->moved = 1;
    if (thread->op == OP_READ)
        thread->known |= real[object];
    else if (thread->op == OP_WRITE)
        real[object] |= knows(p) | thread->taken;
    else
        real[MODEL_PROCS + thread->other] |= real[object];
}

static void leave(struct process *p, u32 t)
{
    struct thread *thread = &p->threads[t];
    struct proc_state *state = state_of(p, t);

    if (thread->op != OP_READ)
        end_phase(state, 0);
    if (thread->op == OP_READ && thread->moved)
        hook_read(state, thread->object, AT_EXIT);
    if (thread->op == OP_WRITE && thread->moved)
        hook_write(state, thread->object, AT_EXIT);
    if (thread->op == OP_COPY && thread->moved) {
        hook_read(state, thread->object, AT_EXIT);
        hook_write(state, thread->other, AT_EXIT);
    }
    m.result->real[p - m.p] |= thread->known;
    if (state->n_flights)
        flight_end(state, t + 1);
    thread->op = OP_NONE;
    thread->known = 0;
}

/* A copy is one step: what others see of it between its entry and its exit is, like a relay by
 * mappings, not followed. */
static void step(struct process *p, u32 t)
{
    struct thread *thread = &p->threads[t];

    if (thread->op == OP_NONE) {
        enter(p, t);
        if (thread->op != OP_COPY)
            return;
        move(p, thread);
        leave(p, t);
    } else if (!thread->moved || draw(4) == 0) {
        move(p, thread);
    } else {
        leave(p, t);
    }
}

static void finish(void)
{
    for (u32 i = 0; i < MODEL_PROCS; i++)
        for (u32 t = 0; t < m.p[i].n_threads; t++) {
            if (m.p[i].threads[t].op != OP_NONE)
                leave(&m.p[i], t);
            end_phase(state_of(&m.p[i], t), 0);
        }
}

static void begin(uint64_t seed, struct model_result *ret)
{
    memset(&m, 0, sizeof m);
    *ret = (struct model_result){.records = 0};
    m.result = ret;
    m.random = seed * 0x9e3779b97f4a7c15ull + 1;
    for (u32 i = 0; i < MODEL_ENTITIES; i++)
        ret->real[i] = ret->told[i] = 1u << i;
    for (u32 i = 0; i < MODEL_OBJECTS; i++)
        m.objects[i] = (struct object_state){.id = i + 1, .version = red_stamp()};
    for (u32 i = 0; i < MODEL_PROCS; i++) {
        m.p[i].n_threads = 1 + draw(MODEL_THREADS);
        for (u32 t = 0; t < MODEL_THREADS; t++) {
            m.p[i].state[t].id = i + 1;
            m.p[i].state[t].version = red_stamp();
            m.p[i].state[t].phase = 1;
        }
    }
}

void MODEL_NAME(uint64_t seed, struct model_result *ret)
{
    begin(seed, ret);
    for (u32 i = 0; i < MODEL_STEPS; i++) {
        struct process *p = &m.p[draw(MODEL_PROCS)];

        step(p, draw(p->n_threads));
    }
    finish();
}
