/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the probes remember, and how a record gets into the ring. */
#pragma once

#include "reduce_state.h"

enum {
    WAKE_BYTES = 64 << 10,
    NEAR_PROCS = 1024,
};

/* One system call. */
struct call {
    u64 args[6];
    s64 ret;
    u64 nr;
};
/* What tells which object an open file is, under which name, and of what type. */
struct look {
    struct object_key key;
    u64 name; /* differs when the object is reached by another */
    u32 mode;
    u32 rdev;
    u64 file_system; /* its magic number */
};
/* Where an object is to be found. */
struct place {
    u64 inode;
    u64 mnt;
    u64 dentry;
    u32 guessed;
    u32 pad;
};

/* A path to be named. In: where it is, and the bytes it may take. Out: enum pv_bpf_path. */
struct walk {
    u64 mnt;
    u64 dentry;
    u32 room;
    u32 cut;
    u32 guessed; /* the mount is one of several that may show it, or unknown (0) */
    u32 pad;
};
struct text_area {
    u8 bytes[PV_BPF_TEXT_MAX + PV_BPF_TEXT_SLACK];
};
struct task_state {
    u64 proc;
    u32 borrowed; /* shares its parent's memory, and so its identity, until it executes */
    u32 watched;  /* a thread of a sealed monitor: proc is 0 */
    u32 home;     /* process id under which that process began to be followed */
    u64 stop;     /* of its process, that this thread has come to last */
};
union scratch {
    struct pv_bpf_object object;
    struct pv_bpf_exec exec;
    struct pv_bpf_path_op path_op;
    struct pv_bpf_name_op name_op;
    struct pv_bpf_monitor monitor;
};

/* What a probe is at work on. Before Linux 6.13 a chain of functions has 512 bytes of stack
 * together, in which these have no room. Nobody else on that CPU uses them meanwhile: probes are
 * not preempted, and the one that comes in between, of signals the kernel sends, has no need of
 * them. */
struct work {
    struct call call;
    struct call said; /* for a record that says something else than the call */
    struct red_op op;
    struct look look;
    struct place place;
    struct walk walk;
    struct object_state fresh; /* an object that is being introduced */
};

struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, PV_BPF_RING_BYTES);
} ring SEC(".maps");
/* Processes, connections, attempts: what must be known even when data floods the other. */
struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, PV_BPF_CRITICAL_BYTES);
} critical SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PV_BPF_ROOTS_MAX);
    __type(key, u32);
    __type(value, struct pv_bpf_root);
} roots SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, PV_BPF_HELD_MAX);
    __type(key, u32);
    __type(value, struct pv_bpf_held);
} held SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* set to the number of possible CPUs before loading */
    __type(key, u32);
    __type(value, struct pv_bpf_cpu);
} cpus SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct pv_bpf_meta);
} meta SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __type(key, int);
    __type(value, struct task_state);
} tasks SEC(".maps");
/* By process id: the place of an array costs two loads, a hash table's or a task's storage some ten
 * times as much. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, NEAR_PROCS);
    __type(key, u32);
    __type(value, struct proc_state);
} near_procs SEC(".maps");
/* Those whose place in `near_procs` was taken. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 32768);
    __type(key, u64);
    __type(value, struct proc_state);
} procs SEC(".maps");
/* Their ids, by process id. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, 32768);
    __type(key, u32);
    __type(value, u64);
} far_procs SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, 65536);
    __type(key, struct object_key);
    __type(value, struct object_state);
} objects SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, CELLS);
    __type(key, u32);
    __type(value, struct object_cell);
} cells SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, union scratch);
} scratch SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct work);
} work SEC(".maps");
struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct proc_state);
} blank_proc SEC(".maps");

/* The loader sets it above every id of an earlier load in this boot. */
unsigned long long next_id = 1; /* spelled out for the skeleton */
unsigned long long next_stamp = 1;
/* Processes that were stopped. */
unsigned long long all_holds = 0;

static __always_inline u64 new_id(void)
{
    return __sync_fetch_and_add(&next_id, 1);
}
static __always_inline u64 new_stamp(void)
{
    return __sync_fetch_and_add(&next_stamp, 1);
}
static __always_inline struct proc_state *near_place(u32 tgid)
{
    u32 place = tgid & (NEAR_PROCS - 1);
    return bpf_map_lookup_elem(&near_procs, &place);
}
/* Stands in a place with the number of a process that has ended: above all process ids. */
enum { PLACE_OF_NOBODY = 0x40000000 };
/* A process can end while somebody is at work on its state who is not one of its threads: then no
 * other may get the place. Held before the process is looked up; a new owner looks after it has
 * taken the place, so that one of the two sees the other. */
static __always_inline void keep_place(u32 home)
{
    struct proc_state *near = near_place(home);

    if (near)
        __sync_fetch_and_add(&near->kept, 1);
}
static __always_inline void release_place(u32 home)
{
    struct proc_state *near = near_place(home);

    if (near)
        __sync_fetch_and_add(&near->kept, (u32)-1);
}
/* home: where it began to be followed. */
static __always_inline struct proc_state *proc_with_id(u64 id, u32 home)
{
    struct proc_state *near = near_place(home);

    return near && near->id == id ? near : bpf_map_lookup_elem(&procs, &id);
}
/* NULL: it is not followed. Its place is to be kept. */
static __always_inline struct proc_state *proc_with_tgid(u32 tgid)
{
    struct proc_state *near = near_place(tgid);

    if (near && near->tgid == tgid && near->id)
        return near;
    u64 *id = bpf_map_lookup_elem(&far_procs, &tgid);
    return id ? bpf_map_lookup_elem(&procs, id) : NULL;
}
/* The key may stand in a caller's memory. Linux 6.1 takes one from the stack or a map only, so it
 * is copied. */
static __noinline struct object_state *object_with_key(const struct object_key *key)
{
    struct object_key own = *key;

    return bpf_map_lookup_elem(&objects, &own);
}
static __noinline void remember_object(const struct object_key *key,
                                       const struct object_state *state)
{
    struct object_key own = *key;

    bpf_map_update_elem(&objects, &own, state, BPF_NOEXIST);
}
static __always_inline u32 cell_of_key(const struct object_key *key)
{
    return (u32)(hash_of_key(key) >> 32) & (CELLS - 1);
}
static __always_inline struct object_cell *cell_at(u32 index)
{
    return bpf_map_lookup_elem(&cells, &index);
}
static __always_inline union scratch *scratch_of_cpu(void)
{
    u32 zero = 0;
    return bpf_map_lookup_elem(&scratch, &zero);
}
static __always_inline struct work *work_of_cpu(void)
{
    u32 zero = 0;
    return bpf_map_lookup_elem(&work, &zero);
}
static __always_inline struct pv_bpf_cpu *this_cpu(void)
{
    u32 cpu = bpf_get_smp_processor_id();
    return bpf_map_lookup_elem(&cpus, &cpu);
}

/* Linux 6.2: kernel memory behind an address is read by plain loads (0 where there is none), an
 * order of magnitude faster than by a helper for each. */
extern void *bpf_rdonly_cast(const void *address, u32 type) __ksym __weak;
const volatile unsigned has_cast = 0;
#define KERNEL(type, address)                                                                      \
    ((struct type *)bpf_rdonly_cast((const void *)(address), bpf_core_type_id_kernel(struct type)))

/* Set at loading. */
const volatile unsigned ring_bytes = PV_BPF_RING_BYTES;
/* Half of the ring waited to be read when a record was last put into it. */
unsigned pressed = 0;

/* Asking how full the ring is costs a fifth of a record. Together the CPUs put no more than a
 * 32nd of the ring into it between looks, so half is noticed that late at worst. */
const volatile unsigned look_bytes = 0;

static __always_inline void note_fill(struct pv_bpf_cpu *cpu, u32 bytes)
{
    cpu->since_look += bytes;
    if (!pressed && cpu->since_look < look_bytes)
        return;
    cpu->since_look = 0;
    unsigned now = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= ring_bytes / 2;

    /* a line that many CPUs read: written only when it changes */
    if (now != pressed)
        pressed = now;
}

/* One wake-up per event costs 48 times the event: wake at a threshold, or when it matters. */
static __always_inline u64 wake_flag(struct pv_bpf_cpu *cpu, u32 bytes, bool now)
{
    note_fill(cpu, bytes);
    cpu->since_wake += bytes;
    if (!now && cpu->since_wake < WAKE_BYTES && cpu->since_wake < ring_bytes / 8)
        return BPF_RB_NO_WAKEUP;
    cpu->since_wake = 0;
    return BPF_RB_FORCE_WAKEUP;
}

static __always_inline void fill_head(struct pv_bpf_head *h, struct pv_bpf_cpu *cpu, u16 kind,
                                      u32 bytes, u64 proc, u32 sysno)
{
    h->version = PV_BPF_VERSION;
    h->kind = kind;
    h->bytes = bytes;
    h->cpu = bpf_get_smp_processor_id();
    h->sysno = sysno;
    h->seq = cpu->seq;
    h->time_ns = bpf_ktime_get_boot_ns();
    h->proc = proc;
    h->object = 0;
    h->result = 0;
}

static __always_inline bool is_critical(u16 kind)
{
    switch (kind) {
    case PV_BPF_FORK:
    case PV_BPF_EXEC:
    case PV_BPF_EXIT:
    case PV_BPF_CONNECT:
    case PV_BPF_ACCEPT:
    case PV_BPF_DENIED:
    case PV_BPF_INTERFERENCE:
    case PV_BPF_CREDENTIALS:
    case PV_BPF_FOREIGN:
    case PV_BPF_ALARM:
    case PV_BPF_MONITOR_OPEN:
        return true;
    default:
        return false;
    }
}

static __always_inline u64 holds_let_go(void)
{
    u32 zero = 0;
    struct pv_bpf_cpu *first = bpf_map_lookup_elem(&cpus, &zero);

    return first ? first->let_go : 0;
}

/* Somebody was stopped, and the auditor has not let everybody go on since. */
static __always_inline bool anybody_waits(void)
{
    return holds_let_go() != all_holds;
}

/* Whether a record is lost though there is room: one of a process that is not stopped for want of
 * it must not use up what is kept for the calls of those that are. Its part ends below the half at
 * which they are stopped, and while somebody waits, well below the eighth at which he goes on. */
SEPARATE int gives_way(u32 policy)
{
    if (policy != PV_BPF_DROP)
        return 0;
    u64 waiting = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA);
    if (waiting < ring_bytes / 16)
        return 0;
    return waiting >= ring_bytes / 8 * 3 || anybody_waits();
}

/* A zeroed record of that type with its head filled, or NULL: then the loss has been counted and
 * the sequence number used up, which the consumer sees as a hole. */
#define RESERVE(type, cpu, kind, proc, sysno)                                                      \
    RESERVE_FOR(type, cpu, kind, (proc)->id, (proc)->policy, sysno)
/* Of a process whose state is gone. */
#define RESERVE_FOR(type, cpu, kind, proc_id, policy, sysno)                                       \
    ({                                                                                             \
        struct type *rec_ = NULL;                                                                  \
        (cpu)->seq++;                                                                              \
        if (is_critical(kind))                                                                     \
            rec_ = bpf_ringbuf_reserve(&critical, sizeof(struct type), 0);                         \
        if (!rec_ && !gives_way(policy))                                                           \
            rec_ = bpf_ringbuf_reserve(&ring, sizeof(struct type), 0);                             \
        if (rec_) {                                                                                \
            (cpu)->emitted++;                                                                      \
            __builtin_memset(rec_, 0, sizeof(struct type));                                        \
            fill_head(&rec_->head, cpu, kind, sizeof(struct type), proc_id, sysno);                \
        } else {                                                                                   \
            (cpu)->lost++;                                                                         \
        }                                                                                          \
        rec_;                                                                                      \
    })
#define SUBMIT(rec, cpu, now) bpf_ringbuf_submit(rec, wake_flag(cpu, sizeof *(rec), now))

/* Copies a record of variable length out of the scratch area. The caller has advanced cpu->seq. */
static __always_inline bool output_for(struct pv_bpf_cpu *cpu, u32 policy, void *rec, u32 bytes,
                                       bool is_critical_kind)
{
    u64 flag = wake_flag(cpu, bytes, false);

    if ((!is_critical_kind || bpf_ringbuf_output(&critical, rec, bytes, flag) != 0) &&
        (gives_way(policy) || bpf_ringbuf_output(&ring, rec, bytes, flag) != 0)) {
        cpu->lost++;
        return false;
    }
    cpu->emitted++;
    return true;
}

static __always_inline bool output(struct pv_bpf_cpu *cpu, struct proc_state *proc, void *rec,
                                   u32 bytes, bool is_critical_kind)
{
    return output_for(cpu, proc->policy, rec, bytes, is_critical_kind);
}

/* Something happened that could not even be followed: a hole in the sequence says so. */
static __always_inline void count_loss(void)
{
    struct pv_bpf_cpu *cpu = this_cpu();

    if (cpu) {
        cpu->seq++;
        cpu->lost++;
    }
}
