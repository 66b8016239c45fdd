/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Read and write edges of descriptors. `reduce.h` says which are emitted; here they are made. Write
 * edges are made at the entry of the system call, before another CPU can read the data, and once
 * more at its exit when the process has changed meanwhile. */
#pragma once

/* Opened and never used. */
static __always_inline void emit_open(struct proc_state *proc, struct slot *slot)
{
    struct pv_bpf_cpu *cpu = this_cpu();

    if (!cpu)
        return;
    struct pv_bpf_open *rec = RESERVE(pv_bpf_open, cpu, PV_BPF_OPEN, proc, slot->open_call - 1);
    if (!rec)
        return;
    rec->head.object = slot->object;
    rec->head.result = slot->open_fd;
    rec->flags = slot->open_flags;
    rec->fd = slot->open_fd;
    SUBMIT(rec, cpu, false);
}

static __noinline void flush_slot(struct proc_state *proc, struct slot *slot)
{
    struct pv_bpf_cpu *cpu = this_cpu();

    if (!cpu || !slot->object)
        return;
    if (slot->open_call && !slot->read_mark && !slot->write_mark)
        emit_open(proc, slot);
    slot->open_call = 0;
    /* a single read stands in its edge already */
    if (slot->read_ops < 2 && slot->write_ops == 0)
        return;
    struct pv_bpf_total *rec = RESERVE(pv_bpf_total, cpu, PV_BPF_TOTAL, proc, 0);
    if (!rec)
        return;
    rec->head.object = slot->object;
    rec->read_ops = slot->read_ops;
    rec->read_bytes = slot->read_bytes;
    rec->write_ops = slot->write_ops;
    rec->write_bytes = slot->write_bytes;
    slot->read_ops = slot->read_bytes = slot->write_ops = slot->write_bytes = 0;
    SUBMIT(rec, cpu, false);
}

SEPARATE int flush_all(struct proc_state *proc)
{
    if (!proc)
        return 0;
    for (int i = 0; i < SLOTS; i++)
        flush_slot(proc, &proc->slots[i]);
    return 0;
}

static __noinline bool emit_edge(struct proc_state *proc, u16 kind, u64 object, u64 n_bytes,
                                 u32 sysno)
{
    struct pv_bpf_cpu *cpu = this_cpu();

    if (!cpu)
        return false;
    struct pv_bpf_io *rec = RESERVE(pv_bpf_io, cpu, kind, proc, sysno);
    if (!rec)
        return false;
    rec->head.object = object;
    rec->head.result = (s64)n_bytes;
    rec->n_bytes = n_bytes;
    SUBMIT(rec, cpu, false);
    return true;
}

static __always_inline void red_total(struct proc_state *proc, struct slot *slot)
{
    flush_slot(proc, slot);
}

static __always_inline struct object_state *red_find(struct object_key *key)
{
    return object_with_key(key);
}

static __always_inline struct object_cell *red_cell(u32 index)
{
    return cell_at(index & (CELLS - 1));
}

#define red_emit(proc, kind, object, n_bytes, sysno) emit_edge(proc, kind, object, n_bytes, sysno)
#define red_stamp() new_stamp()
#define red_cannot_follow() count_loss()
#define RED_FN SEPARATE
#define RED_INLINE static __always_inline
#include "reduce.h"

#include "influence.h"

static __always_inline u32 memory_device(const struct look *look)
{
    if ((look->mode & MODE_TYPE) != MODE_CHARACTER || look->rdev >> 20 != 1)
        return 0;
    return look->rdev & 0xfffff;
}

/* What these devices give does not depend on what anybody wrote: null, zero, full, random,
 * urandom. */
static __always_inline bool is_constant_device(const struct look *look)
{
    u32 minor = memory_device(look);

    return minor == 3 || minor == 5 || (minor >= 7 && minor <= 9);
}

/* null, zero, full: what is written is gone */
static __always_inline bool is_null_device(const struct look *look)
{
    u32 minor = memory_device(look);

    return minor == 3 || minor == 5 || minor == 7;
}

static __always_inline bool is_stream(const struct look *look)
{
    u32 type = look->mode & MODE_TYPE;

    return type != MODE_REGULAR && type != MODE_DIRECTORY && !is_constant_device(look);
}

/* With several threads, or another process in the same memory, what a call moves is there before
 * the call returns, and each may use what is remembered of the process while another does; and with
 * them, or another process that shares the descriptors, a descriptor may be another file when the
 * call returns. Nobody but the process itself can let that begin, by a call that is not one of
 * these. */
static __always_inline bool may_be_crossed(struct task_struct *task)
{
    struct mm_struct *mm = task->mm;

    return (mm && mm->mm_users.counter > 1) || task->files->count.counter > 1;
}

/* The object of a file that looks so, which op->fd stands for, asked for. */
SEPARATE int find_op(struct proc_state *proc, u64 file_ref, struct look *look, struct red_op *op)
{
    u64 tag = 0;

    if (!proc || !look || !op)
        return 0;
    struct object_state *object = object_that_looks(proc, (struct file *)file_ref, look, &tag);
    if (!object)
        return 0;
    op->object = object->id;
    op->cell = object->cell;
    op->mapped = object->mapped_writable;
    op->stream = is_stream(look);
    u32 owner = look->file_system == PROC_SUPER_MAGIC ? owner_of_file((struct file *)file_ref) : 0;
    /* what is there changes without a write: each use asks here again */
    op->owner = owner != proc->tgid ? owner : 0;
    /* not one whose announcement was lost */
    if (!op->owner && object->name == look->name)
        slot_learn(proc, op, look->name, tag, may_be_crossed(bpf_get_current_task_btf()));
    return 1;
}

/* What is about to be done with op->fd, which is that file; false when its object cannot be known.
 */
static __always_inline bool op_of_look(struct red_op *op, struct proc_state *proc,
                                       struct file *file, struct look *look)
{
    struct known known;

    op->key = look->key;
    if (!is_known(proc, op->fd, &look->key, look->name, may_be_crossed(bpf_get_current_task_btf()),
                  &known))
        return find_op(proc, (u64)file, look, op);
    op->object = known.object;
    op->cell = known.index;
    op->stream = known.slot->stream;
    op->mapped = known.slot->mapped;
    return true;
}

static __always_inline bool op_of_file(struct red_op *op, struct proc_state *proc,
                                       struct file *file)
{
    struct look *look = look_of(file);

    return look && op_of_look(op, proc, file, look);
}

SEPARATE int read_edge(struct proc_state *proc, u64 file_ref, struct red_op *op)
{
    if (!proc || !op || !op_of_file(op, proc, (struct file *)file_ref))
        return 0;
    if (op->owner)
        hear_of(proc, op->owner, op->sysno);
    return red_read(proc, op);
}

/* 1: it stands, or none is needed. */
SEPARATE int write_edge(struct proc_state *proc, u64 file_ref, struct red_op *op)
{
    struct look *look = look_of((struct file *)file_ref);

    if (!proc || !op || !look)
        return 0;
    /* nobody can read there what was written */
    if (is_null_device(look))
        return 1;
    if (!op_of_look(op, proc, (struct file *)file_ref, look))
        return 0;
    return red_write(proc, op);
}

/* The one operation that the CPU is at work on. */
static __always_inline struct red_op *new_op(u32 sysno, u32 when, u32 fd, u64 n_bytes)
{
    struct work *work = work_of_cpu();

    if (!work)
        return NULL;
    work->op = (struct red_op){.sysno = sysno, .when = when, .n_bytes = n_bytes, .fd = fd};
    return &work->op;
}

static __always_inline void read_fd(struct proc_state *proc, struct task_struct *task, u32 fd,
                                    u64 n_bytes, u32 sysno, u32 when)
{
    struct file *file = file_of_fd(task, fd);
    struct red_op *op = new_op(sysno, when, fd, n_bytes);

    if (file && op)
        read_edge(proc, (u64)file, op);
}

static __always_inline void write_fd(struct proc_state *proc, struct task_struct *task, u32 fd,
                                     u64 n_bytes, u32 sysno, u32 when)
{
    struct file *file = file_of_fd(task, fd);
    struct red_op *op = new_op(sysno, when, fd, n_bytes);

    if (file && op)
        write_edge(proc, (u64)file, op);
}

/* A descriptor is about to be closed: its totals are due, if it was used. */
SEPARATE int close_fd(struct proc_state *proc, u32 fd)
{
    struct known known;
    struct task_struct *task = bpf_get_current_task_btf();
    struct file *file = file_of_fd(task, fd);
    struct look *look = file ? look_of(file) : NULL;

    if (!look || !proc)
        return 0;
    if (is_known(proc, fd, &look->key, look->name, may_be_crossed(task), &known)) {
        flush_slot(proc, known.slot);
        return 0;
    }
    struct object_state *object = object_with_key(&look->key);
    if (!object)
        return 0;
    struct slot *slot = &proc->slots[object->id & (SLOTS - 1)];
    if (slot->object == object->id)
        flush_slot(proc, slot);
    return 0;
}

static __always_inline void share_file(struct proc_state *proc, struct file *file, bool writable)
{
    struct look *look = look_of(file);

    if (look)
        remember_shared(proc, &look->key, writable);
}

SEPARATE int fd_in_flight(struct proc_state *proc, u32 fd, u32 how)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct file *file = file_of_fd(task, fd);
    struct look *look = file ? look_of(file) : NULL;
    u64 tag = 0;

    if (!proc || !look)
        return 0;
    if (how == FLIGHT_WRITES && is_null_device(look))
        return 0;
    /* announced here: by the time it is needed, no descriptor may lead to it any more */
    if (!object_that_looks(proc, file, look, &tag))
        return 0;
    return flight_begin(proc, &look->key, (u32)task->pid, how);
}

/* A read returns whose descriptor has become another file meanwhile: it was of what it began with.
 * What the descriptor is now is recorded as read as well, an edge too many. */
SEPARATE int read_of_flight(struct proc_state *proc, u32 fd, u64 n_bytes, u32 sysno)
{
    struct task_struct *task = bpf_get_current_task_btf();
    struct file *file = file_of_fd(task, fd);
    struct look *now = file ? look_of(file) : NULL;
    struct red_op *op = new_op(sysno, AT_EXIT, 0, n_bytes);

    if (!proc || !op)
        return 0;
    op->stream = 1;
    for (u32 i = 0; i < FLIGHTS_MAX; i++) {
        if (proc->flights[i].thread != (u32)task->pid || !(proc->flights[i].how & FLIGHT_READS))
            continue;
        op->key = proc->flights[i].key;
        if (now && is_same_object(&op->key, &now->key))
            return 0;
        struct object_state *object = red_find(&op->key);
        if (!object) {
            count_loss();
            return 0;
        }
        op->object = object->id;
        op->cell = object->cell;
        op->mapped = object->mapped_writable;
        red_read(proc, op);
        return 0;
    }
    return 0;
}
