#include "disclosed.h"

#include "pv/archive.h"
#include "pv/log_reader.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

struct pv_disclosed {
    void *tree; /* owns its nodes' struct pv_disclosed_key */
};

struct pv_disclosed *pv_disclosed_new(void)
{
    return calloc(1, sizeof(struct pv_disclosed));
}

void pv_disclosed_free(struct pv_disclosed *d)
{
    if (!d)
        return;
    tdestroy(d->tree, free);
    free(d);
}

static int by_epoch(const void *a, const void *b)
{
    const struct pv_disclosed_key *x = a, *y = b;
    int order = memcmp(x->domain, y->domain, sizeof x->domain);
    return order ? order : (x->epoch > y->epoch) - (x->epoch < y->epoch);
}

int pv_disclosed_take(struct pv_disclosed *d, const struct pv_event *e, struct pv_err *err)
{
    if (e->kind != PV_K_KEY_DISCLOSED)
        return 0;
    const struct pv_value *domain = pv_event_field(e, "disclosed_domain");
    const struct pv_value *key = pv_event_field(e, "key");
    uint64_t epoch = pv_event_get_u64(e, "disclosed_epoch");
    if (!domain || domain->len != PV_DOMAIN_ID_BYTES || !key || key->len != PV_KEY_BYTES ||
        epoch > UINT32_MAX)
        return 0;
    struct pv_disclosed_key *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return pv_fail(err, ENOMEM, "remember a disclosed key");
    memcpy(fresh->domain, domain->bytes, sizeof fresh->domain);
    memcpy(fresh->key, key->bytes, sizeof fresh->key);
    fresh->epoch = (uint32_t)epoch;
    struct pv_disclosed_key **at = tsearch(fresh, &d->tree, by_epoch);
    if (!at || *at != fresh)
        free(fresh);
    return at ? 0 : pv_fail(err, ENOMEM, "remember a disclosed key");
}

int pv_disclosed_read(struct pv_disclosed *d, int dir_fd, uint64_t from, struct pv_err *err)
{
    enum { KIND_AT = 1 };
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_log_entry entry;
    struct pv_event e;
    struct pv_err ignored = PV_ERR_INIT;
    uint64_t detached;
    int rc;
    PV_TRY(pv_log_detached(dir_fd, &detached, err));
    PV_TRY(pv_log_reader_open(&r, dir_fd, from, err));
    while ((rc = pv_log_reader_next_held(r, detached, &entry, err)) > 0) {
        /* Decoding every event only to look at its kind would cost as much as checking it. */
        if (entry.event_len < KIND_AT + 2 || entry.event[KIND_AT] != 0 ||
            entry.event[KIND_AT + 1] != PV_K_KEY_DISCLOSED)
            continue;
        if (pv_event_decode(entry.event, entry.event_len, &e, &ignored) == 0)
            PV_TRY(pv_disclosed_take(d, &e, err));
    }
    return rc == -EBADMSG ? 0 : rc; /* where it is damaged is for the verifier to say */
}

const struct pv_disclosed_key *pv_disclosed_find(const struct pv_disclosed *d,
                                                 const struct pv_domain_id *domain, uint32_t epoch)
{
    struct pv_disclosed_key probe = {.epoch = epoch};
    memcpy(probe.domain, domain->bytes, sizeof probe.domain);
    struct pv_disclosed_key **found = tfind(&probe, &d->tree, by_epoch);
    return found ? *found : NULL;
}
