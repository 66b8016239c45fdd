/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The usual calls, by a way that asks no table: those that add nothing, and those of which the
 * arguments are all there is to say. docs/decisions/2026-11-26-probe-cost.md */
#pragma once

static __always_inline bool is_usual(struct proc_state *proc, struct task_struct *task)
{
    return has_cast && !pressed && !proc->muted && !task->ptrace &&
           !(task->thread_info.status & STATUS_COMPAT);
}

/* The file of a descriptor, and how it looks. */
static __always_inline struct file *look_at_fd(struct look *look, struct task_struct *task, u32 fd)
{
    struct file *file = file_of_fd(task, fd);

    if (file)
        look_at(look, file);
    return file;
}

static __always_inline bool is_usual_write(struct proc_state *proc, struct task_struct *task,
                                           u32 nr, u32 fd)
{
    struct known known;
    struct look look;

    if (!is_plain_write(nr) || !is_usual(proc, task) || may_be_crossed(task) ||
        !look_at_fd(&look, task, fd))
        return false;
    if (is_null_device(&look)) {
        write_begun(proc, nr, SLOTS);
        return true;
    }
    if (!is_known(proc, fd, &look.key, look.name, false, &known) ||
        !write_again(proc, known.slot, known.cell))
        return false;
    write_begun(proc, nr, (u32)known.object & (SLOTS - 1));
    return true;
}

/* Leaves at most its totals, or that it was opened and never used. */
static __noinline bool is_usual_close(struct proc_state *proc, struct task_struct *task, u32 fd)
{
    struct known known;
    struct look look;

    if (!is_usual(proc, task) || may_be_crossed(task) || !look_at_fd(&look, task, fd) ||
        !is_known(proc, fd, &look.key, look.name, false, &known))
        return false;
    flush_slot(proc, known.slot);
    return true;
}

static __always_inline bool is_usual_read(struct proc_state *proc, struct task_struct *task, u32 nr,
                                          u32 fd, long ret)
{
    struct known known;
    struct look look;

    if (nr == PV_NR_recvmmsg || may_be_crossed(task) || proc->n_flights)
        return false;
    if (ret <= 0)
        return true;
    return look_at_fd(&look, task, fd) && is_known(proc, fd, &look.key, look.name, false, &known) &&
           read_again(proc, known.slot, known.cell, (u64)ret);
}

static __always_inline void args_call(struct proc_state *proc, struct task_struct *task,
                                      struct pt_regs *regs, u32 nr, long ret)
{
    u64 args[2] = {regs->di, regs->si};
    u32 kind = kind_of_args(proc, class_at(nr), nr, args);

    phase_ends(proc, nr);
    if (!kind)
        return;
    put_args(proc, (u16)kind, nr, 0, args[0], args[1], ret);
    if (pressed)
        hold(task, proc);
}

/* Whether nothing more is to be done about a call that has returned. */
static __always_inline bool is_usual_exit(struct proc_state *proc, struct task_struct *task,
                                          struct pt_regs *regs, s64 number, long ret)
{
    u32 nr = (u32)number & (NR_CLASSES - 1);

    if ((u64)number >= NR_CLASSES || ret == -ERR_PERM || ret == -ERR_ACCESS ||
        !is_usual(proc, task))
        return false;
    switch (class_at(nr)) {
    case PV_SC_DATA_IN:
        return is_usual_read(proc, task, nr, (u32)regs->di, ret);
    case PV_SC_DATA_OUT:
        return write_ended(proc, nr, ret);
    case PV_SC_SIGNAL:
    case PV_SC_INTERFERE:
    case PV_SC_NAMESPACE:
    case PV_SC_CREDENTIALS:
        args_call(proc, task, regs, nr, ret);
        return true;
    default:
        return class_at(nr) != PV_SC_UNKNOWN && !is_recorded(class_at(nr));
    }
}

/* The same where a program and all it calls share 512 bytes of stack. */
static __noinline bool is_usual_write_apart(struct proc_state *proc, struct task_struct *task,
                                            u32 nr, u32 fd)
{
    return is_usual_write(proc, task, nr, fd);
}

static __noinline bool is_usual_exit_apart(struct proc_state *proc, struct task_struct *task,
                                           struct pt_regs *regs, s64 number, long ret)
{
    return is_usual_exit(proc, task, regs, number, ret);
}
