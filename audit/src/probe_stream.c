#include "pv/probe_stream.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Integers as the records have them: those of a little-endian machine. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the records are");

static const char magic[8] = {'P', 'V', 'P', 'R', 'O', 'B', 'E', 'S'};
enum { FRAME_RECORD = 1, FRAME_END = 2, ALIGN = 8 };
/* The longest kinds have text at their end. */
enum { RECORD_MAX = sizeof(struct pv_bpf_exec) };
_Static_assert(sizeof(struct pv_bpf_path_op) <= RECORD_MAX, "exec is the longest");
_Static_assert(sizeof(struct pv_bpf_name_op) <= RECORD_MAX, "exec is the longest");
_Static_assert(sizeof(struct pv_bpf_object) <= RECORD_MAX, "exec is the longest");

struct head {
    char magic[8];
    uint32_t version;
    uint32_t records; /* PV_BPF_VERSION */
    uint64_t load_id;
    int64_t real_minus_boot;
    uint32_t n_cpus;
    uint32_t features;
};
_Static_assert(sizeof(struct head) == 40, "part of a file");
struct frame {
    uint32_t kind;
    uint32_t bytes; /* behind it, without the padding to ALIGN */
};
_Static_assert(sizeof(struct frame) == 8, "part of a file");

struct per_cpu {
    uint64_t seq;  /* of the last record handed out or said to be missing */
    uint64_t seen; /* records */
    struct pv_stream_count count;
};
struct pv_stream {
    FILE *f; /* borrowed */
    struct pv_stream_info info;
    struct per_cpu *cpus; /* owned, info.n_cpus */
    uint64_t offset;      /* of the frame at hand, for complaints */
    bool waiting;         /* a record in rec was read and stands behind a gap */
    bool at_end;          /* the end was read: tails that were lost are left */
    bool failed;
    uint32_t next_tail;
    _Alignas(8) uint8_t rec[RECORD_MAX];
};

static size_t padding(size_t bytes)
{
    return (ALIGN - bytes % ALIGN) % ALIGN;
}

static int put(FILE *f, const void *p, size_t n, struct pv_err *err)
{
    if (fwrite(p, 1, n, f) != n)
        return pv_fail(err, errno, "write the recorded stream");
    return 0;
}

int pv_stream_put_info(FILE *f, const struct pv_stream_info *info, struct pv_err *err)
{
    struct head h = {.version = PV_STREAM_VERSION,
                     .records = PV_BPF_VERSION,
                     .load_id = info->load_id,
                     .real_minus_boot = info->real_minus_boot,
                     .n_cpus = info->n_cpus,
                     .features = info->features};

    memcpy(h.magic, magic, sizeof h.magic);
    return put(f, &h, sizeof h, err);
}

static int put_frame(FILE *f, uint32_t kind, const void *p, size_t n, struct pv_err *err)
{
    static const uint8_t zeros[ALIGN];
    struct frame frame = {kind, (uint32_t)n};

    PV_TRY(put(f, &frame, sizeof frame, err));
    PV_TRY(put(f, p, n, err));
    return put(f, zeros, padding(n), err);
}

int pv_stream_put_record(FILE *f, const struct pv_bpf_head *rec, struct pv_err *err)
{
    return put_frame(f, FRAME_RECORD, rec, rec->bytes, err);
}

int pv_stream_put_end(FILE *f, const struct pv_stream_count *counts, uint32_t n_cpus,
                      struct pv_err *err)
{
    PV_TRY(put_frame(f, FRAME_END, counts, n_cpus * sizeof *counts, err));
    return fflush(f) == 0 ? 0 : pv_fail(err, errno, "write the recorded stream");
}

/* Exactly n bytes; what names them. */
static int get(struct pv_stream *s, void *p, size_t n, const char *what, struct pv_err *err)
{
    if (fread(p, 1, n, s->f) == n)
        return 0;
    if (ferror(s->f))
        return pv_fail(err, EIO, "read the recorded stream");
    return pv_refuse(err, EBADMSG, "the recorded stream ends in %s at byte %ju", what,
                     (uintmax_t)s->offset);
}

static int refuse(const struct pv_stream *s, const char *why, struct pv_err *err)
{
    return pv_refuse(err, EBADMSG, "recorded stream, byte %ju: %s", (uintmax_t)s->offset, why);
}

static int get_head(struct pv_stream *s, struct pv_err *err)
{
    struct head h;

    PV_TRY(get(s, &h, sizeof h, "its head", err));
    s->offset = sizeof h;
    if (memcmp(h.magic, magic, sizeof magic) != 0)
        return pv_refuse(err, EBADMSG, "this is no recorded stream of probe records");
    if (h.version != PV_STREAM_VERSION || h.records != PV_BPF_VERSION)
        return pv_refuse(err, EBADMSG,
                         "a recorded stream of version %u with records of version %u; this is for "
                         "%d and %d",
                         h.version, h.records, PV_STREAM_VERSION, PV_BPF_VERSION);
    if (h.n_cpus == 0 || h.n_cpus > PV_STREAM_CPUS_MAX)
        return pv_refuse(err, EBADMSG, "a recorded stream of %u CPUs", h.n_cpus);
    s->info = (struct pv_stream_info){h.load_id, h.real_minus_boot, h.n_cpus, h.features};
    return 0;
}

int pv_stream_open(struct pv_stream **ret, FILE *f, struct pv_err *err)
{
    PV_CLEANUP(pv_stream_close) struct pv_stream *s = calloc(1, sizeof *s);

    if (!s)
        return pv_fail(err, ENOMEM, "open a recorded stream");
    s->f = f;
    PV_TRY(get_head(s, err));
    s->cpus = calloc(s->info.n_cpus, sizeof *s->cpus);
    if (!s->cpus)
        return pv_fail(err, ENOMEM, "open a recorded stream");
    *ret = PV_TAKE_PTR(s);
    return 0;
}

const struct pv_stream_info *pv_stream_info(const struct pv_stream *s)
{
    return &s->info;
}

static int get_padding(struct pv_stream *s, size_t bytes, struct pv_err *err)
{
    uint8_t pad[ALIGN] = {0};
    uint8_t zeros[ALIGN] = {0};

    PV_TRY(get(s, pad, padding(bytes), "padding", err));
    return memcmp(pad, zeros, ALIGN) == 0 ? 0 : refuse(s, "padding that is not zero", err);
}

static int get_record(struct pv_stream *s, size_t bytes, struct pv_err *err)
{
    const struct pv_bpf_head *h = (const void *)s->rec;

    if (bytes < sizeof *h || bytes > sizeof s->rec)
        return refuse(s, "a record of impossible length", err);
    PV_TRY(get(s, s->rec, bytes, "a record", err));
    PV_TRY(get_padding(s, bytes, err));
    if (h->bytes != bytes || h->version != PV_BPF_VERSION || h->cpu >= s->info.n_cpus)
        return refuse(s, "a record whose head does not fit", err);
    if (h->seq <= s->cpus[h->cpu].seq || h->seq == UINT64_MAX)
        return refuse(s, "a record out of sequence", err);
    s->cpus[h->cpu].seen++;
    s->waiting = true;
    return 0;
}

static int get_end(struct pv_stream *s, size_t bytes, struct pv_err *err)
{
    if (bytes != s->info.n_cpus * sizeof(struct pv_stream_count))
        return refuse(s, "an end of wrong length", err);
    for (uint32_t i = 0; i < s->info.n_cpus; i++) {
        struct per_cpu *c = &s->cpus[i];
        uint64_t last = 0;

        PV_TRY(get(s, &c->count, sizeof c->count, "its end", err));
        if (c->count.emitted != c->seen ||
            __builtin_add_overflow(c->count.emitted, c->count.lost, &last) || last < c->seq)
            return refuse(s, "the end does not agree with the records", err);
    }
    if (fgetc(s->f) != EOF)
        return refuse(s, "something behind the end", err);
    s->at_end = true;
    return 0;
}

static int get_frame(struct pv_stream *s, struct pv_err *err)
{
    struct frame frame;

    PV_TRY(get(s, &frame, sizeof frame, "a frame", err));
    int rc = frame.kind == FRAME_RECORD ? get_record(s, frame.bytes, err)
             : frame.kind == FRAME_END  ? get_end(s, frame.bytes, err)
                                        : refuse(s, "a frame of unknown kind", err);
    s->offset += sizeof frame + frame.bytes + padding(frame.bytes);
    return rc;
}

/* Up to seq, which is accounted for from now on; false when nothing is missing. */
static bool gap_before(struct per_cpu *c, uint32_t cpu, uint64_t seq, struct pv_stream_item *ret)
{
    if (seq == c->seq + 1)
        return false;
    *ret = (struct pv_stream_item){.cpu = cpu, .first = c->seq + 1, .count = seq - c->seq - 1};
    c->seq = seq - 1;
    return true;
}

static bool next_tail(struct pv_stream *s, struct pv_stream_item *ret)
{
    for (; s->next_tail < s->info.n_cpus; s->next_tail++) {
        struct per_cpu *c = &s->cpus[s->next_tail];

        if (gap_before(c, s->next_tail, c->count.emitted + c->count.lost + 1, ret))
            return true;
    }
    return false;
}

int pv_stream_next(struct pv_stream *s, struct pv_stream_item *ret, struct pv_err *err)
{
    if (s->failed)
        return pv_refuse(err, EBADMSG, "the recorded stream is malformed");
    if (!s->waiting && !s->at_end) {
        int rc = get_frame(s, err);
        s->failed = rc < 0;
        PV_TRY(rc);
    }
    if (!s->waiting)
        return next_tail(s, ret);
    const struct pv_bpf_head *h = (const void *)s->rec;
    struct per_cpu *c = &s->cpus[h->cpu];
    if (gap_before(c, h->cpu, h->seq, ret))
        return 1;
    s->waiting = false;
    c->seq = h->seq;
    *ret = (struct pv_stream_item){.rec = h, .cpu = h->cpu};
    return 1;
}

struct pv_stream_count pv_stream_count(const struct pv_stream *s, uint32_t cpu)
{
    return s->at_end ? s->cpus[cpu].count : (struct pv_stream_count){0};
}

void pv_stream_close(struct pv_stream *s)
{
    if (!s)
        return;
    free(s->cpus);
    free(s);
}
