#include "host.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define START_LIMIT_NS (10 * PV_NS_PER_S)
/* A probe only has to show which way of preparing is safe, and exec always is. */
#define PROBE_LIMIT_NS PV_NS_PER_S
#define ELSEWHERE_LIMIT_NS (150 * PV_NS_PER_MS)
#define LOOK_FIRST_NS 200000ull
#define LOOK_LAST_NS (5 * PV_NS_PER_MS)
#define RETRY_NS (50 * PV_NS_PER_MS)
#define IDLE_NS (10 * PV_NS_PER_S)
enum { FAILURES_MAX = 5 };

/* What comes out of a zygote has written nothing, and most requests are answered before it would be
 * worth a wake-up to know of a part of their answer. */
static int watch_instance(struct pv_host *h, struct pv_seat *s, struct pv_err *err)
{
    s->watched = false;
    if (s->instance->exit_fd < 0)
        return 0; /* the bell tells everything */
    if (s->instance->mode != PV_MODE_ZYGOTE)
        PV_TRY(pv_streams_watch(h, s, err));
    return pv_watch(h, s->instance->exit_fd, PV_EV_EXIT, s->slot, EPOLLIN, err);
}

static void unwatch(struct pv_host *h, int fd)
{
    if (fd >= 0)
        (void)epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void pv_seat_deafen(struct pv_host *h, struct pv_seat *s)
{
    /* explicitly: the domain holds a copy, which would keep it watched */
    unwatch(h, s->listener);
    pv_close_fd_(&s->listener);
    s->listener = -1;
}

static void forget_zygote(struct pv_host *h, struct pv_seat *s)
{
    if (s->zygote)
        pv_record_gone(h, s->zygote, "died");
    s->zygote = 0;
    pv_seat_deafen(h, s);
}

static void note_zygote(struct pv_host *h, struct pv_seat *s)
{
    struct pv_zygote_facts z = s->instance->zygote;
    struct pv_err err = PV_ERR_INIT;

    s->instance->zygote = (struct pv_zygote_facts){.listener = -1};
    if (z.gone || z.pid)
        forget_zygote(h, s);
    if (!z.pid)
        return;
    s->zygote = ++h->instances;
    pv_record_zygote(h, s->zygote, z.pid, z.start_ticks);
    if (z.gone) {
        pv_close_fd_(&z.listener);
        forget_zygote(h, s);
        return;
    }
    s->listener = z.listener;
    if (pv_watch(h, s->listener, PV_EV_ENDING, s->slot, EPOLLIN, &err) < 0) {
        pv_log(PV_LOG_ERROR, "%s", err.text);
        h->lost = true;
    }
}

void pv_prepare_finish(struct pv_host *h)
{
    for (unsigned i = 0; i < h->n_seats; i++) {
        if (h->seats[i].zygote)
            pv_record_gone(h, h->seats[i].zygote, "drain");
        if (h->seats[i].machine)
            pv_record_gone(h, h->seats[i].machine, "drain");
    }
}

static void note_snapshot(struct pv_host *h, const struct pv_seat *s)
{
    struct pv_domain *d = s->instance->domain;

    if (h->snapshot_told || !d->class->snapshot)
        return;
    h->snapshot_told = true;
    pv_record_snapshot(h, d->class->snapshot(d));
}

/* Instances of one VM have one number: between two of them it was brought back to the snapshot. */
static void note_prepared(struct pv_host *h, struct pv_seat *s)
{
    bool (*fresh)(struct pv_instance * i) = s->instance->domain->class->fresh;

    if (fresh && !fresh(s->instance)) {
        s->number = s->machine;
        return;
    }
    if (fresh) {
        if (s->machine)
            pv_record_gone(h, s->machine, "replaced");
        s->machine = s->number;
    }
    pv_record_prepared(h, s);
}

static void take_over(struct pv_host *h, struct pv_seat *s)
{
    struct pv_err err = PV_ERR_INIT;
    int rc = s->instance->domain->class->made(s->instance, &err);

    if (rc == 0)
        return;
    note_zygote(h, s);
    if (rc > 0) {
        s->made = true;
        s->started_ns = pv_now_mono_ns();
        s->look_gap_ns = LOOK_FIRST_NS;
        bool at_read = s->instance->exit_fd < 0 || s->instance->mode == PV_MODE_ZYGOTE;
        s->next_look_ns = at_read ? 0 : s->started_ns + LOOK_FIRST_NS;
        note_snapshot(h, s);
        note_prepared(h, s);
        rc = watch_instance(h, s, &err);
    }
    bool stopped = s->stopped != PV_OUT_OK; /* while it was being made */
    if (rc < 0 || stopped)
        s->instance->domain->class->kill(s->instance);
    /* one that has no exit_fd and was not begun has nothing to end */
    if (rc < 0 || (stopped && s->instance->domain->class->finished))
        pv_invoke_exited(h, s);
}

static int fill(struct pv_host *h, struct pv_seat *s, enum pv_mode mode, bool probe,
                struct pv_err *err)
{
    struct pv_domain *d = h->domain;
    struct pv_instance *i;

    PV_TRY(d->class->prepare(d, s->slot, mode, probe, &i, err));
    s->instance = i;
    s->state = PV_SEAT_STARTING;
    s->probe = probe;
    s->number = ++h->instances;
    s->stopped = PV_OUT_OK;
    s->written = 0;
    s->made = s->watched = false;
    s->started_ns = pv_now_mono_ns();
    s->elsewhere_ns = 0;
    s->next_look_ns = UINT64_MAX;
    h->n_waiting++;
    if (d->class->finished)
        take_over(h, s); /* a VM that was brought back to its snapshot is made */
    return 0;
}

void pv_prepare_made(struct pv_host *h)
{
    uint64_t rung;

    (void)!read(h->domain->class->bell(h->domain), &rung, sizeof rung);
    for (unsigned i = 0; i < h->n_seats; i++)
        if (h->seats[i].instance && !h->seats[i].made)
            take_over(h, &h->seats[i]);
    pv_invoke_finished(h);
    for (unsigned i = 0; h->microvm && i < h->n_seats; i++) {
        pv_streams_accept(h, &h->seats[i], PV_BROKER_GATEWAY);
        pv_streams_accept(h, &h->seats[i], PV_BROKER_PROXY);
    }
}

int pv_seat_fill(struct pv_host *h, struct pv_seat *s, enum pv_mode mode, struct pv_err *err)
{
    return fill(h, s, mode, false, err);
}

/* The outside witness may have seen the processes of what is still being made. */
static void tell_of_unmade(struct pv_host *h, struct pv_seat *s)
{
    const struct pv_domain_class *class = s->instance->domain->class;
    struct pv_err err = PV_ERR_INIT;
    int rc;

    if (s->made || !class->await)
        return;
    class->await(s->instance);
    rc = class->made(s->instance, &err);
    note_zygote(h, s);
    if (rc <= 0)
        return;
    s->made = true;
    note_prepared(h, s);
}

void pv_seat_clear(struct pv_host *h, struct pv_seat *s, const char *reason)
{
    struct pv_instance *i = s->instance;

    tell_of_unmade(h, s);
    /* explicitly: a child that was just started may hold copies for a moment more */
    unwatch(h, i->stdin_fd);
    if (s->watched) {
        unwatch(h, i->stdout_fd);
        unwatch(h, i->stderr_fd);
    }
    unwatch(h, i->exit_fd);
    bool is_over = s->made && !i->domain->class->fresh;
    i->domain->class->destroy(i);
    s->instance = NULL;
    pv_log_lines_end(&h->log, &s->lines, s->request ? &s->request->call : NULL);
    /* what is still in the backlog was the dead instance's */
    if (s->state >= PV_SEAT_RUNNING)
        h->n_running--;
    else
        h->n_waiting--;
    s->state = PV_SEAT_EMPTY;
    pv_streams_accept(h, s, PV_BROKER_GATEWAY);
    pv_streams_accept(h, s, PV_BROKER_PROXY);
    if (is_over)
        pv_record_destroyed(h, s, reason);
    pv_request_free(s->request);
    s->request = NULL;
    if (s->output.cap > (256u << 10))
        pv_buf_done(&s->output);
    pv_buf_reset(&s->output);
}

static void fail(struct pv_host *h, const char *reason)
{
    struct pv_request *r;

    (void)snprintf(h->failure, sizeof h->failure, "%s", reason);
    pv_log(PV_LOG_WARN, "function %s cannot run: %s", h->spec.name, reason);
    pv_gateway_failed(h, reason);
    while ((r = h->queue)) {
        h->queue = r->next;
        h->n_queued--;
        pv_invoke_refuse(h, r, PV_OUT_FAULT, h->failure);
    }
    h->queue_end = &h->queue;
}

/* What the deployment asks for and this mode has no use for. */
static const char *in_vain(const struct pv_spec *s, enum pv_mode mode)
{
    if (mode != PV_MODE_MICROVM && s->finish != PV_FINISH_EXIT)
        return "; finish has no effect: a process's response is complete at its exit";
    if (mode == PV_MODE_MICROVM && s->prepare != PV_PREPARE_AUTO)
        return "; prepare has no effect: a micro-VM is always prepared by a snapshot";
    return "";
}

/* What a program does without that is a micro-VM's because its deployment insists. */
static const char *lost(const struct pv_snapshot_facts *f)
{
#define VARIABLES                                                                                  \
    "; the variables of a request do not reach it, because it has copied its environment before "  \
    "it reads stdin"
#define PROGRAMS "; it tried to start another program before it reads stdin, which was refused"
    return f->without_variables && f->without_programs ? VARIABLES PROGRAMS
           : f->without_variables                      ? VARIABLES
           : f->without_programs                       ? PROGRAMS
                                                       : "";
#undef VARIABLES
#undef PROGRAMS
}

static void decide(struct pv_host *h, enum pv_mode mode, const char *reason)
{
    static const struct pv_snapshot_facts none;
    const struct pv_snapshot_facts *f =
        mode == PV_MODE_MICROVM ? h->domain->class->snapshot(h->domain) : &none;
    char text[512];

    h->mode = mode;
    h->decided = true;
    (void)snprintf(text, sizeof text, "%s%s%s%s%s%s", reason, h->unfit[0] ? " (no microvm: " : "",
                   h->unfit, h->unfit[0] ? ")" : "", in_vain(&h->spec, mode), lost(f));
    pv_log(PV_LOG_INFO, "instances are prepared by %s: %s", pv_mode_name(mode), text);
    pv_gateway_ready(h, text, f->unknown);
}

static int seal_and_tell(struct pv_host *h, struct pv_err *err)
{
    pv_automsg struct pv_msg m;
    int64_t claim = 0;

    pv_msg_init(&m, PV_HOST_SEALED);
    tzset(); /* else the first time of day opens a file */
    PV_TRY(pv_microvm_claim_place(&claim, err));
    PV_TRY(pv_microvm_seal(err));
    pv_buf_u64(&m.body, (uint64_t)claim);
    return pv_msg_send(h->control, &m, err);
}

static void seal(struct pv_host *h)
{
    struct pv_err err = PV_ERR_INIT;

    h->sealed = true;
    if (seal_and_tell(h, &err) < 0) {
        pv_log(PV_LOG_ERROR, "%s", err.text);
        h->lost = true;
    }
}

static const char *why_this_mode(const struct pv_host *h, enum pv_mode mode)
{
    if (mode == PV_MODE_MICROVM && h->spec.class == PV_CLASS_AUTO)
        return "it has a snapshot at its first read of stdin";
    return mode != PV_MODE_MICROVM && h->probed ? "it can be forked at its first read of stdin"
                                                : "the deployment says so";
}

void pv_prepare_watched(struct pv_host *h)
{
    if (h->sealed && !h->decided)
        decide(h, PV_MODE_MICROVM, why_this_mode(h, PV_MODE_MICROVM));
}

static void decide_by_probe(struct pv_host *h, struct pv_seat *s)
{
    struct pv_err why = PV_ERR_INIT;
    int used = s->instance->domain->class->examine(s->instance, &why);

    pv_seat_clear(h, s, "probe");
    if (used)
        decide(h, PV_MODE_EXEC, why.text);
    else
        h->probed = true; /* a zygote is tried next */
}

/* A probe that is not reading stdin: whether anything is known about it already. */
static bool decide_early(struct pv_host *h, struct pv_seat *s, uint64_t now_ns)
{
    struct pv_err why = PV_ERR_INIT;
    bool asleep = s->instance->domain->class->asleep(s->instance, &why);

    if (!asleep)
        s->elsewhere_ns = 0;
    else if (!s->elsewhere_ns)
        s->elsewhere_ns = now_ns;
    if (asleep && s->elsewhere_ns == now_ns) {
        struct pv_err used = PV_ERR_INIT;

        if (s->instance->domain->class->examine(s->instance, &used) > 0)
            why = used;
        else
            asleep = false; /* give it time to come to stdin */
    } else if (asleep && now_ns - s->elsewhere_ns < ELSEWHERE_LIMIT_NS) {
        asleep = false;
    }
    if (!asleep && now_ns - s->started_ns < PROBE_LIMIT_NS)
        return false;
    pv_seat_clear(h, s, "probe");
    decide(h, PV_MODE_EXEC, asleep ? why.text : "it does not read stdin within 1 second");
    return true;
}

/* The first instance decides whether the function can be run at all. */
static void look_at(struct pv_host *h, struct pv_seat *s, uint64_t now_ns)
{
    struct pv_err err = PV_ERR_INIT;
    int rc = s->instance->domain->class->ready(s->instance, &err);

    if (rc > 0 && s->probe) {
        decide_by_probe(h, s);
    } else if (rc > 0) {
        s->state = PV_SEAT_WAITING;
        h->failures = 0;
        if (h->decided)
            return;
        if (s->instance->mode == PV_MODE_MICROVM)
            seal(h);
        else
            decide(h, s->instance->mode, why_this_mode(h, s->instance->mode));
    } else if (rc == 0 && s->probe && decide_early(h, s, now_ns)) {
        return;
    } else if (rc == 0 && now_ns - s->started_ns < START_LIMIT_NS) {
        s->next_look_ns = now_ns + s->look_gap_ns;
        s->look_gap_ns = s->look_gap_ns * 2 < LOOK_LAST_NS ? s->look_gap_ns * 2 : LOOK_LAST_NS;
    } else if (rc == 0) {
        pv_seat_clear(h, s, "start limit");
        fail(h, "an instance did not read stdin within 10 seconds");
    }
    /* a report of failure: exit_fd follows at once, and with it pv_prepare_died */
    if (rc < 0)
        s->next_look_ns = now_ns + LOOK_LAST_NS;
}

void pv_prepare_look(struct pv_host *h, uint64_t now_ns)
{
    for (unsigned i = 0; i < h->n_seats; i++) {
        struct pv_seat *s = &h->seats[i];

        if (s->state == PV_SEAT_STARTING && s->next_look_ns <= now_ns)
            look_at(h, s, now_ns);
    }
}

int pv_prepare_make_way(struct pv_host *h, const char *why, struct pv_err *err)
{
    pv_automsg struct pv_msg m;

    (void)snprintf(h->unfit, sizeof h->unfit, "%.255s", why);
    pv_msg_init(&m, PV_HOST_UNFIT);
    pv_buf_str(&m.body, h->unfit);
    return pv_msg_send(h->control, &m, err);
}

static void make_way(struct pv_host *h, const char *why)
{
    struct pv_err err = PV_ERR_INIT;

    if (pv_prepare_make_way(h, why, &err) == 0)
        return;
    pv_log(PV_LOG_ERROR, "%s", err.text);
    h->lost = true;
}

static void say_end(const struct pv_instance_end *end, char out[512])
{
    if (end->start_failed)
        (void)snprintf(out, 512, "%s", end->start_error);
    else if (end->exited)
        (void)snprintf(out, 512,
                       "it ended before its first read of stdin (exit status %u); deploy it with "
                       "prepare auto or exec",
                       end->exit_code);
    else
        (void)snprintf(out, 512, "it was killed before its first read of stdin (signal %u%s)",
                       end->signal, end->oom_kills ? ", memory limit" : "");
}

void pv_prepare_died(struct pv_host *h, struct pv_seat *s)
{
    struct pv_instance_end end = {0};
    struct pv_err err = PV_ERR_INIT;
    enum pv_mode mode = s->instance->mode;
    bool probe = s->probe;
    char text[512];

    if (s->instance->domain->class->reap(s->instance, &end, &err) < 0) {
        (void)snprintf(end.start_error, sizeof end.start_error, "%.255s", err.text);
        end.start_failed = true;
    }
    say_end(&end, text);
    pv_seat_clear(h, s, probe ? "probe" : "died while prepared");
    if (mode == PV_MODE_MICROVM && !h->decided && h->spec.class == PV_CLASS_AUTO) {
        make_way(h, text);
        return;
    }
    if (probe && !end.start_failed) {
        decide(h, PV_MODE_EXEC, "it ends before it reads stdin");
        return;
    }
    if (mode == PV_MODE_ZYGOTE && end.start_failed && h->spec.prepare == PV_PREPARE_AUTO) {
        decide(h, PV_MODE_FIRST_READ, text);
        return;
    }
    h->failures++;
    if (!h->decided || h->failures >= FAILURES_MAX)
        fail(h, text);
    else
        h->retry_ns = pv_now_mono_ns() + RETRY_NS * h->failures;
}

/* After PV_HOST_SCALE there may be more than are wanted. */
static void shrink(struct pv_host *h)
{
    for (unsigned i = 0; i < h->n_seats && h->n_waiting > h->wanted; i++) {
        if (h->seats[i].state != PV_SEAT_WAITING)
            continue;
        pv_seat_clear(h, &h->seats[i], "scaled down");
        pv_prepare_idle(h); /* it may be that nothing has ever run */
    }
}

/* How the next instance is to be made. */
static enum pv_mode next_mode(const struct pv_host *h)
{
    if (h->decided)
        return h->mode;
    if (h->microvm)
        return PV_MODE_MICROVM;
    switch (h->spec.prepare) {
    case PV_PREPARE_EXEC:
        return PV_MODE_EXEC;
    case PV_PREPARE_ZYGOTE:
        return PV_MODE_ZYGOTE;
    case PV_PREPARE_FIRST_READ:
        return PV_MODE_FIRST_READ;
    case PV_PREPARE_AUTO:
        break;
    }
    return h->probed ? PV_MODE_ZYGOTE : PV_MODE_FIRST_READ;
}

struct pv_seat *pv_seat_vacant(const struct pv_host *h)
{
    struct pv_domain *d = h->domain;

    for (unsigned i = 0; i < h->n_seats; i++)
        if (h->seats[i].state == PV_SEAT_EMPTY && d->class->vacant(d, i))
            return &h->seats[i];
    return NULL;
}

void pv_prepare_idle(struct pv_host *h)
{
    h->idle_ns = pv_now_mono_ns() + IDLE_NS;
}

void pv_prepare_trim(struct pv_host *h, uint64_t now_ns)
{
    struct pv_domain *d = h->domain;

    if (now_ns < h->idle_ns)
        return;
    h->idle_ns = UINT64_MAX;
    for (unsigned i = 0; d->class->trim && i < h->n_seats; i++) {
        struct pv_seat *s = &h->seats[i];

        if (s->state != PV_SEAT_EMPTY || !s->machine)
            continue;
        if (d->class->trim(d, i)) {
            pv_record_gone(h, s->machine, "idle");
            s->machine = 0;
        } else { /* it is being reset, or freed for another reason */
            h->idle_ns = now_ns + RETRY_NS;
        }
    }
}

bool pv_prepare_may(const struct pv_host *h)
{
    bool makes_way = h->microvm && h->unfit[0];

    return h->tracing && !h->draining && !h->failure[0] && !makes_way;
}

void pv_prepare_tick(struct pv_host *h, uint64_t now_ns)
{
    bool probe = !h->decided && !h->probed && !h->microvm && h->spec.prepare == PV_PREPARE_AUTO;
    struct pv_err err = PV_ERR_INIT;
    struct pv_seat *s;

    if (!pv_prepare_may(h) || now_ns < h->retry_ns || !pv_record_room(h))
        return;
    if (!h->decided && h->n_waiting)
        return;
    if (h->decided && h->n_waiting >= h->wanted) {
        shrink(h);
        return;
    }
    s = pv_seat_vacant(h);
    if (!s)
        return;
    if (fill(h, s, next_mode(h), probe, &err) < 0) {
        pv_log(PV_LOG_WARN, "%s", err.text);
        h->retry_ns = now_ns + RETRY_NS;
        if (++h->failures >= FAILURES_MAX)
            fail(h, err.text);
    }
}
