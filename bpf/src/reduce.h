/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Read and write edges, reduced without losing a dependency (eager edge, lazy totals).
 *
 * A process's version changes with every read edge, an object's with every write edge. Then
 *   - reading again is redundant while no write edge has reached the object since this process's
 *     last read edge: what it could learn, the process already derives from. Of a stream (pipe,
 *     socket, device), whose writer may be untraced, the first read after any output is recorded
 *     all the same, and what is read after it, as one more edge before the next output: they say
 *     when;
 *   - writing is redundant while neither the process nor the object has changed since this
 *     process's last write edge to it;
 *   - reading what somebody holds mapped writable is never redundant.
 * (Versioning after Hossain et al., "Dependence-Preserving Data Compaction", USENIX Security 2018.)
 *
 * Versions are per process, shared by its threads, and per cell, shared by the objects whose keys
 * hash alike: an object counts as changed when another of its cell has. They are stamps that never
 * repeat. A slot's mark names the object with the version in one word: a racing thread that has
 * given the slot to another object in between leaves a mark that is true, or is not looked for. An
 * edge is emitted first, then the version changes, then the slot says so: whoever sees the slot's
 * new value also sees the version's. A lost record leaves all as it was, so that the next operation
 * emits the edge again.
 *
 * The usual operation is one more on a descriptor whose object the process has in a slot: `hints`
 * says in which. It is believed (`is_known`) if the slot holds the key and the name that the
 * descriptor has now, its cell has no newer tag, and the object was asked for not too many uses
 * ago: the table forgets what nobody asks for. While several threads use the slots nothing of this
 * is learned or believed: what one stores may belong to another's object.
 *
 * While a system call of one thread lasts, another thread may fill its buffer or use what it has
 * brought. Calls under way of a process that has several threads are therefore remembered
 * (`flights`): what is being read counts as read before anything is written, and what is being
 * written counts as written after anything was read, like shared mappings, which are the same
 * without a system call.
 *
 * This header is compiled for BPF and, by the property test, for user space. The includer defines
 * RED_FN (linkage of a function that the verifier checks by itself), RED_INLINE, and
 *   bool red_emit(proc, kind, object id, n_bytes, sysno)   false: the record was lost
 *   void red_total(proc, slot)                             emits and clears a slot's totals
 *   struct object_state *red_find(key)
 *   struct object_cell *red_cell(index)
 *   u64 red_stamp(void)
 *   void red_cannot_follow(void)                           counts a loss */
#pragma once

#include "reduce_state.h"

#ifndef RED_REDUNDANT
#define RED_REDUNDANT(condition) (condition)
#endif
#ifndef RED_SAME_KEY
#define RED_SAME_KEY(condition) (condition)
#endif
#ifndef RED_CROSSED
#define RED_CROSSED(condition) (condition)
#endif
#ifndef RED_MARKED
#define RED_MARKED(object) (object)
#endif

/* Multiples of the golden ratio and of the root of two, which no quotients of small numbers come
 * near: two marks that differ in one or two of object and version (or, to the same object, in the
 * versions) are equal only where the product of the differences passes 2^61. */
RED_INLINE u64 mark_of(u64 object, u64 version)
{
    return version + RED_MARKED(object) * 0x9e3779b97f4a7c15ull;
}

RED_INLINE u64 mark_of_write(u64 object, u64 version, u64 proc_version)
{
    return mark_of(object, version) + proc_version * 0x6a09e667f3bcc909ull;
}

RED_INLINE struct slot *slot_of(struct proc_state *proc, u64 object)
{
    struct slot *slot = &proc->slots[object & (SLOTS - 1)];

    if (slot->object != object) {
        red_total(proc, slot);
        __builtin_memset(slot, 0, sizeof *slot);
        RED_ORDER();
        slot->object = object;
    }
    return slot;
}

RED_INLINE bool is_same_object(const struct object_key *a, const struct object_key *b)
{
    return a->ino == b->ino && a->instance == b->instance && a->dev == b->dev && a->gen == b->gen;
}

struct known {
    struct slot *slot;
    struct object_cell *cell;
    u64 object;
    u32 index; /* of the cell */
};

/* The object that a descriptor stands for, if the process has used it by that number before and no
 * object of its cell has got an id or another name since. name: under which the descriptor has it.
 * crossed: somebody else may use the slots. */
RED_INLINE bool is_known(struct proc_state *proc, u32 fd, const struct object_key *key, u64 name,
                         bool crossed, struct known *ret)
{
    struct slot *slot = &proc->slots[proc->hints[fd & (HINTS - 1)] & (SLOTS - 1)];

    if (RED_CROSSED(crossed))
        return false;
    ret->object = slot->object;
    ret->slot = slot;
    ret->index = slot->cell;
    ret->cell = red_cell(ret->index);
    if (!ret->cell || !ret->object || !slot->uses_left ||
        !RED_SAME_KEY(is_same_object(&slot->key, key)) || slot->name != name ||
        slot->tag != ret->cell->tag)
        return false;
    slot->uses_left--;
    return true;
}

/* tag: of the cell, read before the object was asked for. crossed: as above. (Slots that others use
 * are only cleared by them, and what was learned of an object goes with it.) */
RED_INLINE void slot_learn(struct proc_state *proc, const struct red_op *op, u64 name, u64 tag,
                           bool crossed)
{
    if (RED_CROSSED(crossed))
        return;
    struct slot *slot = slot_of(proc, op->object);
    RED_ORDER();
    slot->key = op->key;
    slot->name = name;
    slot->tag = tag;
    slot->cell = op->cell;
    slot->stream = op->stream;
    slot->mapped = op->mapped;
    slot->uses_left = USES_MAX;
    proc->hints[op->fd & (HINTS - 1)] = (u8)(op->object & (SLOTS - 1));
}

/* An edge from an object that is being read unseen, if it has changed since the last. 1: there was
 * one. */
RED_INLINE u32 read_unseen(struct proc_state *proc, struct object_key *key, u32 sysno)
{
    struct object_state *object = red_find(key);
    struct object_cell *cell = object ? red_cell(object->cell) : NULL;

    if (!object || !cell)
        return 0;
    u64 id = object->id;
    struct slot *slot = slot_of(proc, id);
    u64 version = cell->version;
    if (RED_REDUNDANT(slot->read_mark == mark_of(id, version) && !object->mapped_writable))
        return 0;
    if (!red_emit(proc, RED_READ, id, 0, sysno))
        return 0;
    proc->version = red_stamp();
    RED_ORDER();
    slot->read_mark = mark_of(id, version);
    return 1;
}

/* A write edge to it was emitted. */
RED_INLINE void has_changed(struct object_cell *cell, const struct object_key *key, u64 version)
{
    RED_ORDER();
    cell->written = hash_of_key(key);
    RED_ORDER();
    cell->version = version;
    RED_ORDER();
}

RED_INLINE void write_unseen(struct proc_state *proc, struct object_key *key, u32 sysno)
{
    struct object_state *object = red_find(key);
    struct object_cell *cell = object ? red_cell(object->cell) : NULL;

    if (!object || !cell)
        return;
    red_emit(proc, RED_WRITE, object->id, 0, sysno);
    has_changed(cell, key, red_stamp());
}

/* What the process has just learned may at once be in a mapping that it shares, and in what another
 * of its threads is writing. */
RED_FN int write_all_unseen(struct proc_state *proc, u32 sysno)
{
    struct object_key key;

    if (!proc)
        return 0;
    for (u32 i = 0; i < SHARED_MAX; i++) {
        if (i >= proc->n_shared)
            break;
        key = proc->shared[i].key;
        if (proc->shared[i].writable)
            write_unseen(proc, &key, sysno);
    }
    if (!proc->n_flights)
        return 0;
    for (u32 i = 0; i < FLIGHTS_MAX; i++) {
        key = proc->flights[i].key;
        if (proc->flights[i].thread && proc->flights[i].how & FLIGHT_WRITES)
            write_unseen(proc, &key, sysno);
    }
    return 0;
}

/* What others have put into a mapping, or what another thread is reading, may be in what the
 * process writes now. 1: it has learned something. */
RED_FN int read_all_unseen(struct proc_state *proc, u32 sysno)
{
    u32 learned = 0;

    if (!proc)
        return 0;
    for (u32 i = 0; i < SHARED_MAX; i++) {
        if (i >= proc->n_shared)
            break;
        learned |= read_unseen(proc, &proc->shared[i].key, sysno);
    }
    for (u32 i = 0; i < FLIGHTS_MAX; i++) {
        if (!proc->n_flights)
            break;
        if (proc->flights[i].thread && proc->flights[i].how & FLIGHT_READS)
            learned |= read_unseen(proc, &proc->flights[i].key, sysno);
    }
    return (int)learned;
}

/* The two in that order, of a caller's frame: a chain of both would exceed eight calls. */
RED_INLINE void pass_all_unseen(struct proc_state *proc, u32 sysno)
{
    if (read_all_unseen(proc, sysno) && (proc->shared_writable || proc->n_flights))
        write_all_unseen(proc, sysno);
}

/* The process is about to do something that others may see: what it has read until now counts
 * first. A stream that was the last of its cell to be written meanwhile is left out: what was read
 * until then derives from the edge that stands. (Where another of its cell has changed since, it is
 * not known whether it has: then an edge too many.) */
RED_FN int end_phase(struct proc_state *proc, u32 sysno)
{
    if (!proc)
        return 0;
    proc->phase++;
    for (u32 i = 0; i < PENDING_MAX; i++) {
        if (i >= proc->n_pending)
            break;
        struct object_cell *cell = red_cell(proc->pending[i].cell);
        if (!cell ||
            (cell->version != proc->pending[i].version && cell->written == proc->pending[i].hash))
            continue;
        red_emit(proc, RED_READ, proc->pending[i].object, 0, sysno);
        proc->version = red_stamp();
    }
    proc->n_pending = 0;
    return 0;
}

/* The same, without a call in the usual case. */
RED_INLINE void phase_ends(struct proc_state *proc, u32 sysno)
{
    if (proc->n_pending)
        end_phase(proc, sysno);
    else
        proc->phase++;
}

/* true when the edge of a stream's read may wait for the end of the phase. */
RED_INLINE bool defer_read(struct proc_state *proc, struct slot *slot, const struct red_op *op,
                           u64 version)
{
    u32 i = proc->n_pending;

    /* a shared mapping is an output that no system call shows */
    if (proc->shared_writable || proc->n_flights || slot->read_phase != proc->phase)
        return false;
    if (slot->pending_phase == proc->phase)
        return true;
    if (i >= PENDING_MAX)
        return false;
    proc->pending[i].object = op->object;
    proc->pending[i].cell = op->cell;
    proc->pending[i].version = version;
    proc->pending[i].hash = hash_of_key(&op->key);
    proc->n_pending = i + 1;
    slot->pending_phase = proc->phase;
    return true;
}

/* 1: an edge stands for it. 0: the record was lost. */
RED_FN int red_read(struct proc_state *proc, struct red_op *op)
{
    struct object_cell *cell = op ? red_cell(op->cell) : NULL;

    if (!proc || !op || !cell)
        return 0;
    struct slot *slot = slot_of(proc, op->object);
    u64 version = cell->version;

    if (op->when == AT_EXIT) {
        slot->read_ops++;
        slot->read_bytes += op->n_bytes;
    }
    if (RED_REDUNDANT(slot->read_mark == mark_of(op->object, version) && !op->mapped)) {
        if (!op->stream || defer_read(proc, slot, op, version))
            return 1;
    }
    if (!red_emit(proc, RED_READ, op->object, op->n_bytes, op->sysno))
        return 0;
    proc->version = red_stamp();
    RED_ORDER();
    slot->read_mark = mark_of(op->object, version);
    slot->read_phase = proc->phase;
    if (proc->shared_writable || proc->n_flights)
        write_all_unseen(proc, op->sysno);
    return 1;
}

/* 1: an edge stands for it. 0: the record was lost. */
RED_FN int red_write(struct proc_state *proc, struct red_op *op)
{
    struct object_cell *cell = op ? red_cell(op->cell) : NULL;

    if (!proc || !op || !cell)
        return 0;
    if (proc->n_shared || proc->n_flights)
        pass_all_unseen(proc, op->sysno);
    struct slot *slot = slot_of(proc, op->object);
    u64 proc_version = proc->version;

    if (op->when == AT_EXIT) {
        slot->write_ops++;
        slot->write_bytes += op->n_bytes;
    }
    if (RED_REDUNDANT(slot->write_mark == mark_of_write(op->object, cell->version, proc_version)))
        return 1;
    if (!red_emit(proc, RED_WRITE, op->object, op->n_bytes, op->sysno))
        return 0;
    u64 version = red_stamp();
    has_changed(cell, &op->key, version);
    slot->write_mark = mark_of_write(op->object, version, proc_version);
    return 1;
}

/* The three below are for a process that nobody shares memory or descriptors with: what is seen at
 * a call's entry holds until its exit.
 *
 * A read of what is known in that slot adds nothing; counted, if so. */
RED_INLINE bool read_again(struct proc_state *proc, struct slot *slot,
                           const struct object_cell *cell, u64 n_bytes)
{
    if (!RED_REDUNDANT(slot->read_mark == mark_of(slot->object, cell->version) && !slot->mapped))
        return false;
    /* of a stream: one that waits for the end of the phase already */
    if (slot->stream && (slot->read_phase != proc->phase || slot->pending_phase != proc->phase ||
                         proc->shared_writable || proc->n_flights))
        return false;
    slot->read_ops++;
    slot->read_bytes += n_bytes;
    return true;
}

/* At a write's entry: it adds nothing, and neither will its exit. */
RED_INLINE bool write_again(struct proc_state *proc, struct slot *slot,
                            const struct object_cell *cell)
{
    if (proc->n_pending || proc->n_shared || proc->n_flights)
        return false;
    if (!RED_REDUNDANT(slot->write_mark ==
                       mark_of_write(slot->object, cell->version, proc->version)))
        return false;
    proc->phase++;
    return true;
}

/* An edge stands for the write that begins, or nobody can read what it writes (slot: SLOTS): at most
 * its bytes are to be counted when it returns. Not where what it writes may change in a mapping
 * meanwhile. */
RED_INLINE void write_begun(struct proc_state *proc, u32 sysno, u32 slot)
{
    if (slot < SLOTS && (proc->n_shared || proc->n_flights))
        return;
    proc->begun = sysno + 1;
    proc->begun_slot = slot;
}

RED_INLINE bool write_ended(struct proc_state *proc, u32 sysno, s64 n_bytes)
{
    if (proc->begun != sysno + 1)
        return false;
    proc->begun = 0;
    if (n_bytes > 0 && proc->begun_slot < SLOTS) {
        struct slot *slot = &proc->slots[proc->begun_slot & (SLOTS - 1)];

        slot->write_ops++;
        slot->write_bytes += (u64)n_bytes;
    }
    return true;
}

/* A thread of a process with several begins a call that reads from or writes to the object. */
RED_FN int flight_begin(struct proc_state *proc, struct object_key *key, u32 thread, u32 how)
{
    if (!proc || !key || !thread)
        return 0;
    for (u32 i = 0; i < FLIGHTS_MAX; i++) {
        if (__sync_val_compare_and_swap(&proc->flights[i].thread, 0, thread) != 0)
            continue;
        __sync_fetch_and_add(&proc->n_flights, 1);
        proc->flights[i].key = *key;
        RED_ORDER();
        proc->flights[i].how = how;
        return 0;
    }
    red_cannot_follow();
    return 0;
}

RED_FN int flight_end(struct proc_state *proc, u32 thread)
{
    if (!proc)
        return 0;
    for (u32 i = 0; i < FLIGHTS_MAX; i++)
        if (proc->flights[i].thread == thread) {
            proc->flights[i].how = 0;
            RED_ORDER();
            proc->flights[i].thread = 0;
            __sync_fetch_and_add(&proc->n_flights, (u32)-1);
        }
    return 0;
}

RED_FN int remember_shared(struct proc_state *proc, struct object_key *key, u32 writable)
{
    if (!proc || !key)
        return 0;
    u32 i = proc->n_shared;

    proc->shared_writable |= writable;
    for (u32 k = 0; k < SHARED_MAX; k++)
        if (k < i && proc->shared[k].key.ino == key->ino && proc->shared[k].key.dev == key->dev &&
            proc->shared[k].key.instance == key->instance) {
            proc->shared[k].writable |= writable;
            return 0;
        }
    if (i >= SHARED_MAX) {
        /* the dependency through a further mapping cannot be followed: say so */
        red_cannot_follow();
        return 0;
    }
    proc->shared[i].key = *key;
    proc->shared[i].writable = writable;
    proc->n_shared = i + 1;
    return 0;
}
