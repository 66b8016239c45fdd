#include "entry_stream.h"

#include "workers.h"

#include "pv/merkle.h"
#include "pv/own.h"

#include <string.h>

enum {
    BATCH_ENTRIES = 1024,
    BATCH_BYTES = 1 << 18, /* goes on past it by an entry */
    DOMAIN_AT = 3,         /* of an event: behind version and kind */
    LEAF_PREFIX = 0x00,
};

/* A run of entries: filled, hashed, given out one by one, its tags checked, filled again. */
struct batch {
    struct pv_job hash_job, tag_job;
    unsigned n, given;
    struct pv_log_entry entry[BATCH_ENTRIES]; /* bytes in buf, behind the prefix of a leaf: RFC
                                                 6962's leaf hash in one piece costs a tenth less */
    uint8_t leaf[BATCH_ENTRIES][PV_HASH_BYTES];
    bool expected[BATCH_ENTRIES];
    uint8_t key[BATCH_ENTRIES][PV_KEY_BYTES];
    uint64_t wrong; /* the first entry with a wrong tag */
    struct pv_domain_id wrong_domain;
    int end; /* what the reader said behind the last entry; 1: it goes on */
    struct pv_err why;
    size_t used;
    uint8_t buf[BATCH_BYTES + 1 + PV_LOG_ENTRY_MAX];
};
struct pv_entry_stream {
    struct pv_log_reader *r;    /* borrowed */
    struct pv_workers *workers; /* owned */
    unsigned n_batches;
    unsigned at, filled; /* the batch being given out; how many from it on are filled */
    bool ended;          /* the last filled one says an end: no reading ahead */
    uint64_t wrong;
    struct pv_domain_id wrong_domain;
    struct batch *batch; /* owned */
};
PV_DEFINE_CLEANUP(struct pv_entry_stream, pv_entry_stream_free)

static void hash_entries(struct pv_job *job)
{
    struct batch *b = (struct batch *)((char *)job - offsetof(struct batch, hash_job));
    for (unsigned i = 0; i < b->n; i++)
        pv_sha256(b->entry[i].bytes - 1, 1 + b->entry[i].len, b->leaf[i]);
}

static void check_tags(struct pv_job *job)
{
    struct batch *b = (struct batch *)((char *)job - offsetof(struct batch, tag_job));
    for (unsigned i = 0; i < b->given && b->wrong == UINT64_MAX; i++) {
        const struct pv_log_entry *e = &b->entry[i];
        if (!b->expected[i] || pv_ratchet_tag_is(b->key[i], e->event, e->event_len, e->tag))
            continue;
        b->wrong = e->seq;
        memcpy(b->wrong_domain.bytes, e->event + DOMAIN_AT, sizeof b->wrong_domain.bytes);
    }
}

/* Half an entry at the end may be one that is being written. */
static int read_entry(struct pv_log_reader *r, struct pv_log_entry *ret, struct pv_err *err)
{
    unsigned round = 0;
    int rc;
    do
        rc = pv_log_reader_next(r, ret, err);
    while (rc == 0 && pv_log_reader_torn(r) && pv_log_reader_look_again(r, &round));
    return rc;
}

static void keep(struct batch *b, const struct pv_log_entry *e)
{
    uint8_t *to = b->buf + b->used + 1;
    to[-1] = LEAF_PREFIX;
    memcpy(to, e->bytes, e->len);
    b->used += 1 + e->len;
    b->expected[b->n] = false;
    b->entry[b->n++] = (struct pv_log_entry){.seq = e->seq,
                                             .bytes = to,
                                             .len = e->len,
                                             .event = to,
                                             .event_len = e->event_len,
                                             .tag = to + e->event_len};
}

static void fill(struct pv_entry_stream *s, struct batch *b)
{
    struct pv_log_entry e;
    b->n = b->given = 0;
    b->used = 0;
    b->wrong = UINT64_MAX;
    b->why = PV_ERR_INIT;
    b->end = 1;
    while (b->n < BATCH_ENTRIES && b->used < BATCH_BYTES &&
           (b->end = read_entry(s->r, &e, &b->why)) == 1)
        keep(b, &e);
    s->ended = b->end != 1;
    pv_workers_submit(s->workers, &b->hash_job);
}

/* Its tags are checked; what was found is remembered. */
static void collect(struct pv_entry_stream *s, struct batch *b)
{
    pv_workers_wait(s->workers, &b->tag_job);
    if (b->wrong < s->wrong) {
        s->wrong = b->wrong;
        s->wrong_domain = b->wrong_domain;
    }
    b->wrong = UINT64_MAX;
}

static void read_ahead(struct pv_entry_stream *s)
{
    while (!s->ended && s->filled < s->n_batches) {
        struct batch *b = &s->batch[(s->at + s->filled) % s->n_batches];
        collect(s, b);
        fill(s, b);
        s->filled++;
        if (s->filled > s->n_batches / 2)
            break; /* the other half still has its tags checked */
    }
}

/* All of it was given out: its tags, and on to the next. */
static void leave(struct pv_entry_stream *s)
{
    struct batch *b = &s->batch[s->at];
    pv_workers_submit(s->workers, &b->tag_job);
    s->at = (s->at + 1) % s->n_batches;
    s->filled--;
}

int pv_entry_stream_next(struct pv_entry_stream *s, struct pv_log_entry *ret,
                         const uint8_t **ret_leaf, struct pv_err *err)
{
    for (;;) {
        struct batch *b = &s->batch[s->at];
        if (s->filled && b->given < b->n) {
            if (b->given == 0)
                pv_workers_wait(s->workers, &b->hash_job);
            *ret = b->entry[b->given];
            *ret_leaf = b->leaf[b->given++];
            return 1;
        }
        if (s->filled) {
            int end = b->end;
            pv_workers_wait(s->workers, &b->hash_job);
            if (end < 0 && err)
                *err = b->why;
            leave(s);
            if (end != 1) {
                s->ended = false;
                return end;
            }
        }
        read_ahead(s);
    }
}

void pv_entry_stream_expect(struct pv_entry_stream *s, const uint8_t key[PV_KEY_BYTES])
{
    struct batch *b = &s->batch[s->at];
    memcpy(b->key[b->given - 1], key, PV_KEY_BYTES);
    b->expected[b->given - 1] = true;
}

uint64_t pv_entry_stream_wrong(const struct pv_entry_stream *s)
{
    return s->wrong;
}

uint64_t pv_entry_stream_settle(struct pv_entry_stream *s, struct pv_domain_id *ret_domain)
{
    struct batch *now = &s->batch[s->at];
    for (unsigned i = 0; i < s->n_batches; i++)
        if (&s->batch[i] != now || s->filled == 0)
            collect(s, &s->batch[i]);
    if (s->filled) {
        check_tags(&now->tag_job);
        collect(s, now);
    }
    *ret_domain = s->wrong_domain;
    return s->wrong;
}

int pv_entry_stream_new(struct pv_entry_stream **ret, struct pv_log_reader *r, unsigned jobs,
                        struct pv_err *err)
{
    PV_CLEANUP(pv_entry_stream_free) struct pv_entry_stream *s = calloc(1, sizeof *s);
    if (!s)
        return pv_fail(err, ENOMEM, "allocate the stream of entries");
    s->r = r;
    s->wrong = UINT64_MAX;
    PV_TRY(pv_workers_new(&s->workers, jobs - 1, err));
    s->n_batches = 2 * jobs + 2;
    s->batch = calloc(s->n_batches, sizeof *s->batch);
    if (!s->batch)
        return pv_fail(err, ENOMEM, "allocate the stream of entries");
    for (unsigned i = 0; i < s->n_batches; i++) {
        s->batch[i].hash_job = (struct pv_job){.run = hash_entries, .done = true};
        s->batch[i].tag_job = (struct pv_job){.run = check_tags, .done = true};
        s->batch[i].wrong = UINT64_MAX;
    }
    *ret = PV_TAKE_PTR(s);
    return 0;
}

void pv_entry_stream_free(struct pv_entry_stream *s)
{
    if (!s)
        return;
    for (unsigned i = 0; s->batch && i < s->n_batches; i++) {
        pv_workers_wait(s->workers, &s->batch[i].hash_job);
        pv_workers_wait(s->workers, &s->batch[i].tag_job);
    }
    pv_workers_free(s->workers);
    free(s->batch);
    free(s);
}
