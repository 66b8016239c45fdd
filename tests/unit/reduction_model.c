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

#ifdef MODEL_STALE_HINT
#define RED_SAME_KEY(condition) ((void)(condition), true)
#endif

#include "reduce_state.h"

#ifdef MODEL_NO_FLIGHTS
enum { WITH_FLIGHTS = 0 };
#else
enum { WITH_FLIGHTS = 1 };
#endif
#ifdef MODEL_SOUND
enum { MODEL_CELLS = MODEL_OBJECTS };
#else
enum { MODEL_CELLS = 2 };
#endif
/* Objects 0 and 1 are streams. Objects share cells but in MODEL_SOUND, their ids share slots, and
 * two of the descriptors share a hint. */
enum { STREAMS = 2, MODEL_FDS = 3, ID_STEP = 8, IDS_MAX = 128 };
static const u32 fd_numbers[MODEL_FDS] = {0, 5, HINTS};

struct thread {
    u32 op; /* 0: in user space; else what is under way */
    u32 fd; /* and what stood behind it when it began */
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
    u32 fds[MODEL_FDS]; /* objects */
    u32 mapped;         /* 1 more than the object that it maps shared and writable; 0: none */
};
static struct {
    struct process p[MODEL_PROCS];
    struct object_state objects[MODEL_OBJECTS]; /* id 0: forgotten */
    struct object_cell cells[MODEL_CELLS];
    u32 of_id[IDS_MAX];
    u32 n_ids;
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
    return MODEL_PROCS + m.of_id[id / ID_STEP];
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
    return m.objects[key->ino].id ? &m.objects[key->ino] : NULL;
}

static struct object_cell *red_cell(u32 index)
{
    return &m.cells[index];
}

static u64 red_stamp(void)
{
    return ++m.stamp;
}

static void red_cannot_follow(void)
{
}

#define RED_FN static
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

/* What is done without a name is always known by the same. */
enum { NAME = 1 };

/* As the probes ask for it: one that was forgotten gets another id. */
static struct object_state *object_of(u32 object)
{
    struct object_state *state = &m.objects[object];
    u32 n = m.n_ids;

    if (state->id)
        return state;
    m.n_ids++;
    m.of_id[n] = object;
    *state = (struct object_state){.id = n * ID_STEP + 1, .cell = object % MODEL_CELLS};
    red_cell(state->cell)->tag = red_stamp();
    return state;
}

/* Somebody shares its memory and its descriptors. */
static bool is_crossed(const struct process *p)
{
#ifdef MODEL_CROSSED
    (void)p;
    return false;
#else
    return p->n_threads > 1;
#endif
}

/* By what the process knows of the descriptor, or asked for. */
static struct red_op op_on(struct proc_state *state, u32 fd, u32 object, u32 when)
{
    struct red_op op = {.key = {.ino = object},
                        .cell = object % MODEL_CELLS,
                        .when = when,
                        .stream = object < STREAMS,
                        .fd = fd_numbers[fd]};
    bool crossed = is_crossed(&m.p[proc_bit(state->id)]);
    struct known known;

    if (is_known(state, op.fd, &op.key, NAME, crossed, &known)) {
        op.object = known.object;
        op.cell = known.index;
        op.stream = known.slot->stream;
        op.mapped = known.slot->mapped;
        return op;
    }
    op.object = object_of(object)->id;
    op.mapped = m.objects[object].mapped_writable;
    slot_learn(state, &op, NAME, red_cell(op.cell)->tag, crossed);
    return op;
}

static void hook_read(struct proc_state *state, u32 fd, u32 object, u32 when)
{
    struct red_op op = op_on(state, fd, object, when);

#ifdef MODEL_NO_OBJECT
    /* as if nobody had written since */
    struct slot *slot = slot_of(state, op.object);
    if (slot->read_mark)
        slot->read_mark = mark_of(op.object, red_cell(op.cell)->version);
#endif
    red_read(state, &op);
}

static int hook_write(struct proc_state *state, u32 fd, u32 object, u32 when, u32 *ret_slot)
{
    struct red_op op = op_on(state, fd, object, when);

    *ret_slot = op.object & (SLOTS - 1);
    return red_write(state, &op);
}

/* Its calls may go the short way. */
static bool is_alone(const struct process *p)
{
#ifdef MODEL_RAW
    (void)p;
    return false;
#else
    return !is_crossed(p);
#endif
}

static bool is_usual_read(struct process *p, struct proc_state *state, const struct thread *thread)
{
    struct object_key key = {.ino = thread->object};
    struct known known;

    return is_alone(p) && !state->n_flights &&
           is_known(state, fd_numbers[thread->fd], &key, NAME, false, &known) &&
           read_again(state, known.slot, known.cell, 1);
}

static bool is_usual_write(struct process *p, struct proc_state *state, const struct thread *thread)
{
    struct object_key key = {.ino = thread->object};
    struct known known;

    if (!is_alone(p) || !is_known(state, fd_numbers[thread->fd], &key, NAME, false, &known) ||
        !write_again(state, known.slot, known.cell))
        return false;
    write_begun(state, 0, known.object & (SLOTS - 1));
    return true;
}

static void write_begins(struct process *p, struct proc_state *state, const struct thread *thread)
{
    u32 slot = 0;

    if (is_usual_write(p, state, thread))
        return;
    state->begun = 0;
    phase_ends(state, 0);
    if (!hook_write(state, thread->fd, thread->object, AT_ENTRY, &slot) || !is_alone(p))
        return;
    write_begun(state, 0, slot);
#ifdef MODEL_NO_EXIT
    state->begun = 1;
#endif
}

static void write_returns(struct proc_state *state, const struct thread *thread)
{
    u32 slot = 0;

    if (write_ended(state, 0, thread->moved))
        return;
    phase_ends(state, 0);
    if (thread->moved)
        hook_write(state, thread->fd, thread->object, AT_EXIT, &slot);
}

/* From one descriptor to another. */
static void copy(struct proc_state *state, const struct thread *thread, u32 when)
{
    u32 slot = 0;

    phase_ends(state, 0);
    hook_read(state, thread->fd, thread->object, when);
    hook_write(state, (thread->fd + 1) % MODEL_FDS, thread->other, when, &slot);
}

/* A process of one thread maps what is behind a descriptor, shared and writable. */
static void map(struct process *p)
{
    u32 fd = draw(MODEL_FDS);
    struct proc_state *state = state_of(p, 0);
    struct object_key key = {.ino = p->fds[fd]};
    u32 slot = 0;

    if (p->n_threads > 1 || p->threads[0].op != OP_NONE || p->mapped)
        return;
    phase_ends(state, 0);
    struct object_state *object = object_of(p->fds[fd]);
    object->mapped_writable = 1;
    red_cell(object->cell)->tag = red_stamp();
    hook_read(state, fd, p->fds[fd], AT_ENTRY);
    hook_write(state, fd, p->fds[fd], AT_ENTRY, &slot);
    remember_shared(state, &key, 1);
    p->mapped = p->fds[fd] + 1;
}

/* Between system calls a process reads from its mapping and writes to it. (That a write takes from
 * it what came after its entry, and is read before its exit, is the case not told: see `move`.) */
static void use_mapping(struct process *p)
{
    u32 *real = m.result->real;

    if (!p->mapped)
        return;
    real[p - m.p] |= real[MODEL_PROCS + p->mapped - 1];
    real[MODEL_PROCS + p->mapped - 1] |= real[p - m.p];
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

    *thread = (struct thread){.op = OP_READ + draw(3), .fd = draw(MODEL_FDS)};
    thread->object = p->fds[thread->fd];
    thread->other = p->fds[(thread->fd + 1) % MODEL_FDS];
    key.ino = thread->object;
    if (thread->op == OP_WRITE)
        write_begins(p, state, thread);
    if (thread->op == OP_COPY)
        copy(state, thread, AT_ENTRY);
    if (WITH_FLIGHTS && is_crossed(p) && thread->op != OP_COPY) {
        (void)object_of(thread->object);
        flight_begin(state, &key, t + 1, thread->op == OP_READ ? FLIGHT_READS : FLIGHT_WRITES);
    }
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

    if (thread->op == OP_READ && thread->moved && !is_usual_read(p, state, thread))
        hook_read(state, thread->fd, thread->object, AT_EXIT);
    if (thread->op == OP_WRITE)
        write_returns(state, thread);
    if (thread->op == OP_COPY && thread->moved)
        copy(state, thread, AT_EXIT);
    m.result->real[p - m.p] |= thread->known;
    if (state->n_flights)
        flight_end(state, t + 1);
    thread->op = OP_NONE;
    thread->known = 0;
}

/* A descriptor becomes another object's: by dup2, or closed and opened again. */
static void change_fd(struct process *p)
{
    u32 fd = draw(MODEL_FDS);

    p->fds[fd] = draw(MODEL_OBJECTS);
}

/* The table of objects is full: one that no call is about is forgotten. */
static void forget_object(void)
{
    u32 object = draw(MODEL_OBJECTS);

    if (m.objects[object].mapped_writable)
        return;
    for (u32 i = 0; i < MODEL_PROCS; i++)
        for (u32 t = 0; t < MODEL_THREADS; t++)
            if (m.p[i].threads[t].op != OP_NONE)
                return;
    m.objects[object].id = 0;
}

/* A copy is one step: what others see of it between its entry and its exit is, like a relay by
 * mappings, not followed. */
static void step(struct process *p, u32 t)
{
    struct thread *thread = &p->threads[t];

    if (thread->op == OP_NONE) {
        use_mapping(p);
        enter(p, t);
        if (thread->op != OP_COPY)
            return;
        move(p, thread);
        leave(p, t);
    } else if (!thread->moved || draw(4) == 0) {
        move(p, thread);
    } else {
        leave(p, t);
        use_mapping(p);
    }
}

static void finish(void)
{
    for (u32 i = 0; i < MODEL_PROCS; i++)
        for (u32 t = 0; t < m.p[i].n_threads; t++) {
            if (m.p[i].threads[t].op != OP_NONE)
                leave(&m.p[i], t);
            end_phase(state_of(&m.p[i], t), 0);
            pass_all_unseen(state_of(&m.p[i], t), 0);
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
    for (u32 i = 0; i < MODEL_PROCS; i++) {
        m.p[i].n_threads = 1 + draw(MODEL_THREADS);
        for (u32 fd = 0; fd < MODEL_FDS; fd++)
            m.p[i].fds[fd] = draw(MODEL_OBJECTS);
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
        u32 what = draw(12);

        if (what == 0)
            change_fd(p);
        else if (what == 1)
            forget_object();
        else if (what == 2)
            map(p);
        else
            step(p, draw(p->n_threads));
    }
    finish();
}
