/* Adds EVENTS events of a domain of its own to the log of STATE, as an auditor would: for tests
 * that need a long log and no daemon. */
#include "pv/event.h"
#include "pv/evidence_log.h"
#include "pv/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

struct filler {
    struct pv_log *log;
    struct pv_domain_id id;
    struct pv_ratchet ratchet;
};

static int put(struct filler *f, struct pv_event *e, struct pv_err *err)
{
    uint8_t tag[PV_TAG_BYTES];
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, PV_EVENT_MAX);
    e->domain = f->id;
    e->dseq = f->ratchet.index;
    PV_TRY(pv_event_encode(e, &b, err));
    pv_ratchet_tag(&f->ratchet, b.data, b.len, tag);
    if (!pv_log_has_room(f->log))
        PV_TRY(pv_log_write(f->log, err));
    return pv_log_append(f->log, b.data, b.len, tag, err);
}

static int open_domain(struct filler *f, struct pv_err *err)
{
    uint8_t seed[PV_KEY_BYTES] = {9}, hash[PV_HASH_BYTES];
    struct pv_event e;
    f->id = pv_domain_id_new();
    pv_ratchet_init(&f->ratchet, seed);
    pv_ratchet_commitment(&f->ratchet, hash);
    pv_event_init(&e, PV_K_DOMAIN_OPEN, NULL);
    pv_event_text(&e, "filler");
    pv_event_bytes(&e, hash, sizeof hash);
    pv_event_u64(&e, 1);
    pv_event_bytes(&e, hash, sizeof hash);
    return put(f, &e, err);
}

static int fill(struct filler *f, unsigned long n, struct pv_err *err)
{
    struct pv_event e;
    PV_TRY(open_domain(f, err));
    for (unsigned long i = 0; i < n; i++) {
        pv_event_init(&e, PV_K_LIMIT, NULL);
        pv_event_u64(&e, 1);
        pv_event_text(&e, "memory");
        pv_event_u64(&e, i);
        PV_TRY(put(f, &e, err));
        if (i % PV_LOG_BATCH_MAX == 0)
            PV_TRY(pv_log_commit(f->log, err));
    }
    pv_event_init(&e, PV_K_DOMAIN_CLOSE, NULL);
    pv_event_bytes(&e, f->id.bytes, sizeof f->id.bytes);
    pv_event_text(&e, "filled");
    PV_TRY(put(f, &e, err));
    return pv_log_commit(f->log, err);
}

/* Until the journal has let go of all but its last segments. */
static int settle(struct filler *f, int log_dir, struct pv_err *err)
{
    uint64_t first = 0, last = 2;
    while (last - first > 1) {
        PV_TRY(pv_log_publish(f->log, true, err));
        PV_TRY(pv_log_journal(log_dir, &first, &last, err));
        usleep(1000);
    }
    return 0;
}

static int run(const char *state, unsigned long n, struct pv_err *err)
{
    struct filler f = {.log = NULL};
    struct pv_log_recovery found;
    pv_autoclose int dir = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pv_autoclose int log_dir = openat(dir, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pv_autoclose int key_dir = openat(dir, "keys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || log_dir < 0 || key_dir < 0)
        return pv_fail(err, errno, "open '%s'", state);
    PV_TRY(pv_log_open(&f.log, log_dir, key_dir, NULL, NULL, &found, err));
    int rc = fill(&f, n, err);
    if (rc == 0)
        rc = settle(&f, log_dir, err);
    pv_log_free(f.log);
    return rc;
}

int main(int argc, char **argv)
{
    struct pv_err err = PV_ERR_INIT;
    if (argc != 3)
        return 2;
    if (run(argv[1], strtoul(argv[2], NULL, 10), &err) < 0) {
        fprintf(stderr, "fill_log: %s\n", err.text);
        return 1;
    }
    return 0;
}
