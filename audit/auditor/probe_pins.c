#include "probe_pins.h"

#include "probe_hold.h"
#include "provost.skel.h"
#include "pv/clock.h"
#include "pv/limits.h"
#include "pv/own.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* meta is pinned last: where it is found, all others are. */
static const char *const maps[] = {"meta", "ring", "critical", "roots", "cpus", "held"};
static const char *const links[] = {"link-fork",  "link-exec",  "link-exit",   "link-enter",
                                    "link-leave", "link-uring", "link-opened", "link-set",
                                    "link-moved", "link-kept",  "link-signal", "link-watch"};
enum { N_MAPS = sizeof maps / sizeof maps[0], N_LINKS = sizeof links / sizeof links[0] };
enum { N_LINKS_REQUIRED = 5 };

PV_DEFINE_CLEANUP(struct provost_bpf, provost_bpf__destroy)

static int pin_path(char out[PV_PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, PV_PATH_MAX, "%s/%s", dir, name);

    return n > 0 && n < PV_PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* FNV-1a: tells builds apart; nobody but the auditor writes that directory. */
static uint64_t build_hash(void)
{
    size_t n = 0;
    const unsigned char *p = (const unsigned char *)provost_bpf__elf_bytes(&n);
    uint64_t h = 0xcbf29ce484222325ull;

    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3ull;
    return h;
}

uint32_t pv_probe_critical_bytes(uint32_t ring_bytes)
{
    uint32_t page = (uint32_t)sysconf(_SC_PAGESIZE);

    return ring_bytes / 16 > page ? ring_bytes / 16 : page;
}

static int open_pin(const char *dir, const char *name)
{
    char path[PV_PATH_MAX];

    PV_TRY(pin_path(path, dir, name));
    int fd = bpf_obj_get(path);
    return fd >= 0 ? fd : -errno;
}

static void unlink_pins(const char *dir, const char *const *names, size_t n)
{
    char path[PV_PATH_MAX];

    for (size_t i = 0; i < n; i++)
        if (pin_path(path, dir, names[i]) == 0)
            (void)unlink(path);
}

/* The kernel ends programs some time after their last link has gone: who goes on before that may be
 * stopped anew. */
static void let_everybody_go(int held)
{
    enum { ROUNDS = 50, ROUND_MS = 20 };

    for (unsigned i = 0; i < ROUNDS && pv_probe_hold_end(held) > 0; i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = ROUND_MS * PV_NS_PER_MS}, NULL);
}

void pv_probe_pins_remove(const char *dir, int held)
{
    unlink_pins(dir, links, N_LINKS);
    if (held >= 0)
        let_everybody_go(held);
    unlink_pins(dir, maps, N_MAPS);
    if (held >= 0)
        (void)pv_probe_hold_end(held);
}

/* Of an auditor before this one. */
static void remove_stale(const char *dir)
{
    pv_autoclose int held = open_pin(dir, "held");

    pv_probe_pins_remove(dir, held);
}

void pv_probe_maps_close(struct pv_probe_maps *m)
{
    pv_close_fd_(&m->ring);
    pv_close_fd_(&m->critical);
    pv_close_fd_(&m->roots);
    pv_close_fd_(&m->cpus);
    pv_close_fd_(&m->held);
    pv_close_fd_(&m->watch);
}

/* 0 and everything in ret when all pins are there and of this build; else negative. */
static int open_all(struct pv_probe_maps *ret, const char *dir, uint32_t ring_bytes)
{
    pv_autoclose int meta = -1;
    uint32_t zero = 0;

    for (size_t i = 0; i < N_LINKS_REQUIRED; i++) {
        pv_autoclose int link = open_pin(dir, links[i]);

        PV_TRY(link);
    }
    meta = open_pin(dir, "meta");
    __attribute__((cleanup(pv_probe_maps_close))) struct pv_probe_maps m = {
        .ring = open_pin(dir, "ring"),
        .critical = open_pin(dir, "critical"),
        .roots = open_pin(dir, "roots"),
        .cpus = open_pin(dir, "cpus"),
        .held = open_pin(dir, "held"),
        .watch = open_pin(dir, "link-watch")};
    if (meta < 0 || m.ring < 0 || m.critical < 0 || m.roots < 0 || m.cpus < 0 || m.held < 0)
        return -ENOENT;
    if (bpf_map_lookup_elem(meta, &zero, &m.meta) != 0)
        return -errno;
    if (m.meta.build != build_hash() || m.meta.ring_bytes != ring_bytes)
        return -ESTALE;
    *ret = m;
    m.ring = m.critical = m.roots = m.cpus = m.held = m.watch = -1;
    return 0;
}

static bool kernel_has(const char *name, uint32_t kind)
{
    struct btf *btf = btf__load_vmlinux_btf();
    bool found = btf && btf__find_by_name_kind(btf, name, kind) > 0;

    btf__free(btf);
    return found;
}

/* libbpf's last complaint: its lines would go to stderr unasked, but the reason is part of ours. */
static char complaint[256];

PV_PRINTF(2, 0)
static int keep_complaint(enum libbpf_print_level level, const char *fmt, va_list args)
{
    char line[sizeof complaint];

    if (level != LIBBPF_WARN)
        return 0;
    int n = vsnprintf(line, sizeof line, fmt, args);
    /* the verifier's whole log is one such line; its last words come before it */
    if (n > 0 && !strstr(line, "PROG LOAD LOG")) {
        memcpy(complaint, line, sizeof line);
        complaint[strcspn(complaint, "\n")] = '\0';
    }
    return n;
}

/* What the kernel has beyond what is needed: enum pv_bpf_feature. */
static uint32_t choose(struct provost_bpf *skel, bool roomy)
{
    uint32_t features = 0;

    (void)bpf_program__set_autoload(skel->progs.on_sys_enter, roomy);
    (void)bpf_program__set_autoload(skel->progs.on_sys_exit, roomy);
    (void)bpf_program__set_autoload(skel->progs.on_sys_enter_512, !roomy);
    (void)bpf_program__set_autoload(skel->progs.on_sys_exit_512, !roomy);
    if (kernel_has("btf_trace_io_uring_submit_req", BTF_KIND_TYPEDEF) &&
        kernel_has("btf_trace_io_uring_complete", BTF_KIND_TYPEDEF)) {
        (void)bpf_program__set_autoload(skel->progs.on_uring_submit, true);
        (void)bpf_program__set_autoload(skel->progs.on_uring_complete, true);
        features |= PV_BPF_HAS_URING;
    }
    if (kernel_has("btf_trace_ctime_ns_xchg", BTF_KIND_TYPEDEF)) {
        (void)bpf_program__set_autoload(skel->progs.on_ctime_set, true);
        (void)bpf_program__set_autoload(skel->progs.on_ctime_changed, true);
        (void)bpf_program__set_autoload(skel->progs.on_ctime_kept, true);
        features |= PV_BPF_HAS_NAMES;
    }
    if (kernel_has("bpf_iter_task", BTF_KIND_FUNC)) {
        (void)bpf_program__set_autoload(skel->progs.on_each_task, true);
        features |= PV_BPF_HAS_WATCH;
    }
    return features;
}

static int load(struct provost_bpf *skel, bool roomy, uint32_t ring_bytes, uint32_t n_cpus,
                uint32_t *ret_features, struct pv_err *err)
{
    int rc = 0;

    (void)bpf_map__set_max_entries(skel->maps.ring, ring_bytes);
    (void)bpf_map__set_max_entries(skel->maps.critical, pv_probe_critical_bytes(ring_bytes));
    skel->rodata->ring_bytes = ring_bytes;
    skel->rodata->look_bytes = ring_bytes / 32 / n_cpus;
    skel->rodata->has_cast = kernel_has("bpf_rdonly_cast", BTF_KIND_FUNC);
    (void)bpf_map__set_max_entries(skel->maps.cpus, n_cpus);
    *ret_features = choose(skel, roomy);
    /* ids of an earlier load in this boot are below: nobody makes a million a second */
    skel->data->next_id = (pv_now_boot_ns() / PV_NS_PER_S + 1) << 20;
    rc = provost_bpf__load(skel);
    if (rc < 0)
        return pv_fail(err, rc,
                       "load the eBPF programs (needs CAP_BPF, CAP_PERFMON, kernel BTF; libbpf "
                       "says: %s)",
                       complaint);
    rc = provost_bpf__attach(skel);
    if (rc < 0)
        return pv_fail(err, rc, "attach the eBPF programs (libbpf says: %s)", complaint);
    return 0;
}

static int pin_link(struct bpf_link *link, const char *dir, const char *name, struct pv_err *err)
{
    char path[PV_PATH_MAX];

    if (!link)
        return 0;
    PV_TRY(pin_path(path, dir, name));
    int rc = bpf_link__pin(link, path);
    return rc < 0 ? pv_fail(err, rc, "pin '%s'", path) : 0;
}

static int pin_map(struct bpf_map *map, const char *dir, const char *name, struct pv_err *err)
{
    char path[PV_PATH_MAX];

    PV_TRY(pin_path(path, dir, name));
    int rc = bpf_map__pin(map, path);
    return rc < 0 ? pv_fail(err, rc, "pin '%s' (is a bpffs mounted there?)", path) : 0;
}

static int pin_all(struct provost_bpf *skel, const char *dir, struct pv_err *err)
{
    PV_TRY(pin_map(skel->maps.ring, dir, "ring", err));
    PV_TRY(pin_map(skel->maps.critical, dir, "critical", err));
    PV_TRY(pin_map(skel->maps.roots, dir, "roots", err));
    PV_TRY(pin_map(skel->maps.cpus, dir, "cpus", err));
    PV_TRY(pin_map(skel->maps.held, dir, "held", err));
    PV_TRY(pin_link(skel->links.on_fork, dir, "link-fork", err));
    PV_TRY(pin_link(skel->links.on_exec, dir, "link-exec", err));
    PV_TRY(pin_link(skel->links.on_exit, dir, "link-exit", err));
    PV_TRY(pin_link(skel->links.on_sys_enter, dir, "link-enter", err));
    PV_TRY(pin_link(skel->links.on_sys_enter_512, dir, "link-enter", err));
    PV_TRY(pin_link(skel->links.on_sys_exit, dir, "link-leave", err));
    PV_TRY(pin_link(skel->links.on_sys_exit_512, dir, "link-leave", err));
    PV_TRY(pin_link(skel->links.on_uring_submit, dir, "link-uring", err));
    PV_TRY(pin_link(skel->links.on_uring_complete, dir, "link-opened", err));
    PV_TRY(pin_link(skel->links.on_ctime_set, dir, "link-set", err));
    PV_TRY(pin_link(skel->links.on_ctime_changed, dir, "link-moved", err));
    PV_TRY(pin_link(skel->links.on_ctime_kept, dir, "link-kept", err));
    PV_TRY(pin_link(skel->links.on_signal, dir, "link-signal", err));
    PV_TRY(pin_link(skel->links.on_each_task, dir, "link-watch", err));
    return pin_map(skel->maps.meta, dir, "meta", err);
}

static int load_and_pin(const char *dir, bool roomy, uint32_t ring_bytes, struct pv_err *err)
{
    int n_cpus = libbpf_num_possible_cpus();
    struct pv_bpf_meta m = {0};
    uint32_t zero = 0;

    if (n_cpus < 1)
        return pv_fail(err, n_cpus, "count the CPUs");
    PV_CLEANUP(provost_bpf__destroy) struct provost_bpf *skel = provost_bpf__open();
    if (!skel)
        return pv_fail(err, errno, "open the eBPF object");
    uint32_t features = 0;
    PV_TRY(load(skel, roomy, ring_bytes, (uint32_t)n_cpus, &features, err));
    m = (struct pv_bpf_meta){.build = build_hash(),
                             .load_id = pv_now_real_ns(),
                             .ring_bytes = ring_bytes,
                             .n_cpus = (uint32_t)n_cpus,
                             .features = features};
    if (bpf_map_update_elem(bpf_map__fd(skel->maps.meta), &zero, &m, BPF_ANY) != 0)
        return pv_fail(err, errno, "note the build of the eBPF programs");
    int rc = pin_all(skel, dir, err);
    if (rc < 0)
        pv_probe_pins_remove(dir, bpf_map__fd(skel->maps.held));
    return rc;
}

/* Whether each function of a program has a stack of its own no symbol tells: it is tried. */
static int load_as_fits(const char *dir, uint32_t ring_bytes, struct pv_err *err)
{
    struct pv_err too_deep = PV_ERR_INIT;
    int rc = load_and_pin(dir, true, ring_bytes, &too_deep);

    if (rc == -EACCES)
        return load_and_pin(dir, false, ring_bytes, err);
    if (rc < 0 && err)
        *err = too_deep;
    return rc;
}

int pv_probe_pins_open(struct pv_probe_maps *ret, const char *dir, uint32_t ring_bytes,
                       struct pv_err *err)
{
    libbpf_set_print(keep_complaint);
    complaint[0] = '\0';
    if (open_all(ret, dir, ring_bytes) == 0) {
        ret->reused = true;
        return 0;
    }
    remove_stale(dir);
    PV_TRY(load_as_fits(dir, ring_bytes, err));
    int rc = open_all(ret, dir, ring_bytes);
    return rc < 0 ? pv_fail(err, rc, "open the pins under '%s'", dir) : 0;
}
