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
 * hash alike. They are stamps that never repeat: two that are equal mean the same state of the same
 * cell. (A racing thread may give the slot to another object of that cell in between: so the slot's
 * object is looked at after its versions.) An edge is emitted first, then the version changes, then
 * the slot says so: whoever sees the slot's new value also sees the version's. A lost record leaves
 * all as it was, so that the next operation emits the edge again.
 *
 * The usual operation is one more on a descriptor whose object the process has in a slot: `hints`
 * says in which. A hint is never believed (`is_known`): the slot must hold the key that the
 * descriptor has now, and its cell no newer tag, or the object is asked for.
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

/* Stores before it are visible before those behind it (x86 keeps their order). */
#define RED_ORDER() __asm__ volatile("" ::: "memory")

#ifndef RED_REDUNDANT
#define RED_REDUNDANT(condition) (condition)
#endif
#ifndef RED_SAME_KEY
#define RED_SAME_KEY(condition) (condition)
#endif

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

RED_INLINE bool has_read(const struct slot *slot, u64 object, u64 version)
{
    bool same = slot->read_version == version;

    RED_ORDER();
    return same && slot->object == object;
}

RED_INLINE bool has_written(const struct slot *slot, u64 object, u64 version, u64 proc_version)
{
    bool same = slot->write_version == version && slot->write_proc_version == proc_version;

    RED_ORDER();
    return same && slot->object == object;
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
    u32 stream;
};

/* The object that a descriptor stands for, if the process has used it by that number before and no
 * object of its cell has got an id or another name since. name: under which the descriptor has it.
 */
RED_INLINE bool is_known(struct proc_state *proc, u32 fd, const struct object_key *key, u64 name,
                         struct known *ret)
{
    struct slot *slot = &proc->slots[proc->hints[fd & (HINTS - 1)] & (SLOTS - 1)];

    ret->object = slot->object;
    RED_ORDER();
    ret->slot = slot;
    ret->index = slot->cell;
    ret->stream = slot->stream;
    ret->cell = red_cell(ret->index);
    if (!ret->cell || !ret->object || !RED_SAME_KEY(is_same_object(&slot->key, key)) ||
        slot->name != name || slot->tag != ret->cell->tag)
        return false;
    /* a racing thread may have given the slot to another */
    RED_ORDER();
    return slot->object == ret->object;
}

/* The operation as a record says it. */
struct red_op {
    struct object_key key;
    u64 object;
    u64 n_bytes;
    u32 cell;
    u32 mapped; /* the object's mapped_writable */
    u32 sysno;
    u32 when;
    u32 stream;
    u32 fd;
};

/* tag: of the cell, read before the object was asked for. */
RED_INLINE void slot_learn(struct proc_state *proc, const struct red_op *op, u64 name, u64 tag)
{
    struct slot *slot = slot_of(proc, op->object);

    slot->key = op->key;
    slot->name = name;
    slot->tag = tag;
    slot->cell = op->cell;
    slot->stream = op->stream;
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
    if (RED_REDUNDANT(has_read(slot, id, version) && !object->mapped_writable))
        return 0;
    if (!red_emit(proc, RED_READ, id, 0, sysno))
        return 0;
    proc->version = red_stamp();
    RED_ORDER();
    slot->read_version = version;
    return 1;
}

RED_INLINE void write_unseen(struct proc_state *proc, struct object_key *key, u32 sysno)
{
    struct object_state *object = red_find(key);
    struct object_cell *cell = object ? red_cell(object->cell) : NULL;

    if (!object || !cell)
        return;
    red_emit(proc, RED_WRITE, object->id, 0, sysno);
    RED_ORDER();
    cell->version = red_stamp();
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
 * process writes now. */
RED_FN int read_all_unseen(struct proc_state *proc, u32 sysno)
{
    struct object_key key;
    u32 learned = 0;

    if (!proc)
        return 0;
    for (u32 i = 0; i < SHARED_MAX; i++) {
        if (i >= proc->n_shared)
            break;
        key = proc->shared[i].key;
        learned |= read_unseen(proc, &key, sysno);
    }
    for (u32 i = 0; i < FLIGHTS_MAX; i++) {
        if (!proc->n_flights)
            break;
        key = proc->flights[i].key;
        if (proc->flights[i].thread && proc->flights[i].how & FLIGHT_READS)
            learned |= read_unseen(proc, &key, sysno);
    }
    if (learned && (proc->shared_writable || proc->n_flights))
        write_all_unseen(proc, sysno);
    return 0;
}

/* The process is about to do something that others may see: what it has read until now counts
 * first. A stream that was written to meanwhile is left out: what was read until then derives from
 * the edge that stands. */
RED_FN int end_phase(struct proc_state *proc, u32 sysno)
{
    if (!proc)
        return 0;
    proc->phase++;
    for (u32 i = 0; i < PENDING_MAX; i++) {
        if (i >= proc->n_pending)
            break;
        struct object_cell *cell = red_cell(proc->pending[i].cell);
        if (!cell || cell->version != proc->pending[i].version)
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
RED_INLINE bool defer_read(struct proc_state *proc, struct slot *slot, const struct red_op *op)
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
    proc->pending[i].version = slot->read_version;
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
    if (RED_REDUNDANT(has_read(slot, op->object, version) && !op->mapped)) {
        if (!op->stream || defer_read(proc, slot, op))
            return 1;
    }
    if (!red_emit(proc, RED_READ, op->object, op->n_bytes, op->sysno))
        return 0;
    proc->version = red_stamp();
    RED_ORDER();
    slot->read_version = version;
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
        read_all_unseen(proc, op->sysno);
    struct slot *slot = slot_of(proc, op->object);
    u64 proc_version = proc->version;

    if (op->when == AT_EXIT) {
        slot->write_ops++;
        slot->write_bytes += op->n_bytes;
    }
    if (RED_REDUNDANT(has_written(slot, op->object, cell->version, proc_version)))
        return 1;
    if (!red_emit(proc, RED_WRITE, op->object, op->n_bytes, op->sysno))
        return 0;
    u64 version = red_stamp();
    RED_ORDER();
    cell->version = version;
    RED_ORDER();
    slot->write_proc_version = proc_version;
    slot->write_version = version;
    return 1;
}

/* The three below are for a process that nobody shares memory or descriptors with: what is seen at
 * a call's entry holds until its exit.
 *
 * A read of what is known in that slot adds nothing; counted, if so. */
RED_INLINE bool read_again(struct proc_state *proc, struct slot *slot,
                           const struct object_cell *cell, u64 n_bytes)
{
    if (!RED_REDUNDANT(slot->read_version == cell->version && !cell->mapped))
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
    if (!RED_REDUNDANT(slot->write_version == cell->version &&
                       slot->write_proc_version == proc->version))
        return false;
    proc->phase++;
    return true;
}

/* An edge stands for the write that begins: only its bytes are to be counted when it returns. Not
 * where what it writes may change in a mapping meanwhile. */
RED_INLINE void write_begun(struct proc_state *proc, u32 sysno, u32 slot)
{
    if (proc->n_shared || proc->n_flights)
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
