/* One domain's files: what lives in the arena (and so in snapshots) and what does not. */
#pragma once
#include "files/arena.h"
#include "files/files.h"
#include "files/hostfd.h"

/* Everything here is part of a snapshot. Lies at the arena's beginning. */
struct pv_state {
    struct pv_alloc alloc;
    pv_ref fds; /* table of struct pv_fd, fd_max of them */
    uint32_t fd_max;
    uint32_t fd_hint; /* every descriptor below is in use */
    pv_ref buckets;   /* table of pv_ref, PV_NAME_BUCKETS of them */
    pv_ref root, cwd; /* dentries, referenced */
    pv_ref exe;       /* text: path of the program */
    uint32_t umask, uid, gid, pid, cpus;
    uint64_t memory_bytes;
    uint64_t next_ino;
    uint64_t next_tmp_dev;
    uint32_t tmp_pages, tmp_pages_max;
    uint32_t tmp_nodes, tmp_nodes_max;
    uint32_t tree_nodes, tree_nodes_max;
    uint32_t pipe_pages, pipe_pages_max;
    pv_ref timers;       /* armed ones, a chain */
    uint64_t started_ns; /* CLOCK_MONOTONIC */
};

struct pv_files {
    struct pv_arena arena;
    struct pv_hostfds hosts;
    const struct pv_files_host *host;
    void *ctx;
    int root_fd; /* owned */
    uint64_t changed;
    uint64_t partial;
    bool sealed;
};

static inline const struct pv_state *pv_state(const struct pv_files *f)
{
    return pv_at(&f->arena, 0);
}

static inline struct pv_state *pv_state_edit(struct pv_files *f)
{
    return pv_edit(&f->arena, 0, 0, sizeof(struct pv_state));
}

/* The clock of the owner; zero where it has no such clock. */
struct timespec pv_domain_now(const struct pv_files *f, clockid_t clock);
int64_t pv_domain_now_ns(const struct pv_files *f, clockid_t clock);
