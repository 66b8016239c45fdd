/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The members of kernel structures that the probes read. Offsets are relocated at load (CO-RE), so
 * neither order nor size here matters. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int s32;
typedef long long s64;
typedef u8 __u8;
typedef u16 __u16;
typedef u32 __u32;
typedef u64 __u64;
typedef s32 __s32;
typedef s64 __s64;
typedef u16 __be16;
typedef u32 __be32;
typedef u32 __wsum;
typedef u16 __sum16;
typedef _Bool bool;
typedef int pid_t;
#define true 1
#define false 0
#define NULL ((void *)0)

enum bpf_map_type {
    BPF_MAP_TYPE_HASH = 1,
    BPF_MAP_TYPE_ARRAY = 2,
    BPF_MAP_TYPE_PERCPU_ARRAY = 6,
    BPF_MAP_TYPE_LRU_HASH = 9,
    BPF_MAP_TYPE_RINGBUF = 27,
    BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_F_NO_PREALLOC = 1, BPF_F_MMAPABLE = 1024, BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_RB_NO_WAKEUP = 1, BPF_RB_FORCE_WAKEUP = 2, BPF_RB_AVAIL_DATA = 0 };

/* A function the verifier checks once, by itself: static ones it walks again at each call, which
 * exceeds its budget. Such a function takes numbers and memory of known size, kernel pointers
 * travel as numbers. */
#define SEPARATE __attribute__((noinline, visibility("default")))
#define RELOCATED __attribute__((preserve_access_index))

struct pt_regs {
    unsigned long r10, r9, r8, ax, cx, dx, bx, bp, si, di, orig_ax;
} RELOCATED;
struct qstr {
    union {
        struct {
            u32 hash, len;
        };
        u64 hash_len;
    };
    const unsigned char *name;
} RELOCATED;
struct hlist_node {
    struct hlist_node *next;
} RELOCATED;
struct hlist_head {
    struct hlist_node *first;
} RELOCATED;
struct hlist_bl_node {
    struct hlist_bl_node **pprev;
} RELOCATED;
struct mount;
struct mnt_namespace;
struct super_block {
    struct mount *s_mounts;
    u32 s_dev;
    unsigned long s_magic;
} RELOCATED;
typedef struct {
    int counter;
} atomic_t;
struct address_space {
    atomic_t i_mmap_writable;
} RELOCATED;
struct inode {
    u16 i_mode;
    struct address_space *i_mapping;
    struct super_block *i_sb;
    unsigned long i_ino;
    u32 i_generation;
    u32 i_rdev;
    struct hlist_head i_dentry;
} RELOCATED;
struct dentry {
    struct dentry *d_parent;
    struct qstr d_name;
    struct inode *d_inode;
    struct super_block *d_sb;
    struct hlist_bl_node d_hash;
    union {
        struct hlist_node d_alias;
    } d_u;
} RELOCATED;
struct vfsmount {
    struct dentry *mnt_root;
    struct super_block *mnt_sb;
} RELOCATED;
struct mount {
    struct mount *mnt_parent;
    struct dentry *mnt_mountpoint;
    struct vfsmount mnt;
    struct mnt_namespace *mnt_ns;
    struct mount *mnt_next_for_sb; /* since Linux 6.18 */
} RELOCATED;
struct path {
    struct vfsmount *mnt;
    struct dentry *dentry;
} RELOCATED;
struct file {
    u32 f_mode;
    u32 f_flags;
    void *private_data;
    struct inode *f_inode;
    struct path f_path;
} RELOCATED;
struct fdtable {
    unsigned max_fds;
    struct file **fd;
} RELOCATED;
struct files_struct {
    atomic_t count;
    struct fdtable *fdt;
} RELOCATED;
struct fs_struct {
    struct path root, pwd;
} RELOCATED;
struct nsproxy {
    struct mnt_namespace *mnt_ns;
} RELOCATED;
struct kernfs_node {
    u64 id;
} RELOCATED;
struct cgroup {
    struct kernfs_node *kn;
} RELOCATED;
struct css_set {
    struct cgroup *dfl_cgrp;
} RELOCATED;
struct mm_struct {
    atomic_t mm_users;
    unsigned long arg_start, arg_end;
} RELOCATED;
struct thread_info {
    u32 status;
} RELOCATED;
struct signal_struct {
    atomic_t live;
} RELOCATED;
struct upid {
    int nr;
} RELOCATED;
struct pid {
    unsigned level;
    struct hlist_head tasks[1];
    struct upid numbers[1];
} RELOCATED;
struct proc_inode {
    struct pid *pid;
    struct inode vfs_inode;
} RELOCATED;
struct task_struct {
    struct thread_info thread_info;
    pid_t pid, tgid;
    u64 start_boottime;
    struct files_struct *files;
    struct fs_struct *fs;
    struct mm_struct *mm;
    struct nsproxy *nsproxy;
    struct task_struct *real_parent;
    struct css_set *cgroups;
    int exit_code;
    unsigned int ptrace;        /* 0: nobody traces it */
    struct task_struct *parent; /* who is told of it: its tracer, else its parent */
    struct signal_struct *signal;
    struct pid *thread_pid;
    struct hlist_node pid_links[1];
    struct task_struct *group_leader;
    void *robust_list; /* the thread's, in user memory */
    void *bpf_storage; /* of all task-storage maps; NULL while no program keeps anything */
} RELOCATED;
/* What an iterator over tasks is given; task NULL: it has come to the end. */
struct bpf_iter__task {
    u64 meta;
    struct task_struct *task;
};
struct linux_binprm {
    struct file *file;
} RELOCATED;
struct in6_addr {
    union {
        u8 u6_addr8[16];
    } in6_u;
} RELOCATED;
struct sock_common {
    u32 skc_daddr, skc_rcv_saddr;
    u16 skc_dport, skc_num, skc_family;
    struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
} RELOCATED;
struct socket;
struct sock {
    struct sock_common __sk_common;
    struct socket *sk_socket;
} RELOCATED;
struct socket {
    short type;
    struct sock *sk;
    struct file *file;
} RELOCATED;
struct sockaddr_un {
    u16 sun_family;
    char sun_path[108];
} RELOCATED;
struct unix_address {
    int len;
    struct sockaddr_un name[1];
} RELOCATED;
struct unix_sock {
    struct unix_address *addr;
    struct sock *peer;
} RELOCATED;
struct io_cqe {
    s32 res;
    s32 fd;
} RELOCATED;
struct io_uring_task {
    struct task_struct *task; /* since Linux 6.13 */
} RELOCATED;
struct io_kiocb {
    struct file *file;
    u8 opcode;
    struct io_cqe cqe;
    struct io_uring_task *tctx;
} RELOCATED;
struct io_uring_cqe {
    s32 res;
} RELOCATED;
struct io_ring_ctx;
struct timespec64;
struct kernel_siginfo {
    int si_code;
} RELOCATED;
