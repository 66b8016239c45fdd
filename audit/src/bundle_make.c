/* Collecting a bundle: the entries asked for, and those without which they cannot be checked. */
#include "bundle_text.h"
#include "rotations.h"

#include "pv/archive.h"
#include "pv/own.h"

#include <search.h>
#include <string.h>

/* What an entry that was asked for needs. */
enum need_type { NEED_DOMAIN, NEED_EPOCH, NEED_DEPLOYMENT };
struct need {
    enum need_type type;
    struct pv_domain_id domain; /* NEED_DOMAIN, NEED_EPOCH */
    uint64_t number;            /* epoch; version */
    char function[PV_NAME_MAX + 1];
};
struct collection {
    void *needs;    /* tsearch tree, owns struct need */
    uint64_t *seqs; /* owned */
    size_t n, cap;
};

static void collection_done(struct collection *c)
{
    tdestroy(c->needs, free);
    free(c->seqs);
}

static int by_need(const void *a, const void *b)
{
    const struct need *x = a, *y = b;
    if (x->type != y->type)
        return x->type < y->type ? -1 : 1;
    int order = memcmp(&x->domain, &y->domain, sizeof x->domain);
    if (order == 0)
        order = strcmp(x->function, y->function);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static int add_need(struct collection *c, const struct need *need, struct pv_err *err)
{
    if (tfind(need, &c->needs, by_need))
        return 0;
    struct need *copy = malloc(sizeof *copy);
    if (!copy)
        return pv_fail(err, ENOMEM, "collect a bundle");
    *copy = *need;
    if (tsearch(copy, &c->needs, by_need))
        return 0;
    free(copy);
    return pv_fail(err, ENOMEM, "collect a bundle");
}

static int add_seq(struct collection *c, uint64_t seq, struct pv_err *err)
{
    if (c->n == PV_BUNDLE_ENTRIES_MAX)
        return pv_refuse(err, EMSGSIZE, "more than %d events cannot be put into one bundle",
                         PV_BUNDLE_ENTRIES_MAX);
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 256;
        uint64_t *more = reallocarray(c->seqs, cap, sizeof *more);
        if (!more)
            return pv_fail(err, ENOMEM, "collect a bundle");
        c->seqs = more;
        c->cap = cap;
    }
    c->seqs[c->n++] = seq;
    return 0;
}

static int note_needs(struct collection *c, const struct pv_event *e, struct pv_err *err)
{
    struct need need = {.type = NEED_DOMAIN, .domain = e->domain};
    PV_TRY(add_need(c, &need, err));
    need = (struct need){.type = NEED_EPOCH, .domain = e->domain, .number = e->epoch};
    PV_TRY(add_need(c, &need, err));
    if (e->kind != PV_K_REQUEST && e->kind != PV_K_INVOCATION_BEGIN)
        return 0;
    need = (struct need){.type = NEED_DEPLOYMENT, .number = pv_event_get_u64(e, "version")};
    pv_event_get_text(e, "function", need.function, sizeof need.function);
    return add_need(c, &need, err);
}

/* Whether somebody needs this event. */
static bool is_needed(const struct collection *c, const struct pv_event *e)
{
    struct need need;
    memset(&need, 0, sizeof need);
    const struct pv_value *v;
    switch (e->kind) {
    case PV_K_DOMAIN_OPEN:
        need.type = NEED_DOMAIN;
        need.domain = e->domain;
        break;
    case PV_K_EPOCH_END: /* it commits to the next one's key */
        need.type = NEED_EPOCH;
        need.domain = e->domain;
        need.number = (uint64_t)e->epoch + 1;
        break;
    case PV_K_KEY_DISCLOSED:
        need.type = NEED_EPOCH;
        need.number = pv_event_get_u64(e, "disclosed_epoch");
        v = pv_event_field(e, "disclosed_domain");
        if (!v || v->len != sizeof need.domain.bytes)
            return false;
        memcpy(need.domain.bytes, v->bytes, v->len);
        break;
    case PV_K_DEPLOYMENT:
        need.type = NEED_DEPLOYMENT;
        need.number = pv_event_get_u64(e, "version");
        pv_event_get_text(e, "function", need.function, sizeof need.function);
        break;
    default:
        return false;
    }
    return tfind(&need, &c->needs, by_need) != NULL;
}

static int read_event(struct pv_log_reader *r, struct pv_log_entry *ret_entry,
                      struct pv_event *ret_event, struct pv_err *err)
{
    int rc = pv_log_reader_next(r, ret_entry, err);
    PV_TRY(rc);
    if (rc == 0)
        return pv_refuse(err, EBADMSG,
                         "the log does not hold e%ju; when it was moved into an archive, 'provost "
                         "audit attach' brings it back",
                         (uintmax_t)pv_log_reader_seq(r));
    return pv_event_decode(ret_entry->event, ret_entry->event_len, ret_event, err);
}

/* What the entries asked for need. */
static int find_needs(struct collection *c, int dir_fd, const uint64_t *seqs, size_t n,
                      struct pv_err *err)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    for (size_t i = 0; i < n; i++) {
        struct pv_log_entry entry;
        struct pv_event e;
        if (!r || pv_log_reader_seq(r) != seqs[i]) {
            pv_log_reader_free(r);
            r = NULL;
            PV_TRY(pv_log_reader_open(&r, dir_fd, seqs[i], err));
        }
        PV_TRY(read_event(r, &entry, &e, err));
        PV_TRY(note_needs(c, &e, err));
    }
    return 0;
}

static bool may_be_needed(const struct pv_log_entry *entry)
{
    unsigned kind = entry->event_len > 2 ? (unsigned)entry->event[1] << 8 | entry->event[2] : 0;
    return kind == PV_K_DOMAIN_OPEN || kind == PV_K_EPOCH_END || kind == PV_K_KEY_DISCLOSED ||
           kind == PV_K_DEPLOYMENT;
}

/* One pass over the log: what was asked for and what is needed, in order. What is needed for the
 * disclosing events themselves is not followed: their place under the checkpoint is their proof. */
static int collect(struct collection *c, int dir_fd, uint64_t size, const uint64_t *seqs, size_t n,
                   struct pv_err *err)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    size_t i = 0;
    uint64_t detached;
    PV_TRY(pv_log_detached(dir_fd, &detached, err));
    PV_TRY(pv_log_reader_open(&r, dir_fd, 0, err));
    while (pv_log_reader_seq(r) < size) {
        struct pv_log_entry entry;
        struct pv_event e;
        bool wanted = false;
        int rc = pv_log_reader_next_held(r, detached, &entry, err);
        PV_TRY(rc);
        if (rc == 0)
            return pv_refuse(err, EBADMSG, "the log ends before its checkpoint");
        wanted = i < n && entry.seq == seqs[i];
        if (!wanted && may_be_needed(&entry)) {
            PV_TRY(pv_event_decode(entry.event, entry.event_len, &e, err));
            wanted = is_needed(c, &e);
        } else if (wanted) {
            i++;
        }
        if (wanted)
            PV_TRY(add_seq(c, entry.seq, err));
    }
    return 0;
}

static int write_lines(const struct collection *c, int dir_fd, const struct pv_checkpoint *at,
                       struct pv_buf *out, struct pv_err *err)
{
    pv_auto_tree_reader struct pv_tree_reader *tree = NULL;
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    PV_TRY(pv_tree_reader_open(&tree, dir_fd, at->size, err));
    for (size_t i = 0; i < c->n; i++) {
        struct pv_log_entry entry;
        struct pv_event e;
        struct pv_proof path;
        uint8_t leaf[PV_HASH_BYTES];
        if (!r || pv_log_reader_seq(r) != c->seqs[i]) {
            pv_log_reader_free(r);
            r = NULL;
            PV_TRY(pv_log_reader_open(&r, dir_fd, c->seqs[i], err));
        }
        PV_TRY(read_event(r, &entry, &e, err));
        PV_TRY(pv_tree_inclusion(tree, entry.seq, &path, err));
        pv_leaf_hash(entry.bytes, entry.len, leaf);
        if (!pv_proof_includes(&path, entry.seq, at->size, leaf, at->root))
            return pv_refuse(err, EBADMSG,
                             "the log's tiles do not lead from e%ju to the root that the "
                             "checkpoint signs; 'provost verify' names what was changed",
                             (uintmax_t)entry.seq);
        pv_bundle_put_line(out, entry.seq, entry.bytes, entry.len, &path);
    }
    return 0;
}

int pv_bundle_reach(int dir_fd, uint64_t size, const uint64_t *seqs, size_t n, uint64_t *ret_last,
                    struct pv_err *err)
{
    __attribute__((cleanup(collection_done))) struct collection c = {.needs = NULL};
    PV_TRY(find_needs(&c, dir_fd, seqs, n, err));
    PV_TRY(collect(&c, dir_fd, size, seqs, n, err));
    *ret_last = c.n ? c.seqs[c.n - 1] : 0;
    return 0;
}

int pv_bundle_make(int dir_fd, const struct pv_signed_checkpoint *under,
                   const struct pv_call_id *calls, size_t n_calls, const uint64_t *seqs, size_t n,
                   struct pv_buf *out, struct pv_err *err)
{
    __attribute__((cleanup(collection_done))) struct collection c = {.needs = NULL};
    if (n == 0)
        return pv_refuse(err, ENOENT, "there is no event to put into the bundle");
    if (seqs[n - 1] >= under->at.size)
        return pv_refuse(err, ESTALE, "the published checkpoint does not cover e%ju yet",
                         (uintmax_t)seqs[n - 1]);
    PV_TRY(find_needs(&c, dir_fd, seqs, n, err));
    PV_TRY(collect(&c, dir_fd, under->at.size, seqs, n, err));
    pv_bundle_put_head(out, calls, n_calls);
    PV_TRY(pv_rotations_read(dir_fd, out, err));
    PV_TRY(write_lines(&c, dir_fd, &under->at, out, err));
    pv_bundle_put_note(out, under->note, under->len);
    return pv_buf_check(out, "bundle", err);
}
