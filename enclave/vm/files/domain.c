#include "files/domain.h"

#include "files/dev.h"
#include "files/inet.h"
#include "files/mount.h"
#include "files/node.h"
#include "files/path.h"
#include "files/proc.h"
#include "files/stream.h"
#include "files/tree.h"
#include "pv/own.h"

#include <assert.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <string.h>
#include <sys/sysmacros.h>

enum {
    FD_LIMIT = 65536,
    PER_DESCRIPTOR = 2560, /* open file, its name and node, and an object of a small kind */
    PER_NODE = 1024,       /* node, name, a long name */
    FIXED_BYTES = 1 << 20, /* /proc, /dev, tables */
};

PV_DEFINE_CLEANUP(struct pv_files, pv_files_free)

struct timespec pv_domain_now(const struct pv_files *f, clockid_t clock)
{
    struct timespec now = {0};

    if (f->host->now(f->ctx, clock, &now) < 0)
        now = (struct timespec){0};
    return now;
}

int64_t pv_domain_now_ns(const struct pv_files *f, clockid_t clock)
{
    struct timespec now = pv_domain_now(f, clock);

    return now.tv_sec * 1000000000 + now.tv_nsec;
}

static struct pv_files_limits limits_of(const struct pv_files_spec *spec)
{
    struct pv_files_limits l = spec->limits;

    l.tmp_bytes = l.tmp_bytes ? l.tmp_bytes : 64u << 20;
    l.tmp_nodes = l.tmp_nodes ? l.tmp_nodes : 4096;
    l.descriptors = l.descriptors ? l.descriptors : 1024;
    l.pipe_bytes = l.pipe_bytes ? l.pipe_bytes : 4u << 20;
    l.tree_nodes = l.tree_nodes ? l.tree_nodes : 8192;
    l.kept_bytes = l.kept_bytes ? l.kept_bytes : 4u << 20;
    return l;
}

static int check_spec(const struct pv_files_spec *spec, const struct pv_files_limits *l,
                      struct pv_err *err)
{
    if (!spec->host || !spec->host->random || !spec->host->now)
        return pv_refuse(err, EINVAL, "a domain's files need a clock and randomness");
    if (l->descriptors < 3 || l->descriptors > FD_LIMIT)
        return pv_refuse(err, EINVAL, "%u descriptors are not between 3 and %d", l->descriptors,
                         FD_LIMIT);
    if (l->tmp_bytes > 1ull << 36 || l->pipe_bytes > 1ull << 32 || l->tmp_nodes > 1u << 22 ||
        l->tree_nodes > 1u << 22)
        return pv_refuse(err, EINVAL, "limits of a domain's files are too large");
    if (spec->writables > PV_FILES_WRITABLE_MAX)
        return pv_refuse(err, EINVAL, "more than %d writable mounts", PV_FILES_WRITABLE_MAX);
    if (spec->exe && (spec->exe[0] != '/' || strlen(spec->exe) >= PV_PATH_BYTES))
        return pv_refuse(err, EINVAL, "the program's path is not absolute, or too long");
    return 0;
}

/* Room for everything that the limits allow, so that they, and not the arena, say what is full. */
static uint64_t arena_bytes(const struct pv_files_limits *l)
{
    return FIXED_BYTES + l->tmp_bytes + l->pipe_bytes + (uint64_t)l->descriptors * PER_DESCRIPTOR +
           ((uint64_t)l->tmp_nodes + l->tree_nodes) * PER_NODE;
}

static uint32_t pages(uint64_t bytes)
{
    return (uint32_t)((bytes + PV_PAGE - 1) / PV_PAGE);
}

static int fill_state(struct pv_files *f, const struct pv_files_spec *spec,
                      const struct pv_files_limits *l, struct pv_err *err)
{
    const char *exe = spec->exe ? spec->exe : "/";
    struct pv_state *state = pv_state_edit(f);

    state->fd_max = l->descriptors;
    state->fds = pv_arena_run(&f->arena, pages(l->descriptors * sizeof(uint64_t)));
    state->buckets = pv_arena_run(&f->arena, pages(PV_NAME_BUCKETS * sizeof(pv_ref)));
    state->exe = pv_arena_new(&f->arena, strlen(exe) + 1);
    if (!state->fds || !state->buckets || !state->exe)
        return pv_fail(err, ENOMEM, "allocate a domain's tables");
    memcpy(pv_edit(&f->arena, state->exe, 0, strlen(exe) + 1), exe, strlen(exe) + 1);
    state->umask = spec->umask & 0777;
    state->uid = spec->uid;
    state->gid = spec->gid;
    state->pid = spec->pid ? spec->pid : 1;
    state->cpus = spec->cpus ? spec->cpus : 1;
    state->memory_bytes = spec->memory_bytes;
    state->next_ino = 2;
    state->next_tmp_dev = makedev(0, 64);
    state->tmp_pages_max = pages(l->tmp_bytes);
    state->tmp_nodes_max = l->tmp_nodes;
    state->tree_nodes_max = l->tree_nodes;
    state->pipe_pages_max = pages(l->pipe_bytes);
    state->started_ns = (uint64_t)pv_domain_now_ns(f, CLOCK_MONOTONIC);
    return 0;
}

static int mount_all(struct pv_files *f, const struct pv_files_spec *spec, struct pv_err *err)
{
    if (pv_dev_build(f) < 0 || pv_proc_build(f) < 0)
        return pv_fail(err, ENOMEM, "build /dev and /proc of a domain");
    PV_TRY(pv_mount_writable(f, "/tmp", err));
    PV_TRY(pv_mount_writable(f, "/dev/shm", err));
    for (size_t i = 0; i < spec->writables; i++)
        PV_TRY(pv_mount_writable(f, spec->writable[i], err));
    return 0;
}

static int enter_cwd(struct pv_files *f, const char *cwd, struct pv_err *err)
{
    int64_t rc;

    pv_state_edit(f)->cwd = pv_state(f)->root;
    pv_dentry_get(f, pv_state(f)->root);
    rc = cwd ? pv_files_chdir(f, cwd) : 0;
    return rc < 0 ? pv_fail(err, (int)rc, "enter the working directory '%s'", cwd) : 0;
}

static struct pv_files *domain_new(const struct pv_files_spec *spec)
{
    struct pv_files *f = calloc(1, sizeof *f);

    if (!f)
        return NULL;
    f->root_fd = -1;
    f->host = spec->host;
    f->ctx = spec->ctx;
    return f;
}

int pv_files_new(const struct pv_files_spec *spec, struct pv_files **ret, struct pv_err *err)
{
    PV_CLEANUP(pv_files_free) struct pv_files *f = NULL;
    const struct pv_files_limits limits = limits_of(spec);
    pv_ref root = 0;
    int rc;

    PV_TRY(check_spec(spec, &limits, err));
    f = domain_new(spec);
    if (!f)
        return pv_fail(err, ENOMEM, "allocate a domain's files");
    f->root_fd = fcntl(spec->root_fd, F_DUPFD_CLOEXEC, 3);
    if (f->root_fd < 0)
        return pv_fail(err, errno, "duplicate a domain's root");
    PV_TRY(pv_hostfds_init(&f->hosts, limits.descriptors, err));
    PV_TRY(pv_arena_init(&f->arena, arena_bytes(&limits), limits.kept_bytes, err));
    PV_TRY(fill_state(f, spec, &limits, err));
    rc = pv_tree_root_node(f, &root);
    if (rc < 0)
        return pv_fail(err, rc, "look at a domain's root");
    pv_state_edit(f)->root = root;
    PV_TRY(mount_all(f, spec, err));
    PV_TRY(enter_cwd(f, spec->cwd, err));
    if (pv_streams_open(f) < 0)
        return pv_fail(err, ENOMEM, "open a domain's streams");
    *ret = PV_TAKE_PTR(f);
    return 0;
}

void pv_files_free(struct pv_files *f)
{
    if (!f)
        return;
    pv_hostfds_done(&f->hosts);
    pv_arena_done(&f->arena);
    if (f->root_fd >= 0)
        close(f->root_fd);
    free(f);
}

static bool has_connection(const struct pv_files *f)
{
    for (uint32_t fd = 0; fd < pv_state(f)->fd_max; fd++) {
        pv_ref file = pv_fd_file(f, (int)fd);

        if (file && pv_file(f, file)->kind == PV_FILE_INET && pv_inet_host(f, file) >= 0)
            return true;
    }
    return false;
}

int pv_files_seal(struct pv_files *f, struct pv_err *err)
{
    assert(!f->sealed && !f->arena.image);
    if (has_connection(f))
        return pv_refuse(err, EBUSY, "a connection is open, which cannot be part of a snapshot");
    PV_TRY(pv_arena_seal(&f->arena, err));
    pv_hostfds_seal(&f->hosts);
    f->sealed = true;
    return 0;
}

int pv_files_clone(const struct pv_files *sealed, const struct pv_files_spec *spec,
                   struct pv_files **ret, struct pv_err *err)
{
    PV_CLEANUP(pv_files_free) struct pv_files *f = NULL;

    assert(sealed->sealed);
    if (!spec->host || !spec->host->random || !spec->host->now)
        return pv_refuse(err, EINVAL, "a domain's files need a clock and randomness");
    f = domain_new(spec);
    if (!f)
        return pv_fail(err, ENOMEM, "allocate a clone's files");
    f->root_fd = fcntl(sealed->root_fd, F_DUPFD_CLOEXEC, 3);
    if (f->root_fd < 0)
        return pv_fail(err, errno, "duplicate a domain's root");
    PV_TRY(pv_arena_clone(&sealed->arena, &f->arena, err));
    PV_TRY(pv_hostfds_clone(&sealed->hosts, &f->hosts, err));
    *ret = PV_TAKE_PTR(f);
    return 0;
}

void pv_files_reset(struct pv_files *clone)
{
    assert(clone->arena.image && !clone->sealed);
    pv_hostfds_reset(&clone->hosts);
    pv_arena_reset(&clone->arena);
    clone->changed = 0;
    clone->partial = 0;
}

void pv_files_sealed_hash(const struct pv_files *sealed, uint8_t ret_hash[32])
{
    size_t len;
    const uint8_t *image = pv_arena_image(&sealed->arena, &len);

    assert(sealed->sealed);
    gcry_md_hash_buffer(GCRY_MD_SHA256, ret_hash, image, len);
}

uint64_t pv_files_private_bytes(const struct pv_files *f)
{
    return (uint64_t)f->arena.own_n * PV_PAGE;
}

uint64_t pv_files_changed(const struct pv_files *f)
{
    return f->changed;
}

uint64_t pv_files_partial(const struct pv_files *f)
{
    return f->partial;
}

size_t pv_files_host_fds(const struct pv_files *f, struct pollfd *ret, size_t max)
{
    size_t n = 0;

    if (f->hosts.loose == 0)
        return 0;
    for (uint32_t fd = 0; fd < pv_state(f)->fd_max; fd++) {
        pv_ref file = pv_fd_file(f, (int)fd);

        if (!file || pv_file(f, file)->kind != PV_FILE_INET || pv_inet_host(f, file) < 0)
            continue;
        if (n < max)
            ret[n] =
                (struct pollfd){.fd = pv_inet_host(f, file),
                                .events = pv_inet(f, file)->wants_out ? POLLIN | POLLOUT : POLLIN};
        n++;
    }
    return n;
}
