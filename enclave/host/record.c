#include "host.h"

#include "pv/clock.h"
#include "pv/log.h"

#include <string.h>
#include <time.h>

/* Room kept for what a running invocation may still have to record: its end, its limits and a
 * good number of connections. */
enum { ROOM_PER_SEAT = 8192, ROOM_SPARE = 65536, FULL_PAUSE_NS = 1000000 };

bool pv_record_room(const struct pv_host *h)
{
    if (!h->audit)
        return true;
    return pv_producer_space(h->producer) >
           ROOM_SPARE + (size_t)ROOM_PER_SEAT * (h->n_running + h->n_waiting + 1);
}

void pv_record(struct pv_host *h, struct pv_event *e)
{
    struct pv_err err = PV_ERR_INIT;
    const struct timespec pause = {.tv_nsec = FULL_PAUSE_NS};
    int rc;

    if (!h->audit)
        return;
    while ((rc = pv_producer_emit(h->producer, e, &err)) == -EAGAIN) {
        pv_producer_flush(h->producer);
        (void)nanosleep(&pause, NULL);
        /* the auditor is restarted by the supervisor; without a supervisor we are over */
        if (getppid() == 1)
            break;
    }
    if (rc < 0) {
        pv_log(PV_LOG_ERROR, "cannot record an event: %s", err.text);
        if (rc != -EMSGSIZE) /* what one function is to blame for is not the end of all calls */
            h->lost = true;
    }
}

static const struct pv_call_id *call_of(const struct pv_seat *s)
{
    return s->request ? &s->request->call : NULL;
}

void pv_record_prepared(struct pv_host *h, const struct pv_seat *s)
{
    struct pv_event e;

    pv_event_init(&e, PV_K_INSTANCE_PREPARED, NULL);
    pv_event_u64(&e, s->number);
    pv_event_u64(&e, (uint64_t)s->instance->pid);
    pv_event_u64(&e, s->instance->start_ticks);
    pv_event_text(&e, s->probe ? "probe" : pv_mode_name(s->instance->mode));
    for (unsigned i = 0; i < 3; i++)
        pv_event_u64(&e, s->instance->inode[i]);
    pv_record(h, &e);
}

void pv_record_zygote(struct pv_host *h, uint64_t number, int64_t pid, uint64_t start_ticks)
{
    struct pv_event e;

    pv_event_init(&e, PV_K_INSTANCE_PREPARED, NULL);
    pv_event_u64(&e, number);
    pv_event_u64(&e, (uint64_t)pid);
    pv_event_u64(&e, start_ticks);
    pv_event_text(&e, "as zygote");
    for (unsigned i = 0; i < 3; i++)
        pv_event_u64(&e, 0);
    pv_record(h, &e);
}

void pv_record_gone(struct pv_host *h, uint64_t number, const char *reason)
{
    struct pv_event e;

    pv_event_init(&e, PV_K_INSTANCE_DESTROYED, NULL);
    pv_event_u64(&e, number);
    pv_event_text(&e, reason);
    pv_record(h, &e);
}

void pv_record_begin(struct pv_host *h, const struct pv_seat *s)
{
    uint8_t body[PV_HASH_BYTES], env[PV_HASH_BYTES];
    struct pv_event e;

    if (!h->audit)
        return;
    pv_sha256(s->request->body.data, s->request->body.len, body);
    pv_sha256(s->request->env, s->request->env_len, env);
    pv_event_init(&e, PV_K_INVOCATION_BEGIN, call_of(s));
    pv_event_u64(&e, s->number);
    pv_event_text(&e, h->spec.name);
    pv_event_u64(&e, h->spec.version);
    pv_event_bytes(&e, body, sizeof body);
    pv_event_u64(&e, s->request->body.len);
    pv_event_bytes(&e, env, sizeof env);
    pv_record(h, &e);
}

void pv_record_end(struct pv_host *h, const struct pv_seat *s, enum pv_outcome outcome,
                   const struct pv_instance_end *end, uint64_t duration_ns)
{
    uint8_t body[PV_HASH_BYTES];
    struct pv_event e;

    if (!h->audit)
        return;
    pv_sha256(s->output.data, s->output.len, body);
    pv_event_init(&e, PV_K_INVOCATION_END, call_of(s));
    pv_event_u64(&e, s->number);
    pv_event_text(&e, pv_outcome_name(outcome));
    pv_event_u64(&e, end->exit_code);
    pv_event_u64(&e, end->signal);
    pv_event_bytes(&e, body, sizeof body);
    pv_event_u64(&e, s->output.len);
    pv_event_u64(&e, s->lines.total_bytes);
    pv_event_u64(&e, duration_ns);
    pv_event_u64(&e, end->cpu_ns);
    pv_event_u64(&e, end->peak_bytes);
    pv_record(h, &e);
}

void pv_record_destroyed(struct pv_host *h, const struct pv_seat *s, const char *reason)
{
    struct pv_event e;

    pv_event_init(&e, PV_K_INSTANCE_DESTROYED, call_of(s));
    pv_event_u64(&e, s->number);
    pv_event_text(&e, reason);
    pv_record(h, &e);
}

void pv_record_limit(struct pv_host *h, const struct pv_seat *s, const char *limit, uint64_t value)
{
    struct pv_event e;

    pv_event_init(&e, PV_K_LIMIT, call_of(s));
    pv_event_u64(&e, s->number);
    pv_event_text(&e, limit);
    pv_event_u64(&e, value);
    pv_record(h, &e);
}

void pv_record_connection(struct pv_host *h, const struct pv_seat *s, uint64_t connection,
                          enum pv_broker broker, unsigned port)
{
    struct pv_event e;

    pv_event_init(&e, PV_K_CONNECTION, call_of(s));
    pv_event_u64(&e, s->number);
    pv_event_u64(&e, connection);
    pv_event_text(&e, broker == PV_BROKER_GATEWAY ? "gateway" : "proxy");
    pv_event_u64(&e, port);
    pv_record(h, &e);
}

static void record_access(struct pv_host *h, const struct pv_call_id *call, uint64_t instance,
                          const struct pv_access *a)
{
    struct pv_event e;

    pv_event_init(&e, PV_K_ACCESS, call);
    e.time_ns = a->time_ns;
    pv_event_u64(&e, instance);
    pv_event_text(&e, a->what);
    pv_event_text(&e, a->path);
    pv_event_u64(&e, a->dev);
    pv_event_u64(&e, a->ino);
    pv_event_u64(&e, a->size);
    pv_event_u64(&e, a->flags);
    pv_event_u64(&e, (uint64_t)a->result);
    pv_record(h, &e);
}

/* What the program did up to its snapshot is every instance's past. */
static void record_start(struct pv_host *h, const struct pv_snapshot_facts *f)
{
    for (unsigned i = 0; i < f->n_accesses; i++)
        record_access(h, NULL, 0, &f->accesses[i]);
}

void pv_record_snapshot(struct pv_host *h, const struct pv_snapshot_facts *f)
{
    struct pv_event e;

    record_start(h, f);
    pv_event_init(&e, PV_K_SNAPSHOT, NULL);
    pv_event_bytes(&e, f->measurement, sizeof f->measurement);
    pv_event_u64(&e, f->bytes);
    pv_event_u64(&e, f->threads);
    pv_event_u64(&e, f->start_ns);
    pv_event_text(&e, f->unknown);
    pv_record(h, &e);
}

struct access_ctx {
    struct pv_host *h;
    const struct pv_seat *s;
};

static void visit_access(void *p, const struct pv_access *a)
{
    const struct access_ctx *ctx = p;

    record_access(ctx->h, call_of(ctx->s), ctx->s->number, a);
}

void pv_record_accesses(struct pv_host *h, const struct pv_seat *s)
{
    if (s->instance->domain->class->accesses)
        s->instance->domain->class->accesses(s->instance, visit_access, &(struct access_ctx){h, s});
}

void pv_record_denied(struct pv_host *h, const char *what, const char *object, const char *reason)
{
    struct pv_event e;

    pv_event_init(&e, PV_K_DENIED, NULL);
    pv_event_text(&e, what);
    pv_event_text(&e, object);
    pv_event_text(&e, reason);
    pv_record(h, &e);
}
