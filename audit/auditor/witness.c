#include "witness.h"

#include "probe.h"
#include "replay.h"

#include "pv/log.h"
#include "pv/own.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { MARKS_MAX = 8192, JOURNAL_VERSION = 2 };

/* Which entry of the log holds which record: keys/witness, mapped. A mark is made before its entry
 * can reach the file, and kept until the numbers of the pinned map (struct pv_bpf_cpu, released)
 * say the same. After a crash the marks of the entries that the log has tell what must not be taken
 * again, and no others: nothing is lost and nothing stands there twice. (A power failure takes the
 * probes' ring with it, so the page cache is durable enough.) */
struct mark {
    uint64_t entry; /* its number in the log */
    uint64_t seq;
    uint32_t cpu;
    uint32_t pad;
};
struct journal {
    uint64_t version;
    uint64_t load_id;
    _Atomic uint64_t n;
    uint64_t pad;
    struct mark marks[MARKS_MAX];
};
_Static_assert(sizeof(struct mark) == 24, "part of a file");
_Static_assert(sizeof(struct journal) == 32 + 24 * MARKS_MAX, "part of a file");

struct witness {
    struct pv_probe *probe;  /* owned; NULL in a replay */
    struct replay *replay;   /* owned; NULL with probes */
    struct journal *journal; /* mapped; of probes only */
    uint64_t *told;          /* owned: per CPU emitted + lost as the last counters event said */
    struct pv_probe_info info;
};

static int map_journal(struct witness *w, int key_dir_fd, struct pv_err *err)
{
    pv_autoclose int fd =
        openat(key_dir_fd, "witness", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return pv_fail(err, errno, "open the witness's journal");
    int rc = posix_fallocate(fd, 0, sizeof *w->journal);
    if (rc)
        return pv_fail(err, rc, "reserve the witness's journal");
    void *p = mmap(NULL, sizeof *w->journal, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return pv_fail(err, errno, "map the witness's journal");
    w->journal = p;
    return 0;
}

static void witness_keep(struct witness *w)
{
    witness_close(w, false);
}
PV_DEFINE_CLEANUP(struct witness, witness_keep)

int witness_open(struct witness **ret, int key_dir_fd, const char *bpffs_path, char *ret_text,
                 size_t text_cap, struct pv_err *err)
{
    PV_CLEANUP(witness_keep) struct witness *w = calloc(1, sizeof *w);
    if (!w)
        return pv_fail(err, ENOMEM, "allocate the outside witness");
    PV_TRY(map_journal(w, key_dir_fd, err));
    int rc = pv_probe_open(&w->probe, bpffs_path, 0, &w->info, err);
    if (rc < 0)
        return pv_wrap(err, rc, "the outside witness (eBPF) cannot start");
    w->told = calloc(w->info.n_cpus, sizeof *w->told);
    if (!w->told)
        return pv_fail(err, ENOMEM, "allocate the outside witness");
    snprintf(ret_text, text_cap, "%s", w->info.features);
    *ret = PV_TAKE_PTR(w);
    return 0;
}

int witness_open_replay(struct witness **ret, int fd, char *ret_text, size_t text_cap,
                        struct pv_err *err)
{
    pv_autoclose int stream = fd;
    PV_CLEANUP(witness_keep) struct witness *w = calloc(1, sizeof *w);
    if (!w)
        return pv_fail(err, ENOMEM, "allocate the replay");
    PV_TRY(replay_open(&w->replay, PV_TAKE_FD(stream), ret_text, text_cap, err));
    w->info.n_cpus = replay_cpus(w->replay);
    w->told = calloc(w->info.n_cpus, sizeof *w->told);
    if (!w->told)
        return pv_fail(err, ENOMEM, "allocate the replay");
    *ret = PV_TAKE_PTR(w);
    return 0;
}

void witness_resume(struct witness *w, uint64_t log_size)
{
    if (!w->probe)
        return;
    struct journal *j = w->journal;
    bool mine = j->version == JOURNAL_VERSION && j->load_id == w->info.load_id;
    uint64_t n = mine && w->info.reused ? atomic_load(&j->n) : 0;
    for (uint64_t i = 0; i < n && i < MARKS_MAX; i++)
        if (j->marks[i].entry < log_size)
            pv_probe_resume(w->probe, j->marks[i].cpu, j->marks[i].seq);
    /* What was learnt stands in the pinned map before the marks go. */
    pv_probe_release(w->probe);
    atomic_store(&j->n, 0);
    j->version = JOURNAL_VERSION;
    j->load_id = w->info.load_id;
}

int witness_fd(const struct witness *w)
{
    return w->probe ? pv_probe_fd(w->probe) : -1;
}

int witness_trace(struct witness *w, uint64_t pid, bool hold, struct pv_err *err)
{
    return w->probe ? pv_probe_trace(w->probe, (pid_t)pid, hold, err) : 0;
}

int witness_watch(struct witness *w, uint64_t pid, bool hold, int64_t claim, uint64_t *ret_threads,
                  struct pv_err *err)
{
    if (!w->probe)
        return pv_refuse(err, ENOTSUP, "this is a replay");
    return pv_probe_watch(w->probe, (pid_t)pid, hold, claim, ret_threads, err);
}

void witness_untrace(struct witness *w, uint64_t pid)
{
    struct pv_err why = PV_ERR_INIT;
    if (w->probe && pv_probe_untrace(w->probe, (pid_t)pid, &why) < 0)
        pv_log(PV_LOG_WARN, "%s", why.text);
}

static void mark(struct witness *w, uint64_t entry)
{
    if (!w->probe)
        return;
    struct pv_probe_place place = pv_probe_place(w->probe);
    uint64_t n = atomic_load_explicit(&w->journal->n, memory_order_relaxed);
    w->journal->marks[n] = (struct mark){entry, place.seq, place.cpu, 0};
    atomic_store_explicit(&w->journal->n, n + 1, memory_order_release);
}

static int next(struct witness *w, struct pv_event *ret, struct pv_err *err)
{
    return w->probe ? pv_probe_next(w->probe, ret, err) : replay_next(w->replay, ret, err);
}

static bool has_mark(const struct witness *w)
{
    return !w->probe || atomic_load(&w->journal->n) < MARKS_MAX;
}

int witness_drain(struct auditor *a, unsigned budget, unsigned *ret_taken, struct pv_err *err)
{
    struct witness *w = a->witness;
    unsigned n = 0;
    /* With room nothing is written in between, so a mark always comes before its entry. */
    while (n < budget && pv_log_has_room(a->log) && has_mark(w)) {
        struct pv_event e;
        struct pv_err why = PV_ERR_INIT;
        uint64_t entry = pv_log_size(a->log);
        int rc = next(w, &e, &why);
        if (rc == 0)
            break;
        n++;
        if (rc > 0 && e.kind == PV_K_MONITOR_ALARM)
            auditor_say_alarm(&e);
        if (rc > 0)
            rc = auditor_emit(a, &e, &why);
        /* Whatever the probes say stands in the log, be it as a fault: a record that stopped the
         * auditor would stop each next one too. */
        if (rc == -EBADMSG || rc == -EINVAL || rc == -EMSGSIZE)
            PV_TRY(auditor_emit_fault(a, a->self, why.text, err));
        else if (rc < 0)
            return pv_wrap(err, rc, "%s", why.text);
        mark(w, entry);
    }
    *ret_taken = n;
    return 0;
}

void witness_release(struct witness *w)
{
    if (!w->probe)
        return;
    pv_probe_release(w->probe);
    if (atomic_load(&w->journal->n)) /* a store would dirty a page of the file */
        atomic_store(&w->journal->n, 0);
}

static int emit_counter(struct auditor *a, uint32_t cpu, uint64_t emitted, uint64_t lost,
                        struct pv_err *err)
{
    struct pv_event e;
    pv_event_init(&e, PV_K_WITNESS_COUNTERS, NULL);
    pv_event_u64(&e, cpu);
    pv_event_u64(&e, emitted);
    pv_event_u64(&e, lost);
    return auditor_emit(a, &e, err);
}

static int counters(const struct witness *w, uint32_t cpu, struct pv_probe_counters *ret)
{
    if (w->probe)
        return pv_probe_counters(w->probe, cpu, ret);
    struct pv_stream_count c = replay_count(w->replay, cpu);
    *ret = (struct pv_probe_counters){.emitted = c.emitted, .lost = c.lost};
    return 0;
}

int witness_emit_counters(struct auditor *a, struct pv_err *err)
{
    struct witness *w = a->witness;
    bool said = false;
    struct pv_probe_counters c = {0};
    for (uint32_t cpu = 0; w && cpu < w->info.n_cpus; cpu++) {
        if (counters(w, cpu, &c) < 0 || c.emitted + c.lost == w->told[cpu])
            continue;
        PV_TRY(emit_counter(a, cpu, c.emitted, c.lost, err));
        w->told[cpu] = c.emitted + c.lost;
        said = true;
    }
    if (said)
        return 0;
    if (w && counters(w, 0, &c) < 0)
        return 0;
    return emit_counter(a, 0, c.emitted, c.lost, err);
}

void witness_close(struct witness *w, bool unpin)
{
    if (!w)
        return;
    pv_probe_close(w->probe, unpin);
    replay_close(w->replay);
    if (w->journal)
        (void)munmap(w->journal, sizeof *w->journal);
    free(w->told);
    free(w);
}
