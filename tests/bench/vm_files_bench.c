/* What seal, clone and reset of a domain's files cost: medians of many rounds. */
#include "vm_files_fixture.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 2001 };

static struct fixture x;
static uint8_t block[1 << 20];

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "%s failed\n", what);
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    const double *x1 = a;
    const double *y1 = b;

    return (*x1 > *y1) - (*x1 < *y1);
}

static void untouched(struct pv_files *f)
{
    (void)f;
}

/* As a handler that answers from memory. */
static void answers(struct pv_files *f)
{
    char buf[64];

    x.in_off = 0;
    x.out_len = 0;
    must(fx_read(f, 0, buf, sizeof buf) > 0, "read");
    must(fx_puts(f, 1, "answer") > 0, "write");
}

static void reads_a_file(struct pv_files *f)
{
    char buf[64];

    answers(f);
    must(pv_files_openat(f, AT_FDCWD, "/etc/hello", O_RDONLY, 0) == 3, "open");
    must(fx_read(f, 3, buf, sizeof buf) == 13, "read");
    must(pv_files_close(f, 3) == 0, "close");
}

static void writes_a_file(struct pv_files *f)
{
    reads_a_file(f);
    must(pv_files_openat(f, AT_FDCWD, "/tmp/x", O_CREAT | O_RDWR, 0600) == 3, "open");
    must(fx_write(f, 3, block, 100) == 100, "write");
}

static void writes_a_megabyte(struct pv_files *f)
{
    reads_a_file(f);
    must(pv_files_openat(f, AT_FDCWD, "/tmp/x", O_CREAT | O_RDWR, 0600) == 3, "open");
    must(fx_write(f, 3, block, sizeof block) == (int64_t)sizeof block, "write");
}

static void measure(struct pv_files *f, const char *name, void (*work)(struct pv_files *))
{
    static double took[ROUNDS];
    size_t heap = 0;

    for (int i = 0; i < ROUNDS; i++) {
        double start;

        work(f);
        heap = i == 1 ? mallinfo2().uordblks : heap;
        start = now_us();
        pv_files_reset(f);
        took[i] = now_us() - start;
    }
    must(mallinfo2().uordblks == heap, "keeping the heap as it was");
    qsort(took, ROUNDS, sizeof *took, by_value);
    printf("reset %-20s %9.2f us (p99 %.2f), own memory %llu KiB\n", name, took[ROUNDS / 2],
           took[ROUNDS * 99 / 100], (unsigned long long)pv_files_private_bytes(f) / 1024);
}

static double per_call_us(double start, int n)
{
    return (now_us() - start) / n;
}

/* Calls that a warm program makes most. */
static void measure_calls(struct pv_files *f)
{
    enum { CALLS = 200000 };
    struct stat st;
    char buf[64];
    double start = now_us();

    for (int i = 0; i < CALLS; i++)
        must(pv_files_stat(f, "/etc/hello", &st) == 0, "stat");
    printf("call  %-20s %9.3f us\n", "stat, known name", per_call_us(start, CALLS));
    start = now_us();
    for (int i = 0; i < CALLS / 10; i++) {
        must(pv_files_openat(f, AT_FDCWD, "/etc/hello", O_RDONLY, 0) == 3, "open");
        must(pv_files_close(f, 3) == 0, "close");
    }
    printf("call  %-20s %9.3f us\n", "open and close, tree", per_call_us(start, CALLS / 10));
    must(pv_files_openat(f, AT_FDCWD, "/tmp/y", O_CREAT | O_RDWR, 0600) == 3, "open");
    start = now_us();
    for (int i = 0; i < CALLS; i++)
        must(pv_files_pwrite(f, 3, &(struct iovec){buf, sizeof buf}, 1, 0) == sizeof buf, "pwrite");
    printf("call  %-20s %9.3f us\n", "pwrite, 64 bytes", per_call_us(start, CALLS));
    pv_files_reset(f);
}

static void measure_clone(const struct pv_files *sealed)
{
    static double took[ROUNDS];
    struct pv_err err = PV_ERR_INIT;

    for (int i = 0; i < ROUNDS; i++) {
        struct pv_files *f = NULL;
        double start = now_us();

        must(pv_files_clone(sealed, &x.spec, &f, &err) == 0, "clone");
        took[i] = now_us() - start;
        pv_files_free(f);
    }
    qsort(took, ROUNDS, sizeof *took, by_value);
    printf("clone %-20s %9.2f us (p99 %.2f)\n", "", took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
}

int main(void)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_files *sealed = NULL;
    struct pv_files *f = NULL;

    fixture_open(&x);
    x.host.event = NULL;
    x.in = "a request";
    must(pv_files_new(&x.spec, &sealed, &err) == 0 && pv_files_seal(sealed, &err) == 0 &&
             pv_files_clone(sealed, &x.spec, &f, &err) == 0,
         "set-up");
    measure(f, "untouched", untouched);
    measure(f, "request, answer", answers);
    measure(f, "and a file read", reads_a_file);
    measure(f, "and a file written", writes_a_file);
    measure(f, "and 1 MiB written", writes_a_megabyte);
    measure_calls(f);
    measure_clone(sealed);
    pv_files_free(f);
    pv_files_free(sealed);
    fixture_close(&x);
    return 0;
}
