/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the probes hand to the auditor: fixed-width records in a BPF ring buffer, host byte order.
 * Both sides compile this header, neither includes anything else here for its types. Kinds are
 * append-only; any change of layout raises PV_BPF_VERSION. */
#pragma once

#ifndef PV_BPF_KERNEL_SIDE
#include <stdint.h>
typedef uint8_t pv_u8;
typedef uint16_t pv_u16;
typedef uint32_t pv_u32;
typedef uint64_t pv_u64;
typedef int32_t pv_s32;
typedef int64_t pv_s64;
#else
typedef unsigned char pv_u8;
typedef unsigned short pv_u16;
typedef unsigned int pv_u32;
typedef unsigned long long pv_u64;
typedef int pv_s32;
typedef long long pv_s64;
#endif

enum {
    PV_BPF_VERSION = 2,
    PV_BPF_RING_BYTES = 16 << 20,    /* default size of the ring buffer, a power of two */
    PV_BPF_CRITICAL_BYTES = 1 << 20, /* of the second ring; a sixteenth of the first */
    PV_BPF_ARGV_MAX = 512,           /* bytes of argv kept */
    PV_BPF_TEXT_MAX = 4096,          /* text area of one record */
    PV_BPF_TEXT_SLACK = 1024, /* room behind it, so that the last piece needs no exact bound */
    PV_BPF_NAME_MAX = 1024,   /* bytes of one name given by a caller */
    PV_BPF_ROOTS_MAX = 4096,  /* processes whose children are traced */
    PV_BPF_HELD_MAX = 32768,  /* processes that wait for room in the ring */
};

/* What a full ring means for the children of a process. HOLD: they are stopped (SIGSTOP) while half
 * of the ring waits to be read, so that no record is lost. DROP: they run on, and what does not fit
 * is counted. */
enum pv_bpf_policy { PV_BPF_DROP = 1, PV_BPF_HOLD = 2 };
/* Value of the map `roots`, by process id (the initial pid namespace's). */
struct pv_bpf_root {
    pv_u32 policy;  /* enum pv_bpf_policy */
    pv_u32 watched; /* it is a sealed monitor itself: see PV_BPF_ALARM */
    pv_s64 claim;   /* where each of its threads keeps its claim, counted from the address of the
                     * thread's list of robust locks; 0: it makes none */
    pv_u64 threads; /* so many were found when the watch began */
};
_Static_assert(sizeof(struct pv_bpf_root) == 24, "root");
/* What a thread of a monitor says it acts for, in its own memory. */
enum pv_bpf_purpose { PV_BPF_NO_CLAIM = 0, PV_BPF_FOR_REQUEST = 1, PV_BPF_FOR_UPKEEP = 2 };
struct pv_bpf_claim {
    pv_u8 purpose; /* enum pv_bpf_purpose */
    pv_u8 pad[5];
    pv_u8 call[10]; /* of the request */
};
_Static_assert(sizeof(struct pv_bpf_claim) == 16, "claim");
/* Value of the map `held`, by process id (the initial pid namespace's). */
struct pv_bpf_held {
    pv_u64 proc;
    pv_u64 stop;  /* number of this stop */
    pv_u64 calls; /* system calls since, but for the one each thread was in */
};
_Static_assert(sizeof(struct pv_bpf_held) == 24, "held");

enum pv_bpf_kind {
    PV_BPF_FORK = 1,
    PV_BPF_EXEC = 2,
    PV_BPF_EXIT = 3,
    PV_BPF_OBJECT = 4,
    PV_BPF_SOCKET = 5,
    PV_BPF_OPEN = 6,
    PV_BPF_READ = 7,
    PV_BPF_WRITE = 8,
    PV_BPF_TOTAL = 9,
    PV_BPF_PATH_OP = 10,
    PV_BPF_CONNECT = 11,
    PV_BPF_ACCEPT = 12,
    PV_BPF_MAP_EXEC = 13,
    PV_BPF_DENIED = 14,
    PV_BPF_INTERFERENCE = 15,
    PV_BPF_CREDENTIALS = 16,
    PV_BPF_FOREIGN = 17,
    PV_BPF_NAME_OP = 18,
    PV_BPF_INFLUENCE = 19,
    PV_BPF_ALARM = 20,        /* a sealed monitor did what none has to do */
    PV_BPF_MONITOR_OPEN = 21, /* it opened a file and claims a purpose */
    PV_BPF_KINDS_END
};

/* WHOLE: up to the root of the mount namespace. CUT: the beginning did not fit. DETACHED: in no
 * directory. */
enum pv_bpf_path { PV_BPF_PATH_WHOLE = 0, PV_BPF_PATH_CUT = 1, PV_BPF_PATH_DETACHED = 2 };

enum pv_bpf_entry {
    PV_BPF_ENTRY_COMPAT = 1,
    PV_BPF_ENTRY_X32 = 2,
    PV_BPF_ENTRY_IO_URING = 3,
    PV_BPF_ENTRY_UNKNOWN = 4, /* a number that the table of system calls does not have */
};

struct pv_bpf_head {
    pv_u16 version;
    pv_u16 kind;
    pv_u32 bytes; /* of the whole record */
    pv_u32 cpu;
    pv_u32 sysno;   /* system call that caused it; an io_uring opcode for that entry */
    pv_u64 seq;     /* per CPU from 1, without gaps: advances also when the record was lost */
    pv_u64 time_ns; /* CLOCK_BOOTTIME */
    pv_u64 proc;
    pv_u64 object; /* 0: none */
    pv_s64 result; /* what the system call returned */
};
_Static_assert(sizeof(struct pv_bpf_head) == 56, "head");

struct pv_bpf_fork {
    struct pv_bpf_head head;
    pv_u64 parent; /* 0: a child of a traced host */
    pv_u64 start_ns;
    pv_u64 cgroup;
    pv_u32 host_pid; /* in the initial pid namespace */
    pv_u32 pid;      /* in its own pid namespace */
};
_Static_assert(sizeof(struct pv_bpf_fork) == 88, "fork");

/* A kernel-resolved path is its components from the last to the first, each followed by NUL. */
struct pv_bpf_exec {
    struct pv_bpf_head head;
    pv_u32 argv_bytes;
    pv_u32 path_bytes;
    pv_u32 path_cut; /* enum pv_bpf_path */
    pv_u32 pad;
    pv_u8 argv[PV_BPF_ARGV_MAX];
    pv_u8 text[PV_BPF_TEXT_MAX + PV_BPF_TEXT_SLACK]; /* path_bytes of it are sent */
};
_Static_assert(sizeof(struct pv_bpf_exec) == 56 + 16 + 512 + 5120, "exec");

struct pv_bpf_exit {
    struct pv_bpf_head head;
    pv_u32 code;   /* exit status */
    pv_u32 signal; /* that killed it, or 0 */
};
_Static_assert(sizeof(struct pv_bpf_exit) == 64, "exit");

struct pv_bpf_object {
    struct pv_bpf_head head;
    pv_u64 ino;
    pv_u32 dev; /* the kernel's own encoding: major << 20 | minor */
    pv_u32 gen;
    pv_u32 mode;
    pv_u32 fs_magic;
    pv_u32 path_bytes;
    pv_u32 path_cut;
    pv_u8 text[PV_BPF_TEXT_MAX + PV_BPF_TEXT_SLACK]; /* path_bytes of it are sent */
};
_Static_assert(sizeof(struct pv_bpf_object) == 56 + 32 + 5120, "object");

struct pv_bpf_socket {
    struct pv_bpf_head head;
    pv_u16 family;
    pv_u16 type;
    pv_u16 local_port; /* host order */
    pv_u16 remote_port;
    pv_u8 local[16];
    pv_u8 remote[16];
    pv_u64 peer_ino; /* AF_UNIX: inode of the connected socket */
};
_Static_assert(sizeof(struct pv_bpf_socket) == 104, "socket");

struct pv_bpf_open {
    struct pv_bpf_head head;
    pv_u32 flags;
    pv_s32 fd;
};
_Static_assert(sizeof(struct pv_bpf_open) == 64, "open");

struct pv_bpf_io {
    struct pv_bpf_head head;
    pv_u64 n_bytes; /* of the operation that made the edge; 0 when the edge precedes it */
};
_Static_assert(sizeof(struct pv_bpf_io) == 64, "io");

struct pv_bpf_total {
    struct pv_bpf_head head;
    pv_u64 read_ops;
    pv_u64 read_bytes;
    pv_u64 write_ops;
    pv_u64 write_bytes;
};
_Static_assert(sizeof(struct pv_bpf_total) == 88, "total");

/* Two names, each the caller's text (with its NUL) and the kernel-resolved directory it is relative
 * to. In text: name, base, name2, base2, without space between them. */
struct pv_bpf_path_op {
    struct pv_bpf_head head;
    pv_u32 name_bytes;
    pv_u32 base_bytes;
    pv_u32 name2_bytes;
    pv_u32 base2_bytes;
    pv_u32 cut; /* enum pv_bpf_path of base, of base2 << 4 */
    pv_u32 pad;
    pv_u8 text[PV_BPF_TEXT_MAX + PV_BPF_TEXT_SLACK];
};
_Static_assert(sizeof(struct pv_bpf_path_op) == 56 + 24 + 5120, "path op");

/* An operation on names with the object that the kernel took. In text: the path before, as it was
 * (of something new: as it is), and after a rename or link the new one. */
struct pv_bpf_name_op {
    struct pv_bpf_head head;
    pv_u32 path_bytes;
    pv_u32 new_bytes;
    pv_u32 cut;      /* enum pv_bpf_path of the first, of the second << 4 */
    pv_u32 replaced; /* by what a rename put in its place */
    pv_u8 text[PV_BPF_TEXT_MAX + PV_BPF_TEXT_SLACK];
};
_Static_assert(sizeof(struct pv_bpf_name_op) == 56 + 16 + 5120, "name op");

struct pv_bpf_net {
    struct pv_bpf_head head;
    pv_u16 family;
    pv_u16 port;       /* host order */
    pv_u32 path_bytes; /* AF_UNIX; a leading NUL is the abstract name space */
    pv_u8 addr[16];
    pv_u8 path[128];
};
_Static_assert(sizeof(struct pv_bpf_net) == 208, "net");

/* MAP_EXEC: arg0 = protection. INTERFERENCE, CREDENTIALS, DENIED: the call's first arguments.
 * FOREIGN: arg0 = enum pv_bpf_entry. INFLUENCE: arg0 = the process that was influenced,
 * arg1 = 1: it has read a file of /proc/PID. */
struct pv_bpf_args {
    struct pv_bpf_head head;
    pv_u64 arg0;
    pv_u64 arg1;
};
_Static_assert(sizeof(struct pv_bpf_args) == 72, "args");

enum pv_bpf_alarm {
    PV_BPF_ALARM_FORK = 1,
    PV_BPF_ALARM_THREAD = 2,
    PV_BPF_ALARM_EXEC = 3,
    PV_BPF_ALARM_MAP_EXEC = 4,
    PV_BPF_ALARM_INTERFERE = 5, /* ptrace and what else reaches into others or the kernel */
    PV_BPF_ALARM_URING = 6,
    PV_BPF_ALARM_CONNECT = 7,
    PV_BPF_ALARM_BIND = 8,
    PV_BPF_ALARM_OPEN = 9, /* for writing, or without a claim */
    PV_BPF_ALARM_DENIED = 10,
    PV_BPF_ALARM_SIGNAL = 11, /* to another process */
    PV_BPF_ALARM_RIGHTS = 12, /* credentials and namespaces */
    PV_BPF_ALARM_NAME = 13,   /* a name or attribute is changed */
    PV_BPF_ALARM_ENTRY = 14,  /* no ordinary system call */
    PV_BPF_ALARM_KILLED = 15, /* it ended by a signal, as by the one for a forbidden call */
    PV_BPF_ALARMS_END
};

/* Of a monitor's thread. arg0 and arg1 are the call's first arguments (FORK, THREAD: of the new
 * task the process and the thread; SIGNAL: the signal and whose; KILLED: the signal). What the
 * claim says stood in the thread's memory, and so did address. */
struct pv_bpf_monitor {
    struct pv_bpf_head head;
    pv_u32 pid; /* in the initial pid namespace, as tid */
    pv_u32 tid;
    pv_u32 what;  /* enum pv_bpf_alarm */
    pv_u32 flags; /* of the open file */
    pv_u64 arg0;
    pv_u64 arg1;
    struct pv_bpf_claim claim;
    pv_u64 ino; /* of the file, 0: there is none */
    pv_u32 dev; /* the kernel's own encoding */
    pv_u32 mode;
    pv_u32 address_bytes; /* CONNECT, BIND */
    pv_u32 path_bytes;
    pv_u32 path_cut; /* enum pv_bpf_path */
    pv_u32 pad;
    pv_u8 address[112];                              /* struct sockaddr */
    pv_u8 text[PV_BPF_TEXT_MAX + PV_BPF_TEXT_SLACK]; /* path_bytes of it are sent */
};
_Static_assert(sizeof(struct pv_bpf_monitor) == 56 + 80 + 112 + 5120, "monitor");

/* One element per CPU of the mappable array `cpus`, a cache line each: readable without bpf(2). */
struct pv_bpf_cpu {
    pv_u64 seq; /* of the last record, emitted or lost */
    pv_u64 emitted;
    pv_u64 lost;
    pv_u64 since_wake; /* bytes put into the ring since the consumer was last woken */
    pv_u64 released;   /* written by the auditor: seq of the last record the log holds */
    pv_u64 holds;      /* processes that were stopped here: look into `held` when it changes */
    pv_u64 let_go;     /* of the first CPU; written by the auditor: so many holds of all CPUs had
                        * been made when it last let everybody go on */
    pv_u64 since_look; /* bytes put into the ring since its fill was last asked for */
};
/* Value of let_go at the end: nobody would let go on who is stopped now. */
#define PV_BPF_NO_MORE_HOLDS (~(pv_u64)0)
_Static_assert(sizeof(struct pv_bpf_cpu) == 64, "cpu");

/* The one element of the array `meta`: whose pins these are. */
struct pv_bpf_meta {
    pv_u64 build;   /* hash of the BPF object */
    pv_u64 load_id; /* CLOCK_REALTIME at loading: sequence numbers count from there */
    pv_u32 ring_bytes;
    pv_u32 n_cpus;
    pv_u32 features; /* enum pv_bpf_feature */
    pv_u32 pad;
};
_Static_assert(sizeof(struct pv_bpf_meta) == 32, "meta");

/* What is there beyond what every kernel must have. NAMES: operations on names give the kernel's
 * objects; without it the caller's text stands alone. WATCH: sealed monitors are watched. */
enum pv_bpf_feature { PV_BPF_HAS_URING = 1, PV_BPF_HAS_NAMES = 2, PV_BPF_HAS_WATCH = 4 };
