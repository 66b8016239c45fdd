/* Events a second from a producer's ratchet through its ring into the log and under checkpoints,
 * both sides in one thread: what one CPU can do. Then how fast the log is verified, and how long a
 * proof takes. EVENTS is the argument, PV_BENCH_DIR where the log goes (/tmp); with
 * PV_BENCH_GRAPH=no no graph follows. */
#include "pv/clock.h"
#include "pv/evidence_log.h"
#include "pv/graph_follow.h"
#include "pv/log.h"
#include "pv/own.h"
#include "pv/prove.h"
#include "pv/ring.h"
#include "pv/verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 1000000, TURN = PV_LOG_BATCH_MAX };

static int emit(struct pv_producer *p, const struct pv_call_id *call, const uint8_t *hash,
                struct pv_err *err)
{
    struct pv_event e;
    pv_event_init(&e, PV_K_INVOCATION_BEGIN, call);
    pv_event_u64(&e, 12);
    pv_event_text(&e, "make-caption");
    pv_event_u64(&e, 3);
    pv_event_bytes(&e, hash, PV_HASH_BYTES);
    pv_event_u64(&e, 4096);
    pv_event_bytes(&e, hash, PV_HASH_BYTES);
    return pv_producer_emit(p, &e, err);
}

/* The auditor's side: what it keeps of the producer, and its own domain, which discloses keys. */
struct taker {
    struct pv_ring_reader *ring;
    struct pv_log *log;
    struct pv_domain_id domain, own;
    struct pv_ratchet ratchet, own_ratchet;
    uint8_t start[PV_KEY_BYTES]; /* first key of the epoch at hand */
    uint64_t ended_first, ended_count;
    uint8_t ended_key[PV_KEY_BYTES];
};

static int say(struct taker *t, struct pv_event *e, struct pv_err *err)
{
    uint8_t tag[PV_TAG_BYTES];
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, PV_EVENT_MAX);
    e->domain = t->own;
    e->dseq = t->own_ratchet.index;
    PV_TRY(pv_event_encode(e, &b, err));
    pv_ratchet_tag(&t->own_ratchet, b.data, b.len, tag);
    return pv_log_append(t->log, b.data, b.len, tag, err);
}

static int open_own(struct taker *t, struct pv_err *err)
{
    uint8_t seed[PV_KEY_BYTES] = {2}, hash[PV_HASH_BYTES];
    struct pv_event e;
    t->own = pv_domain_id_new();
    pv_ratchet_init(&t->own_ratchet, seed);
    pv_ratchet_commitment(&t->own_ratchet, hash);
    pv_event_init(&e, PV_K_DOMAIN_OPEN, NULL);
    pv_event_text(&e, "taker");
    pv_event_bytes(&e, hash, sizeof hash);
    pv_event_u64(&e, 1);
    pv_event_bytes(&e, hash, sizeof hash);
    return say(t, &e, err);
}

static int disclose(struct taker *t, struct pv_err *err)
{
    struct pv_event e;
    if (!t->ended_count)
        return 0;
    pv_event_init(&e, PV_K_KEY_DISCLOSED, NULL);
    pv_event_bytes(&e, t->domain.bytes, sizeof t->domain.bytes);
    pv_event_u64(&e, t->ratchet.epoch - 1);
    pv_event_u64(&e, t->ended_first);
    pv_event_u64(&e, t->ended_count);
    pv_event_bytes(&e, t->ended_key, sizeof t->ended_key);
    t->ended_count = 0;
    return say(t, &e, err);
}

static void end_epoch(struct taker *t)
{
    t->ended_first = t->ratchet.first;
    t->ended_count = t->ratchet.index - t->ratchet.first;
    memcpy(t->ended_key, t->start, sizeof t->start);
    pv_ratchet_next_epoch(&t->ratchet);
    memcpy(t->start, t->ratchet.key, sizeof t->start);
}

/* As the auditor does: decode, check the tag, append; then write, sign, disclose. */
static int take_all(struct taker *t, struct pv_err *err)
{
    struct pv_ring_record rec;
    int rc;
    while ((rc = pv_ring_reader_next(t->ring, &rec, err)) > 0) {
        struct pv_event e;
        uint8_t tag[PV_TAG_BYTES];
        PV_TRY(pv_event_decode(rec.event, rec.event_len, &e, err));
        pv_ratchet_tag(&t->ratchet, rec.event, rec.event_len, tag);
        if (memcmp(tag, rec.tag, sizeof tag) != 0)
            return pv_refuse(err, EBADMSG, "a tag is wrong");
        if (!pv_log_has_room(t->log))
            PV_TRY(pv_log_write(t->log, err));
        PV_TRY(pv_log_append(t->log, rec.event, rec.event_len, rec.tag, err));
        if (e.kind == PV_K_EPOCH_END)
            end_epoch(t);
    }
    PV_TRY(rc);
    PV_TRY(pv_log_write(t->log, err));
    pv_ring_reader_release(t->ring, t->ratchet.index);
    PV_TRY(pv_log_commit(t->log, err));
    pv_ring_reader_signed(t->ring, t->ratchet.index);
    return disclose(t, err);
}

/* Of this process: what a figure means when others use the machine, too. */
static double cpu_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Ratchet, tree and signed checkpoints alone, in memory. */
static int measure_core(unsigned events, struct pv_err *err)
{
    uint8_t seed[PV_KEY_BYTES] = {3}, event[200] = {1}, leaf[PV_HASH_BYTES], root[PV_HASH_BYTES];
    uint8_t entry[sizeof event + PV_TAG_BYTES];
    struct pv_note_signer signer;
    struct pv_ratchet ratchet;
    struct pv_frontier tree = {0};
    pv_autobuf struct pv_buf note;
    pv_buf_init(&note, PV_NOTE_MAX);
    PV_TRY(pv_note_signer_init(&signer, "provost/bench", seed, err));
    pv_ratchet_init(&ratchet, seed);
    uint64_t start = pv_now_mono_ns();
    double cpu = cpu_seconds();
    for (unsigned i = 0; i < events; i++) {
        memcpy(event + 20, &i, sizeof i);
        memcpy(entry, event, sizeof event);
        pv_ratchet_tag(&ratchet, event, sizeof event, entry + sizeof event);
        pv_leaf_hash(entry, sizeof entry, leaf);
        pv_frontier_add(&tree, leaf);
        if (i % TURN != TURN - 1)
            continue;
        pv_frontier_root(&tree, root);
        pv_buf_reset(&note);
        PV_TRY(pv_checkpoint_sign(&signer, NULL, tree.size, root, &note, err));
    }
    printf("core_per_second %.0f\ncore_per_cpu_second %.0f\n",
           events / ((double)(pv_now_mono_ns() - start) / 1e9), events / (cpu_seconds() - cpu));
    return 0;
}

/* As the stitcher does, in a process of its own, until the graph has so many events. */
static int follow_into_graph(int dir_fd, const char *path, uint64_t events, struct pv_err *err)
{
    PV_CLEANUP(pv_stitch_close) struct pv_stitch *s = NULL;
    PV_CLEANUP(pv_follow_close) struct pv_follow *f = NULL;
    while (faccessat(dir_fd, "journal/000000", R_OK, 0) < 0)
        usleep(1000);
    PV_TRY(pv_stitch_open(&s, path, err));
    PV_TRY(pv_follow_open(&f, s, dir_fd, err));
    while (pv_stitch_next_seq(s) < events) {
        int n = pv_follow_step(f, 20000, err);
        PV_TRY(n);
        if (pv_stitch_uncommitted(s) >= 20000 || n == 0)
            PV_TRY(pv_stitch_commit(s, err));
        if (n == 0)
            usleep(2000);
    }
    return pv_stitch_commit(s, err);
}

static pid_t start_graph(int dir_fd, const char *dir, uint64_t events)
{
    char path[300];
    snprintf(path, sizeof path, "%s/graph.db", dir);
    pid_t pid = fork();
    if (pid == 0) {
        struct pv_err err = PV_ERR_INIT;
        int rc = follow_into_graph(dir_fd, path, events, &err);
        if (rc < 0)
            pv_log(PV_LOG_ERROR, "%s", err.text);
        _exit(rc < 0);
    }
    return pid;
}

static int measure_verify(int dir_fd, const struct pv_note_key *key, unsigned jobs,
                          struct pv_err *err)
{
    const struct pv_verify_options opt = {.key = key, .jobs = jobs};
    pv_autofree struct pv_verify_result *res = malloc(sizeof *res);
    if (!res)
        return pv_fail(err, ENOMEM, "allocate the result");
    uint64_t start = pv_now_mono_ns();
    double cpu = cpu_seconds();
    PV_TRY(pv_verify_log(dir_fd, &opt, res, err));
    cpu = cpu_seconds() - cpu;
    double seconds = (double)(pv_now_mono_ns() - start) / 1e9;
    if (res->verdict != PV_VERDICT_OK)
        return pv_refuse(err, EBADMSG, "the log does not verify: %s", res->text);
    printf("verified %ju events, %ju tags, %ju checkpoints in %.2f s\nverified_per_second_jobs_%u "
           "%.0f\nverified_per_cpu_second %.0f\n",
           (uintmax_t)res->entries, (uintmax_t)res->rechecked_tags, (uintmax_t)res->checkpoints,
           seconds, jobs, (double)res->entries / seconds, (double)res->entries / cpu);
    return 0;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static int measure_proofs(int dir_fd, const struct pv_note_key *key, uint64_t n, struct pv_err *err)
{
    enum { PROOFS = 200 };
    struct pv_signed_checkpoint latest;
    uint64_t took[PROOFS];
    double cpu = cpu_seconds();
    for (unsigned i = 0; i < PROOFS; i++) {
        pv_autobuf struct pv_buf proof;
        pv_buf_init(&proof, 1 << 14);
        uint64_t start = pv_now_mono_ns();
        PV_TRY(pv_log_latest(dir_fd, key, &latest, err));
        PV_TRY(pv_log_prove(dir_fd, &latest, (n - 1) * i / (PROOFS - 1), &proof, NULL, err));
        took[i] = pv_now_mono_ns() - start;
    }
    cpu = cpu_seconds() - cpu;
    qsort(took, PROOFS, sizeof *took, by_size);
    printf("proof_ms_median %.3f\nproof_ms_worst %.3f\nproof_cpu_ms_mean %.3f\n",
           (double)took[PROOFS / 2] / 1e6, (double)took[PROOFS - 1] / 1e6, cpu * 1e3 / PROOFS);
    return 0;
}

static int measure_log(struct taker *t, struct pv_producer *producer, unsigned events,
                       struct pv_err *err)
{
    struct pv_call_id call = pv_call_id_new();
    const uint8_t hash[PV_HASH_BYTES] = {1};
    uint64_t start = pv_now_mono_ns();
    for (unsigned i = 0; i < events; i++) {
        PV_TRY(emit(producer, &call, hash, err));
        if (i % TURN == TURN - 1)
            PV_TRY(take_all(t, err));
    }
    PV_TRY(take_all(t, err));
    double seconds = (double)(pv_now_mono_ns() - start) / 1e9;
    printf("%u events in %.2f s, %ju entries signed\nevents_per_second %.0f\n", events, seconds,
           (uintmax_t)pv_log_signed_size(t->log), events / seconds);
    return 0;
}

static int run(int dir_fd, const char *dir, unsigned events, struct pv_err *err)
{
    struct pv_log_recovery found;
    struct pv_producer *producer;
    struct taker t = {.domain = pv_domain_id_new()};
    uint8_t seed[PV_KEY_BYTES], hash[PV_HASH_BYTES] = {1};
    arc4random_buf(seed, sizeof seed);
    PV_TRY(pv_log_open(&t.log, dir_fd, dir_fd, NULL, NULL, &found, err));
    PV_TRY(open_own(&t, err));
    int ring = pv_ring_create(dir_fd, "ring", &t.domain, err);
    PV_TRY(ring);
    pv_ratchet_init(&t.ratchet, seed);
    memcpy(t.start, t.ratchet.key, sizeof t.start);
    PV_TRY(pv_ring_reader_open(&t.ring, dup(ring), err));
    PV_TRY(pv_producer_open(&producer, ring, -1, &t.domain, seed, "bench", hash, err));
    fflush(stdout);
    const char *with = getenv("PV_BENCH_GRAPH");
    pid_t graph = with && strcmp(with, "no") == 0 ? 0 : start_graph(dir_fd, dir, events);
    uint64_t start = pv_now_mono_ns();
    int status;
    PV_TRY(measure_log(&t, producer, events, err));
    if (graph && (waitpid(graph, &status, 0) != graph || status != 0))
        return pv_refuse(err, EIO, "the graph did not follow");
    if (graph)
        printf("log_and_graph_per_second %.0f\n",
               events / ((double)(pv_now_mono_ns() - start) / 1e9));
    pv_producer_close(producer, "end");
    PV_TRY(take_all(&t, err));
    pv_ring_reader_free(t.ring);
    struct pv_note_key key = *pv_log_key(t.log);
    PV_TRY(pv_log_commit(t.log, err));
    PV_TRY(pv_log_publish(t.log, true, err));
    pv_log_free(t.log);
    PV_TRY(measure_verify(dir_fd, &key, 1, err));
    PV_TRY(measure_verify(dir_fd, &key, 2, err));
    return measure_proofs(dir_fd, &key, events, err);
}

int main(int argc, char **argv)
{
    const char *where = getenv("PV_BENCH_DIR");
    char dir[256], command[300];
    snprintf(dir, sizeof dir, "%s/pv-bench-XXXXXX", where ? where : "/tmp");
    struct pv_err err = PV_ERR_INIT;
    unsigned events = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : EVENTS;
    pv_log_init("bench", PV_LOG_INFO);
    if (pv_crypto_init(&err) < 0 || !mkdtemp(dir))
        return 1;
    pv_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = measure_core(events, &err);
    if (rc == 0)
        rc = run(fd, dir, events, &err);
    if (rc < 0)
        pv_log(PV_LOG_ERROR, "%s", err.text);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command) != 0 || rc < 0;
}
