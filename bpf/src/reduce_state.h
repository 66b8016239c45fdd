/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is remembered of processes and objects; plain data, also compiled for user space. */
#pragma once

/* Stores before it are visible before those behind it (x86 keeps their order). */
#ifndef RED_ORDER
#define RED_ORDER() __asm__ volatile("" ::: "memory")
#endif

enum {
    SLOTS = 32,      /* objects a process is remembered to have touched, by id */
    HINTS = 16,      /* descriptors whose slot is remembered, by number */
    CELLS = 32768,   /* of versions of objects, by hash of their key */
    SHARED_MAX = 8,  /* shared file mappings remembered per process */
    PENDING_MAX = 4, /* streams whose later reads wait for the process's next output */
    FLIGHTS_MAX = 8, /* system calls under way that are remembered per process */
    USES_MAX = 64,   /* of what is known of a descriptor, until its object is asked for again */
};
/* Only what has happened counts in the totals. */
enum { AT_ENTRY = 0, AT_EXIT = 1 };
enum { FLIGHT_READS = 1, FLIGHT_WRITES = 2 };
enum { RED_READ = 7, RED_WRITE = 8 }; /* as enum pv_bpf_kind */

struct object_key {
    u64 ino;
    u64 instance; /* tells the files of the anonymous inode apart */
    u32 dev;
    u32 gen;
};
static inline __attribute__((always_inline)) u64 hash_of_key(const struct object_key *key)
{
    return (key->ino ^ (u64)key->dev << 40 ^ (u64)key->gen << 20 ^ key->instance) *
           0x9e3779b97f4a7c15ull;
}
struct object_state {
    u64 id;
    u64 name;            /* changes when the object is reached by another name */
    u32 mapped_writable; /* somebody can write it unseen: no read of it is redundant */
    u32 cell;
};
/* Several objects may share one: what has changed for one then counts as changed for all. Never
 * forgotten, unlike the object. */
struct object_cell {
    u64 version; /* changes with every write edge */
    u64 tag;     /* changes when one of them gets its id, another name, or can be written unseen */
    u64 written; /* the one that the last write edge was to: hash of its key */
    u64 pad;
};
struct slot {
    u64 object;
    struct object_key key; /* as a descriptor showed it last; this and what follows: `slot_learn` */
    u64 name;
    u64 tag;
    u32 cell;
    u32 stream;
    u32 mapped;
    u32 uses_left;  /* 0: nothing is known of its descriptor */
    u64 read_mark;  /* of the last read edge: object and version */
    u64 write_mark; /* of the last write edge: object and version, and the process's version */
    u64 read_phase; /* of a stream: input phase in which an edge was emitted, or deferred */
    u64 pending_phase;
    u64 read_ops;
    u64 read_bytes;
    u64 write_ops;
    u64 write_bytes;
    u32 open_call; /* 1 more than the call that opened it; its record waits for a first use */
    u32 open_flags;
    s32 open_fd;
    u32 pad;
};
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
    u32 owner; /* another process in whose directory of /proc it is; 0: none */
    u32 pad;
};
struct shared_map {
    struct object_key key;
    u32 writable;
    u32 pad;
};
struct pending_read {
    u64 object;
    u64 version; /* of the cell, that was read */
    u64 hash;    /* of its key */
    u32 cell;
    u32 pad;
};
struct flight {
    struct object_key key;
    u32 thread; /* 0: free */
    u32 how;    /* FLIGHT_READS, FLIGHT_WRITES */
};
/* One process, shared by its threads. */
struct proc_state {
    u64 id;
    u64 version;
    u64 phase; /* changes with everything it does but reading */
    u32 pid;   /* in its own namespace */
    u32 muted; /* until the first exec: what the enclave host does in its child is its own noise */
    u32 n_shared;
    u32 n_pending;
    u32 shared_writable; /* it can write to one of them unseen */
    u32 n_flights;       /* of `flights` in use */
    u32 policy;          /* enum pv_bpf_policy */
    u32 tgid;            /* in the initial namespace; of a place in `near_procs` 0: it is free */
    u32 begun;           /* 1 more than the number of the write under way whose edge stands */
    u32 begun_slot;      /* SLOTS: what is written is gone */
    u32 kept;            /* of its place in `near_procs`: see `keep_place` */
    u32 borrowers;       /* tasks of children that use its memory and have not executed */
    u32 orphaned;        /* it has ended; they have not */
    u32 pad;
    u8 hints[HINTS]; /* slots, by descriptor */
    struct pending_read pending[PENDING_MAX];
    struct shared_map shared[SHARED_MAX];
    struct flight flights[FLIGHTS_MAX];
    struct slot slots[SLOTS];
};
