/* provost run --repeat: what an enclave host does with a function, timed. */
#include "run.h"

#include "input.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/own.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

PV_DEFINE_CLEANUP(struct pv_vm, pv_vm_free)
PV_DEFINE_CLEANUP(struct pv_vm_image, pv_vm_image_free)

/* Times of n runs in ns, and the first answer with which the others are compared. */
struct series {
    uint64_t n;
    uint64_t *run, *reset, *scan; /* scan: of the reset before the run */
    struct pv_buf first;
    int code; /* of the last run */
    uint64_t same, exits, calls, shim_calls, clone_ns;
    uint64_t dirty; /* pages that the last reset copied back */
};

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double us_at(uint64_t *v, uint64_t n, unsigned percent)
{
    qsort(v, n, sizeof *v, by_size);
    uint64_t at = (n - 1) * percent / 100;
    return (double)v[at] / 1e3;
}

static void note_answer(struct series *s, uint64_t i, const struct pv_vm_result *result)
{
    if (i == 0)
        pv_buf_raw(&s->first, result->out, result->out_len);
    s->same += result->out_len == s->first.len &&
               (result->out_len == 0 || !memcmp(result->out, s->first.data, s->first.len));
    s->exits = result->stats.exits;
    s->calls = result->stats.calls;
    s->shim_calls = result->stats.shim_calls;
    s->scan[i] = result->stats.scan_ns;
    s->dirty = result->stats.dirty_pages;
}

/* The VM as it was, or a new one in its place. */
static int renew(struct pv_vm **vm, struct pv_vm_image *image, const struct pv_vm_hooks *hooks,
                 struct pv_err *err)
{
    int rc = pv_vm_reset(*vm, err);

    if (rc != -ESTALE)
        return rc;
    pv_vm_free(*vm);
    *vm = NULL;
    *err = PV_ERR_INIT;
    return pv_vm_new(image, hooks, vm, err);
}

/* Runs vm once. 0, the exit code of a run that failed, or a negative errno. */
static int one(const struct run *r, struct pv_vm *vm, const struct iovec *body, struct series *s,
               uint64_t i, struct pv_err *err)
{
    struct pv_vm_result result;
    struct pv_vm_call call = {.id = i, .body = body, .n_body = 1};
    uint64_t start = pv_now_mono_ns();

    if (r->timeout_ms)
        call.deadline_ns = start + r->timeout_ms * PV_NS_PER_MS;
    PV_TRY(pv_vm_run(vm, &call, &result, err));
    s->run[i] = pv_now_mono_ns() - start;
    note_answer(s, i, &result);
    if (result.end != PV_VM_EXITED && result.end != PV_VM_FINISHED)
        return run_end(&result);
    s->code = result.code;
    return 0;
}

static int all(const struct run *r, struct pv_vm_image *image, const struct pv_vm_hooks *hooks,
               const struct iovec *body, struct series *s, struct pv_err *err)
{
    PV_CLEANUP(pv_vm_free) struct pv_vm *vm = NULL;
    uint64_t start = pv_now_mono_ns();
    int rc = 0;

    PV_TRY(pv_vm_new(image, hooks, &vm, err));
    s->clone_ns = pv_now_mono_ns() - start;
    for (; s->n < r->repeat && rc == 0; s->n++) {
        rc = one(r, vm, body, s, s->n, err);
        if (rc)
            continue;
        start = pv_now_mono_ns();
        PV_TRY(renew(&vm, image, hooks, err));
        s->reset[s->n] = pv_now_mono_ns() - start;
        if (r->check)
            PV_TRY(pv_vm_compare(vm, err));
    }
    return rc ? rc : s->code;
}

static void show(const struct run *r, struct series *s, const struct pv_vm_report *report)
{
    fprintf(stderr,
            "image    %.1f ms to the first read, %.1f MiB, %u thread%s%s\n"
            "clone    %.3f ms\n"
            "run      %.0f us median, %.0f us at 99 %% of %" PRIu64 "\n"
            "reset    %.0f us median (%.0f to find %" PRIu64 " pages), %.0f us at 99 %%%s\n"
            "calls    %" PRIu64 " exits, %" PRIu64 " mediated, %" PRIu64 " answered in the guest\n"
            "answers  %" PRIu64 " of %" PRIu64 " the same\n",
            (double)report->start_ns / 1e6, (double)report->image_bytes / 1048576, report->threads,
            report->threads == 1 ? "" : "s",
            report->env_taken ? ", has copied its environment" : "", (double)s->clone_ns / 1e6,
            us_at(s->run, s->n, 50), us_at(s->run, s->n, 99), s->n, us_at(s->reset, s->n, 50),
            us_at(s->scan, s->n, 50), s->dirty, us_at(s->reset, s->n, 99),
            r->check ? ", memory equal to the snapshot each time" : "", s->exits, s->calls,
            s->shim_calls, s->same, s->n);
}

static json_t *spread(uint64_t *v, uint64_t n)
{
    return json_pack("{s:f, s:f}", "median", us_at(v, n, 50), "p99", us_at(v, n, 99));
}

/* On stderr as the text is: stdout has the answer. */
static void show_json(const struct run *r, struct series *s, const struct pv_vm_report *report)
{
    cli_autojson json_t *o = json_pack(
        "{s:{s:I, s:I, s:i, s:b}, s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:b}", "image",
        "start_ns", (json_int_t)report->start_ns, "bytes", (json_int_t)report->image_bytes,
        "threads", (int)report->threads, "environment_copied", (int)report->env_taken, "clone_ns",
        (json_int_t)s->clone_ns, "runs", (json_int_t)s->n, "run_us", spread(s->run, s->n),
        "reset_us", spread(s->reset, s->n), "scan_us", spread(s->scan, s->n), "dirty_pages",
        (json_int_t)s->dirty, "exits", (json_int_t)s->exits, "calls", (json_int_t)s->calls,
        "guest_calls", (json_int_t)s->shim_calls, "same_answers", (json_int_t)s->same,
        "memory_compared", (int)r->check);

    if (o)
        (void)json_dumpf(o, stderr, JSON_INDENT(2) | CLI_JSON_REALS);
    fputc('\n', stderr);
}

static int with_image(const struct run *r, const struct pv_vm_spec *spec,
                      const struct pv_vm_hooks *hooks, const struct iovec *body, struct series *s,
                      struct pv_err *err)
{
    PV_CLEANUP(pv_vm_image_free) struct pv_vm_image *image = NULL;
    struct pv_vm_report report;

    PV_TRY(pv_vm_image_make(spec, hooks, &image, &report, err));
    int rc = all(r, image, hooks, body, s, err);
    if (s->first.len && fwrite(s->first.data, 1, s->first.len, stdout) != s->first.len)
        return pv_fail(err, EIO, "write the answer");
    if (rc >= 0 && s->n)
        (r->cli->json ? show_json : show)(r, s, &report);
    return rc;
}

int run_repeat(const struct run *r, const struct pv_vm_spec *spec, const struct pv_vm_hooks *hooks)
{
    pv_autobuf struct pv_buf input;
    struct pv_err err = PV_ERR_INIT;
    struct series s = {0};

    pv_buf_init(&input, RUN_INPUT_MAX);
    pv_buf_init(&s.first, PV_RESPONSE_MAX);
    if (cli_read_input("-", &input, &err) < 0)
        return run_error(&err);
    const struct iovec body = {input.data, input.len};
    s.run = calloc(r->repeat, sizeof *s.run);
    s.reset = calloc(r->repeat, sizeof *s.reset);
    s.scan = calloc(r->repeat, sizeof *s.scan);
    int rc = s.run && s.reset && s.scan ? with_image(r, spec, hooks, &body, &s, &err)
                                        : pv_fail(&err, ENOMEM, "keep the times");
    free(s.run);
    free(s.reset);
    free(s.scan);
    pv_buf_done(&s.first);
    return rc < 0 ? run_error(&err) : rc;
}
