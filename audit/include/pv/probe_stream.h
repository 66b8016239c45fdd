/* The outside witness's records in a file (docs/formats/probe-stream.md), so that everything behind
 * the probes can be run and tested without them. A reader trusts nothing in the bytes. */
#pragma once
#include "pv/bpf_record.h"
#include "pv/err.h"
#include "pv/own.h"

#include <stdio.h>

enum { PV_STREAM_VERSION = 1, PV_STREAM_CPUS_MAX = 4096 };

/* When and how they were recorded. */
struct pv_stream_info {
    uint64_t load_id;        /* realtime ns of the probes' loading */
    int64_t real_minus_boot; /* ns; makes the records' times times of day */
    uint32_t n_cpus;         /* 1 to PV_STREAM_CPUS_MAX */
    uint32_t features;       /* enum pv_bpf_feature */
};
/* What the kernel counted on one CPU since the probes were loaded. */
struct pv_stream_count {
    uint64_t emitted;
    uint64_t lost;
};

/* --- writing; every call reports what the file did not take --- */
PV_MUST_CHECK int pv_stream_put_info(FILE *f, const struct pv_stream_info *info,
                                     struct pv_err *err);
/* rec: a record of rec->bytes bytes, as the probes made it. Of one CPU in the order of seq. */
PV_MUST_CHECK int pv_stream_put_record(FILE *f, const struct pv_bpf_head *rec, struct pv_err *err);
/* The last words: counts of info.n_cpus CPUs. Flushes. */
PV_MUST_CHECK int pv_stream_put_end(FILE *f, const struct pv_stream_count *counts, uint32_t n_cpus,
                                    struct pv_err *err);

/* --- reading --- */
struct pv_stream;
/* f is borrowed until close. -EBADMSG: it is no such file, or of another version. */
PV_MUST_CHECK int pv_stream_open(struct pv_stream **ret, FILE *f, struct pv_err *err);
const struct pv_stream_info *pv_stream_info(const struct pv_stream *s);
/* A record, or records of a CPU that were lost. */
struct pv_stream_item {
    const struct pv_bpf_head *rec; /* borrowed until the next call, 8-byte aligned; NULL: a gap */
    uint32_t cpu;
    uint64_t first, count; /* of a gap */
};
/* 1: an item; 0: the end, which is whole; -EBADMSG: malformed or cut short, and stays so; -EIO. */
PV_MUST_CHECK int pv_stream_next(struct pv_stream *s, struct pv_stream_item *ret,
                                 struct pv_err *err);
/* Of a CPU below n_cpus; zeroes until the end was read. */
struct pv_stream_count pv_stream_count(const struct pv_stream *s, uint32_t cpu);
/* Accepts NULL. */
void pv_stream_close(struct pv_stream *s);
PV_DEFINE_CLEANUP(struct pv_stream, pv_stream_close)
