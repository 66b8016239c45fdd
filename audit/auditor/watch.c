#include "auditor.h"

#include "witness.h"

#include "pv/log.h"

int auditor_watch(struct auditor *a, struct producer *p, int64_t claim, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    struct pv_event e;
    uint64_t threads = 0;
    if (!a->witness)
        return 0;
    int rc = witness_watch(a->witness, p->traced_pid, p->hold, claim, &threads, &why);
    if (rc == 0 && !threads)
        rc = pv_refuse(&why, ESRCH, "it has no threads");
    if (rc < 0) {
        pv_log(PV_LOG_WARN, "the monitor '%s' is not watched: %s", p->name, why.text);
        return 0;
    }
    pv_event_init(&e, PV_K_MONITOR_WATCHED, NULL);
    pv_event_bytes(&e, p->id.bytes, sizeof p->id.bytes);
    pv_event_u64(&e, p->traced_pid);
    pv_event_u64(&e, threads);
    return auditor_emit(a, &e, err);
}

void auditor_say_alarm(const struct pv_event *e)
{
    char what[32], object[256], claim[16];
    pv_event_get_text(e, "what", what, sizeof what);
    pv_event_get_text(e, "object", object, sizeof object);
    pv_event_get_text(e, "claim", claim, sizeof claim);
    pv_log(PV_LOG_ERROR,
           "ALARM: a sealed monitor did what none has to: pid=%ju tid=%ju what=%s "
           "object='%s' claim='%s'",
           (uintmax_t)pv_event_get_u64(e, "pid"), (uintmax_t)pv_event_get_u64(e, "tid"), what,
           object, claim);
}
