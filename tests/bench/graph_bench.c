/* Events a second through the stitcher: a stream of processes that read and write files, as the
 * outside witness sends it. Prints "events_per_second N". With a log's directory, and how many
 * entries a commit is to hold, that log's entries instead: prints "cpu_us_per_entry N". */
#include "pv/clock.h"
#include "pv/graph_follow.h"
#include "pv/stitch.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 300000, BATCH = 20000 };

static size_t make(uint64_t i, uint64_t dseq, uint8_t *out, size_t cap)
{
    struct pv_event e;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf b;
    static const struct pv_call_id none;
    uint64_t proc = 1 + i / 40, object = 1 + (i * 2654435761u) % 5000;
    bool fork = i % 40 == 0, define = i % 10 == 1;
    pv_buf_init(&b, cap);
    pv_event_init(&e,
                  fork     ? PV_K_PROC_FORK
                  : define ? PV_K_OBJECT
                  : i & 1  ? PV_K_READ
                           : PV_K_WRITE,
                  &none);
    if (fork) {
        const uint64_t v[] = {proc, 0, proc, 1, proc, 1};
        for (unsigned k = 0; k < 6; k++)
            pv_event_u64(&e, v[k]);
    } else if (define) {
        char path[64];
        (void)snprintf(path, sizeof path, "/function/data/%llu", (unsigned long long)object);
        pv_event_u64(&e, object);
        pv_event_text(&e, "file");
        pv_event_u64(&e, 7);
        pv_event_u64(&e, object);
        pv_event_u64(&e, 0);
        pv_event_text(&e, path);
    } else {
        pv_event_u64(&e, proc);
        pv_event_u64(&e, object);
        pv_event_u64(&e, 4096);
    }
    e.dseq = dseq;
    if (pv_event_encode(&e, &b, &err) < 0)
        abort();
    memcpy(out, b.data, b.len);
    memset(out + b.len, 0, PV_TAG_BYTES);
    return b.len + PV_TAG_BYTES;
}

static int stream(struct pv_stitch *s, uint64_t *ret_ns, struct pv_err *err)
{
    uint8_t entry[1024];

    *ret_ns = 0;
    for (uint64_t i = 0; i < EVENTS; i++) {
        size_t len = make(i, i, entry, sizeof entry - PV_TAG_BYTES);
        uint64_t start = pv_now_mono_ns();
        PV_TRY(pv_stitch_entry(s, i, entry, len, err));
        if ((i + 1) % BATCH == 0)
            PV_TRY(pv_stitch_commit(s, err));
        *ret_ns += pv_now_mono_ns() - start;
    }
    return 0;
}

static int follow(struct pv_stitch *s, const char *log, unsigned batch, struct pv_err *err)
{
    PV_CLEANUP(pv_follow_close) struct pv_follow *f = NULL;
    pv_autoclose int fd = open(log, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int n;

    if (fd < 0)
        return pv_fail(err, errno, "open log '%s'", log);
    PV_TRY(pv_follow_open(&f, s, fd, err));
    do {
        n = pv_follow_step(f, batch, err);
        PV_TRY(n);
        PV_TRY(pv_stitch_commit(s, err));
    } while (n > 0);
    return 0;
}

int main(int argc, char **argv)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_stitch *s = NULL;
    char dir[] = "/tmp/pv-graph-bench-XXXXXX", db[64], name[80];
    int rc = mkdtemp(dir) ? 0 : -1;
    uint64_t spent = 0, entries = 0;

    (void)snprintf(db, sizeof db, "%s/graph.db", dir);
    if (rc == 0)
        rc = pv_stitch_open(&s, db, &err);
    clock_t before = clock();
    if (rc == 0)
        rc = argc > 2 ? follow(s, argv[1], (unsigned)strtoul(argv[2], NULL, 10), &err)
                      : stream(s, &spent, &err);
    if (rc == 0)
        entries = pv_stitch_next_seq(s);
    pv_stitch_close(s);
    double cpu_us = (double)(clock() - before) * 1e6 / CLOCKS_PER_SEC;
    for (unsigned i = 0; i < 3; i++) {
        (void)snprintf(name, sizeof name, "%s%s", db, i == 0 ? "" : i == 1 ? "-wal" : "-shm");
        (void)unlink(name);
    }
    (void)rmdir(dir);
    if (rc < 0) {
        (void)fprintf(stderr, "graph_bench: %s\n", err.text);
        return 1;
    }
    if (argc > 2)
        (void)printf("cpu_us_per_entry %.2f\n", cpu_us / (double)entries);
    else
        (void)printf("events_per_second %.0f\n", (double)EVENTS * 1e9 / (double)spent);
    return 0;
}
