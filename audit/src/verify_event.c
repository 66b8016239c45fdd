#include "verifier.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void count_gap(struct pv_verify_result *res, uint64_t seq, const struct pv_event *e)
{
    char witness[32];
    res->lost_records += pv_event_get_u64(e, "count");
    if (res->gap_events++)
        return;
    pv_event_get_text(e, "witness", witness, sizeof witness);
    res->first_gap_seq = seq;
    if (strncmp(witness, "inside ", 7) == 0)
        snprintf(res->first_gap, sizeof res->first_gap,
                 "an enclave host (domain %s) ended before it had recorded %" PRIu64
                 " things that its micro-VMs did",
                 witness + 7, pv_event_get_u64(e, "count"));
    else
        snprintf(res->first_gap, sizeof res->first_gap,
                 "the outside witness (%s) lost %" PRIu64 " records of CPU %" PRIu64
                 ": its ring was full",
                 witness, pv_event_get_u64(e, "count"), pv_event_get_u64(e, "cpu"));
}

static void count_event(struct pv_verify_result *res, uint64_t seq, const struct pv_event *e)
{
    char witness[16];
    if (!res->first_time_ns)
        res->first_time_ns = e->time_ns;
    res->last_time_ns = e->time_ns;
    if (e->kind == PV_K_GAP)
        count_gap(res, seq, e);
    res->faults += e->kind == PV_K_PRODUCER_FAULT;
    res->recoveries += e->kind == PV_K_RECOVERY;
    if (e->kind == PV_K_LOG_OPEN) {
        pv_event_get_text(e, "witness", witness, sizeof witness);
        res->outside_missing |= strncmp(witness, "missing", 7) == 0;
    }
}

static void note_detached(struct pv_verifier *v, const struct pv_event *e)
{
    if (e->kind != PV_K_LOG_DETACHED)
        return;
    uint64_t end = pv_event_get_u64(e, "first") + pv_event_get_u64(e, "count");
    if (end > v->said_next)
        v->said_next = end;
}

/* What the numbering, epochs and keys of its domain say of an event. */
static void suspect_fault(struct pv_verifier *v, enum pv_domain_fault fault, uint64_t seq,
                          const struct pv_event *e, uint64_t expected)
{
    char text[256], domain[2 * PV_DOMAIN_ID_BYTES + 1];
    enum pv_verdict verdict = fault == PV_DOMAIN_GAP         ? PV_VERDICT_GAP
                              : fault == PV_DOMAIN_WRONG_KEY ? PV_VERDICT_WRONG_TAG
                                                             : PV_VERDICT_BAD_EVENT;
    pv_hex(e->domain.bytes, sizeof e->domain.bytes, domain);
    switch (fault) {
    case PV_DOMAIN_FINE:
    case PV_DOMAIN_NO_MEMORY:
        return;
    case PV_DOMAIN_GAP:
        snprintf(text, sizeof text,
                 "events %" PRIu64 " to %" PRIu64 " of domain %s are missing before it", expected,
                 e->dseq - 1, domain);
        break;
    case PV_DOMAIN_REPEATED:
        snprintf(text, sizeof text, "event %" PRIu64 " of domain %s comes when %" PRIu64 " is due",
                 e->dseq, domain, expected);
        break;
    case PV_DOMAIN_UNOPENED:
        snprintf(text, sizeof text, "domain %s does not begin, once, with its commitment", domain);
        break;
    case PV_DOMAIN_CLOSED:
        snprintf(text, sizeof text, "domain %s was closed before it", domain);
        break;
    case PV_DOMAIN_WRONG_EPOCH:
        snprintf(text, sizeof text, "it names an epoch that domain %s is not in", domain);
        break;
    case PV_DOMAIN_WRONG_KEY:
        snprintf(text, sizeof text,
                 "the key disclosed for epoch %" PRIu32
                 " of domain %s is not the one that was committed to",
                 e->epoch, domain);
        break;
    case PV_DOMAIN_TOO_SOON:
        v->yields = v->anomaly.verdict == PV_VERDICT_OK;
        snprintf(text, sizeof text, "it discloses a key before that epoch lies under a checkpoint");
        break;
    }
    pv_verifier_suspect(v, verdict, seq, text);
}

int pv_verifier_check_event(struct pv_verifier *v, const struct pv_log_entry *entry,
                            struct pv_err *err)
{
    struct pv_event e;
    struct pv_err why = PV_ERR_INIT;
    uint64_t expected;
    bool keyed;
    uint8_t key[PV_KEY_BYTES];
    if (pv_event_decode(entry->event, entry->event_len, &e, &why) < 0) {
        pv_verifier_suspect(v, PV_VERDICT_BAD_EVENT, entry->seq, why.text);
        return 0;
    }
    enum pv_domain_fault fault =
        pv_domains_take(v->domains, entry, &e, v->good.size, &expected, &keyed, key);
    if (fault == PV_DOMAIN_NO_MEMORY)
        return pv_fail(err, ENOMEM, "remember the log's domains");
    if (keyed)
        pv_entry_stream_expect(v->stream, key);
    count_event(v->res, entry->seq, &e);
    pv_verifier_note_rotation(v, entry->seq, &e);
    note_detached(v, &e);
    if (fault != PV_DOMAIN_FINE)
        suspect_fault(v, fault, entry->seq, &e, expected);
    return 0;
}
