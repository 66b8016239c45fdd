/* Letting go of entries that stand in an archive is asked for by a file that only root can leave in
 * the key directory. That it happened is evidence itself; without the signed event what is missing
 * counts as deleted. */
#include "auditor.h"

#include "pv/archive.h"
#include "pv/clock.h"
#include "pv/log.h"

enum { TIDY_A_TURN = 256 };

static int detach(struct auditor *a, const struct pv_detach_request *q, struct pv_err *err)
{
    uint64_t first, limit;
    struct pv_event e;
    PV_TRY(pv_log_detached(a->log_dir, &first, err));
    PV_TRY(pv_log_detachable(a->log_dir, &limit, err));
    if (q->end <= first || q->end > limit || q->end % 256 != 0) {
        pv_log(PV_LOG_WARN, "entries up to %ju cannot be detached", (uintmax_t)q->end);
        return 0;
    }
    pv_event_init(&e, PV_K_LOG_DETACHED, NULL);
    pv_event_u64(&e, first);
    pv_event_u64(&e, q->end - first);
    pv_event_bytes(&e, q->archive, sizeof q->archive);
    PV_TRY(auditor_emit(a, &e, err));
    PV_TRY(auditor_commit(a, err));
    PV_TRY(pv_log_detach(a->log, q->end, err));
    pv_log(PV_LOG_WARN, "entries up to %ju were detached from the log", (uintmax_t)q->end);
    return 0;
}

int auditor_detach_if_asked(struct auditor *a, struct pv_err *err)
{
    struct pv_detach_request q;
    struct pv_err why = PV_ERR_INIT;
    uint64_t now = pv_now_mono_ns();
    int rc = pv_log_tidy(a->log, TIDY_A_TURN, err);
    PV_TRY(rc);
    if (now - a->looked_detach_ns < PV_NS_PER_S / 2 || !pv_log_has_room(a->log))
        return 0;
    a->looked_detach_ns = now;
    rc = pv_detach_asked(a->key_dir, &q, &why);
    if (rc == 0)
        return 0;
    if (rc < 0)
        pv_log(PV_LOG_WARN, "%s", why.text);
    if (rc < 0 && rc != -EBADMSG)
        return 0; /* it may be read at a later turn */
    rc = rc > 0 ? detach(a, &q, err) : 0;
    return rc < 0 ? pv_wrap(err, rc, "detach entries") : pv_detach_answered(a->key_dir, err);
}
