#include "probe.h"

#include "probe_hold.h"
#include "probe_order.h"
#include "probe_pins.h"
#include "probe_translate.h"
#include "pv/bpf_record.h"
#include "pv/clock.h"
#include "pv/own.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

struct pv_probe {
    char *dir;                 /* owned */
    struct pv_probe_maps maps; /* descriptors owned */
    int epoll_fd;              /* owned; readable while a ring is */
    struct pv_probe_order order;
    struct pv_bpf_cpu *cpus; /* mapped, n_cpus elements */
    size_t cpus_bytes;
    uint64_t *last;  /* owned: per CPU the seq handed out last */
    uint32_t at_cpu; /* of the last record or gap handed out */
    uint64_t holds;  /* of all CPUs, as last seen */
    bool any_held;   /* processes may be waiting for room */
    int64_t real_minus_boot;
    struct pv_probe_texts texts;
};

static void refuse_reason(char *reason, size_t cap, const char *what, int error)
{
    snprintf(reason, cap, "%s: %s", what, strerror(error));
}

bool pv_probe_available(char *reason, size_t cap)
{
    struct btf *btf = btf__load_vmlinux_btf();

    if (!btf) {
        refuse_reason(reason, cap, "no kernel type information in /sys/kernel/btf/vmlinux", errno);
        return false;
    }
    bool traced = btf__find_by_name_kind(btf, "btf_trace_sys_enter", BTF_KIND_TYPEDEF) > 0 &&
                  btf__find_by_name_kind(btf, "btf_trace_sys_exit", BTF_KIND_TYPEDEF) > 0;
    btf__free(btf);
    if (!traced) {
        refuse_reason(reason, cap, "the kernel has no system call tracepoints", ENOSYS);
        return false;
    }
    pv_autoclose int ring =
        bpf_map_create(BPF_MAP_TYPE_RINGBUF, "pv_try", 0, 0, (uint32_t)sysconf(_SC_PAGESIZE), NULL);
    if (ring < 0) {
        refuse_reason(reason, cap, "cannot create a BPF ring buffer (CAP_BPF)", errno);
        return false;
    }
    return true;
}

void pv_probe_close(struct pv_probe *p, bool unpin)
{
    if (!p)
        return;
    if (unpin && p->dir) {
        if (p->cpus)
            __atomic_store_n(&p->cpus[0].let_go, PV_BPF_NO_MORE_HOLDS, __ATOMIC_RELEASE);
        pv_probe_pins_remove(p->dir, p->maps.held);
    }
    for (unsigned i = 0; i < PV_PROBE_RINGS; i++)
        pv_probe_ring_unmap(&p->order.ring[i]);
    if (p->cpus)
        (void)munmap(p->cpus, p->cpus_bytes);
    pv_probe_maps_close(&p->maps);
    pv_close_fd_(&p->epoll_fd);
    free(p->last);
    free(p->dir);
    free(p);
}

static void close_keeping_pins(struct pv_probe *p)
{
    pv_probe_close(p, false);
}
PV_DEFINE_CLEANUP(struct pv_probe, close_keeping_pins)

static int map_cpus(struct pv_probe *p, struct pv_err *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = sizeof(struct pv_bpf_cpu) * p->maps.meta.n_cpus;

    p->cpus_bytes = (bytes + page - 1) / page * page;
    void *m = mmap(NULL, p->cpus_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, p->maps.cpus, 0);
    if (m == MAP_FAILED)
        return pv_fail(err, errno, "map the probes' counters");
    p->cpus = m;
    /* the auditor before was interrupted while it ended the programs */
    if (p->cpus[0].let_go == PV_BPF_NO_MORE_HOLDS)
        __atomic_store_n(&p->cpus[0].let_go, 0, __ATOMIC_RELEASE);
    p->last = calloc(p->maps.meta.n_cpus, sizeof *p->last);
    if (!p->last)
        return pv_fail(err, ENOMEM, "allocate sequence numbers");
    for (uint32_t i = 0; i < p->maps.meta.n_cpus; i++)
        p->last[i] = p->cpus[i].released;
    return 0;
}

static void tell(const struct pv_probe *p, struct pv_probe_info *ret)
{
    *ret = (struct pv_probe_info){.reused = p->maps.reused,
                                  .load_id = p->maps.meta.load_id,
                                  .ring_bytes = p->maps.meta.ring_bytes,
                                  .n_cpus = p->maps.meta.n_cpus,
                                  .present = p->maps.meta.features};
    snprintf(ret->features, sizeof ret->features,
             "ebpf records=%d load=%llu ring=%u cpus=%u names=%s io_uring=%s watch=%s %s",
             PV_BPF_VERSION, (unsigned long long)ret->load_id, ret->ring_bytes, ret->n_cpus,
             p->maps.meta.features & PV_BPF_HAS_NAMES ? "kernel" : "claimed",
             p->maps.meta.features & PV_BPF_HAS_URING ? "yes" : "no",
             p->maps.meta.features & PV_BPF_HAS_WATCH ? "yes" : "no",
             ret->reused ? "reused" : "loaded");
}

static int map_rings(struct pv_probe *p, struct pv_err *err)
{
    const int fds[PV_PROBE_RINGS] = {p->maps.ring, p->maps.critical};
    const uint32_t bytes[PV_PROBE_RINGS] = {p->maps.meta.ring_bytes,
                                            pv_probe_critical_bytes(p->maps.meta.ring_bytes)};

    p->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (p->epoll_fd < 0)
        return pv_fail(err, errno, "create an epoll for the probes' rings");
    for (unsigned i = 0; i < PV_PROBE_RINGS; i++) {
        struct epoll_event ev = {.events = EPOLLIN};

        PV_TRY(pv_probe_ring_map(&p->order.ring[i], fds[i], bytes[i], err));
        if (epoll_ctl(p->epoll_fd, EPOLL_CTL_ADD, fds[i], &ev) < 0)
            return pv_fail(err, errno, "watch the probes' ring");
    }
    pv_probe_order_init(&p->order);
    return 0;
}

int pv_probe_open(struct pv_probe **ret, const char *bpffs_dir, uint32_t ring_bytes,
                  struct pv_probe_info *ret_info, struct pv_err *err)
{
    PV_CLEANUP(close_keeping_pins) struct pv_probe *p = calloc(1, sizeof *p);

    if (!p)
        return pv_fail(err, ENOMEM, "allocate probe");
    p->maps = (struct pv_probe_maps){
        .ring = -1, .critical = -1, .roots = -1, .cpus = -1, .held = -1, .watch = -1};
    p->any_held = true;
    p->epoll_fd = -1;
    p->dir = strdup(bpffs_dir);
    if (!p->dir)
        return pv_fail(err, ENOMEM, "allocate probe");
    int rc =
        pv_probe_pins_open(&p->maps, bpffs_dir, ring_bytes ? ring_bytes : PV_BPF_RING_BYTES, err);
    char reason[160];
    if (rc < 0 && !pv_probe_available(reason, sizeof reason))
        return pv_wrap(err, rc, "%s", reason);
    PV_TRY(rc);
    PV_TRY(map_rings(p, err));
    PV_TRY(map_cpus(p, err));
    p->real_minus_boot = (int64_t)(pv_now_real_ns() - pv_now_boot_ns());
    if (ret_info)
        tell(p, ret_info);
    *ret = PV_TAKE_PTR(p);
    return 0;
}

int pv_probe_fd(const struct pv_probe *p)
{
    return p->epoll_fd;
}

int pv_probe_trace(struct pv_probe *p, pid_t host_pid, bool hold, struct pv_err *err)
{
    uint32_t key = (uint32_t)host_pid;
    struct pv_bpf_root root = {.policy = hold ? PV_BPF_HOLD : PV_BPF_DROP}, known;

    /* by the auditor before: it may be watched by now */
    if (bpf_map_lookup_elem(p->maps.roots, &key, &known) == 0 && known.policy == root.policy)
        return 0;
    if (bpf_map_update_elem(p->maps.roots, &key, &root, BPF_ANY) != 0)
        return pv_fail(err, errno, "trace the children of process %d", (int)host_pid);
    return 0;
}

/* Every task passes by the program; it says nothing. */
static int look_at_tasks(int link, struct pv_err *err)
{
    pv_autoclose int iter = bpf_iter_create(link);
    char nothing[64];
    ssize_t n;

    if (iter < 0)
        return pv_fail(err, errno, "look for the threads of a monitor");
    do
        n = read(iter, nothing, sizeof nothing);
    while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
    return n < 0 ? pv_fail(err, errno, "look for the threads of a monitor") : 0;
}

int pv_probe_watch(struct pv_probe *p, pid_t host_pid, bool hold, int64_t claim,
                   uint64_t *ret_threads, struct pv_err *err)
{
    uint32_t key = (uint32_t)host_pid;
    struct pv_bpf_root root = {
        .policy = hold ? PV_BPF_HOLD : PV_BPF_DROP, .watched = 1, .claim = claim};

    if (p->maps.watch < 0)
        return pv_refuse(err, ENOTSUP, "this kernel has no iterators over tasks");
    if (bpf_map_update_elem(p->maps.roots, &key, &root, BPF_ANY) != 0)
        return pv_fail(err, errno, "watch process %d", (int)host_pid);
    PV_TRY(look_at_tasks(p->maps.watch, err));
    if (bpf_map_lookup_elem(p->maps.roots, &key, &root) != 0)
        return pv_fail(err, errno, "watch process %d", (int)host_pid);
    *ret_threads = root.threads;
    return 0;
}

int pv_probe_untrace(struct pv_probe *p, pid_t host_pid, struct pv_err *err)
{
    uint32_t key = (uint32_t)host_pid;

    if (bpf_map_delete_elem(p->maps.roots, &key) != 0 && errno != ENOENT)
        return pv_fail(err, errno, "stop tracing the children of process %d", (int)host_pid);
    return 0;
}

/* The next record that was not handed out before: 1, 0, or -EBADMSG. It stays the next. */
static int fetch(struct pv_probe *p, const struct pv_probe_item **ret, struct pv_err *err)
{
    bool looked = false;

    for (;;) {
        const struct pv_probe_item *item = pv_probe_order_peek(&p->order);

        /* seen before the auditor was restarted */
        if (item && item->head->seq <= p->last[item->head->cpu]) {
            pv_probe_order_take(&p->order, item);
            continue;
        }
        *ret = item;
        if (item)
            return 1;
        if (looked)
            return 0;
        PV_TRY(pv_probe_order_fill(&p->order, pv_now_boot_ns(), p->maps.meta.n_cpus, err));
        looked = true;
    }
}

/* The number of the last record of a CPU, when every one up to it is known to be in the ring or
 * lost; 0 while one is under way. The programs run without preemption: number, then reservation,
 * then emitted or lost. */
static uint64_t settled_seq(const struct pv_bpf_cpu *cpu)
{
    uint64_t before = __atomic_load_n(&cpu->seq, __ATOMIC_ACQUIRE);
    uint64_t emitted = __atomic_load_n(&cpu->emitted, __ATOMIC_ACQUIRE);
    uint64_t lost = __atomic_load_n(&cpu->lost, __ATOMIC_ACQUIRE);
    uint64_t after = __atomic_load_n(&cpu->seq, __ATOMIC_ACQUIRE);

    return before == after && emitted + lost == after ? after : 0;
}

/* With the rings empty, what is missing on a CPU has been lost, even if nothing follows that would
 * show the hole: 1 and a gap; 1 and a record that came meanwhile in *ret_item; 0; -EBADMSG. */
static int lost_tail(struct pv_probe *p, struct pv_probe_raw *ret,
                     const struct pv_probe_item **ret_item, struct pv_err *err)
{
    for (uint32_t cpu = 0; cpu < p->maps.meta.n_cpus; cpu++) {
        uint64_t seq = settled_seq(&p->cpus[cpu]);

        if (seq <= p->last[cpu])
            continue;
        /* settled before this look at the rings: what they do not show now is not to come */
        int rc = fetch(p, ret_item, err);
        if (rc != 0)
            return rc;
        if (seq <= p->last[cpu] || !pv_probe_order_is_empty(&p->order))
            continue;
        *ret = (struct pv_probe_raw){NULL, cpu, p->last[cpu] + 1, seq - p->last[cpu]};
        p->last[cpu] = seq;
        p->at_cpu = cpu;
        return 1;
    }
    return 0;
}

int pv_probe_next_raw(struct pv_probe *p, struct pv_probe_raw *ret, struct pv_err *err)
{
    const struct pv_probe_item *item = NULL;
    int rc = fetch(p, &item, err);

    if (rc == 0) {
        rc = lost_tail(p, ret, &item, err);
        if (rc > 0 && !item)
            return rc;
    }
    if (rc <= 0)
        return rc;
    const struct pv_bpf_head *h = item->head;
    uint64_t expected = p->last[h->cpu] + 1;
    p->at_cpu = h->cpu;
    if (h->seq != expected) {
        p->last[h->cpu] = h->seq - 1;
        *ret = (struct pv_probe_raw){NULL, h->cpu, expected, h->seq - expected};
        return 1;
    }
    *ret = (struct pv_probe_raw){.rec = h, .cpu = h->cpu};
    bool fits = h->bytes == item->len;
    p->last[h->cpu] = h->seq;
    pv_probe_order_take(&p->order, item);
    return fits ? 1 : pv_refuse(err, EBADMSG, "probe record of another length than it says");
}

int pv_probe_next(struct pv_probe *p, struct pv_event *ret, struct pv_err *err)
{
    struct pv_probe_raw raw = {0};
    int rc = pv_probe_next_raw(p, &raw, err);

    if (rc <= 0)
        return rc;
    if (!raw.rec)
        pv_probe_gap(raw.cpu, raw.first, raw.count, ret);
    else
        PV_TRY(
            pv_probe_translate(raw.rec, raw.rec->bytes, p->real_minus_boot, &p->texts, ret, err));
    return 1;
}

int64_t pv_probe_real_minus_boot(const struct pv_probe *p)
{
    return p->real_minus_boot;
}

struct pv_probe_place pv_probe_place(const struct pv_probe *p)
{
    return (struct pv_probe_place){p->at_cpu, p->last[p->at_cpu]};
}

static void let_go_on(struct pv_probe *p)
{
    uint64_t holds = 0;

    /* counted after the entry was made: what is not counted yet is found the next time */
    for (uint32_t i = 0; i < p->maps.meta.n_cpus; i++)
        holds += __atomic_load_n(&p->cpus[i].holds, __ATOMIC_ACQUIRE);
    p->any_held |= holds != p->holds;
    p->holds = holds;
    if (!p->any_held || pv_probe_ring_waiting(&p->order.ring[0]) > p->maps.meta.ring_bytes / 8)
        return;
    p->any_held = false;
    (void)pv_probe_hold_end(p->maps.held);
    __atomic_store_n(&p->cpus[0].let_go, holds, __ATOMIC_RELEASE);
}

void pv_probe_release(struct pv_probe *p)
{
    /* first the numbers: killed in between, the records are seen again and recognised */
    for (uint32_t i = 0; i < p->maps.meta.n_cpus; i++)
        __atomic_store_n(&p->cpus[i].released, p->last[i], __ATOMIC_RELEASE);
    pv_probe_order_release(&p->order);
    let_go_on(p);
    /* the clock may have been set */
    p->real_minus_boot = (int64_t)(pv_now_real_ns() - pv_now_boot_ns());
}

void pv_probe_resume(struct pv_probe *p, uint32_t cpu, uint64_t seq)
{
    if (cpu < p->maps.meta.n_cpus && seq > p->last[cpu])
        p->last[cpu] = seq;
}

int pv_probe_counters(const struct pv_probe *p, uint32_t cpu, struct pv_probe_counters *ret)
{
    if (cpu >= p->maps.meta.n_cpus)
        return -EINVAL;
    ret->delivered = p->last[cpu];
    ret->emitted = __atomic_load_n(&p->cpus[cpu].emitted, __ATOMIC_RELAXED);
    ret->lost = __atomic_load_n(&p->cpus[cpu].lost, __ATOMIC_RELAXED);
    ret->holds = __atomic_load_n(&p->cpus[cpu].holds, __ATOMIC_RELAXED);
    return 0;
}
