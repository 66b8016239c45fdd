#include "host.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define RETRY_BEGIN_NS 100000ull
#define RETRY_BEGIN_MAX_NS (2 * PV_NS_PER_MS)

void pv_request_free(struct pv_request *r)
{
    if (!r)
        return;
    pv_payload_done(&r->body);
    pv_msg_done(&r->msg);
    free(r);
}

static void send_result(struct pv_host *h, const struct pv_call_id *call, enum pv_outcome outcome,
                        const struct pv_instance_end *end, uint64_t duration_ns,
                        const char *message, const struct pv_buf *body)
{
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;

    pv_msg_init(&m, PV_HOST_RESULT);
    pv_buf_raw(&m.body, call->bytes, sizeof call->bytes);
    pv_buf_u16(&m.body, (uint16_t)outcome);
    pv_buf_u32(&m.body, end->exit_code);
    pv_buf_u32(&m.body, end->signal);
    pv_buf_u64(&m.body, duration_ns);
    pv_buf_u64(&m.body, end->cpu_ns);
    pv_buf_u64(&m.body, end->peak_bytes);
    pv_buf_str(&m.body, message);
    if (pv_msg_put_payload(&m, body ? body->data : NULL, body ? body->len : 0, &err) < 0) {
        pv_log(PV_LOG_ERROR, "cannot send a result: %s", err.text);
        h->lost = true;
        return;
    }
    pv_gateway_send(h, &m);
}

void pv_invoke_refuse(struct pv_host *h, struct pv_request *r, enum pv_outcome outcome,
                      const char *message)
{
    struct pv_instance_end none = {0};

    send_result(h, &r->call, outcome, &none, 0, message, NULL);
    pv_request_free(r);
}

void pv_invoke_queue(struct pv_host *h, struct pv_request *r)
{
    if (h->failure[0] || h->n_queued >= PV_QUEUE_MAX) {
        pv_invoke_refuse(h, r, PV_OUT_FAULT,
                         h->failure[0] ? h->failure : "the host's queue is full");
        return;
    }
    *h->queue_end = r;
    h->queue_end = &r->next;
    h->n_queued++;
}

static struct pv_request *take_queued(struct pv_host *h, struct pv_request **at)
{
    struct pv_request *r = *at;

    *at = r->next;
    if (!*at)
        h->queue_end = at;
    r->next = NULL;
    h->n_queued--;
    return r;
}

static bool fits_first_read(const struct pv_request *r)
{
    unsigned n = 0;

    for (size_t i = 0; i < r->env_len; i++)
        n += r->env[i] == 0;
    return r->env_len <= PV_FIRST_READ_ENV_BYTES && n <= PV_FIRST_READ_ENV_COUNT;
}

/* The best instance that was prepared, or an empty seat, or NULL. */
static struct pv_seat *best_seat(struct pv_host *h)
{
    struct pv_seat *starting = NULL;

    for (unsigned i = 0; i < h->n_seats; i++) {
        struct pv_seat *s = &h->seats[i];

        if (s->state == PV_SEAT_WAITING)
            return s;
        if (s->state == PV_SEAT_STARTING && !s->probe &&
            (!starting || s->started_ns < starting->started_ns))
            starting = s;
    }
    return starting ? starting : pv_seat_vacant(h);
}

/* A seat whose instance can take the request; filled anew where need be. */
static struct pv_seat *find_seat(struct pv_host *h, const struct pv_request *r, struct pv_err *err)
{
    struct pv_seat *s = best_seat(h);
    enum pv_mode mode = h->mode;

    if (!s)
        return NULL;
    if (mode != PV_MODE_MICROVM && !fits_first_read(r)) {
        mode = PV_MODE_EXEC;
        if (s->instance && !s->made)
            return NULL; /* to clear it is to wait for it */
        if (s->instance && s->instance->mode != PV_MODE_EXEC)
            pv_seat_clear(h, s, "too small for a request");
    }
    if (!s->instance && pv_seat_fill(h, s, mode, err) < 0)
        return NULL;
    return s->instance ? s : NULL; /* what failed at once is gone */
}

static void requeue_first(struct pv_host *h, struct pv_seat *s)
{
    struct pv_request *r = s->request;

    s->request = NULL;
    r->next = h->queue;
    if (!h->queue)
        h->queue_end = &r->next;
    h->queue = r;
    h->n_queued++;
}

/* Lets the assigned instance run, if it waits by now. */
static void try_begin(struct pv_host *h, struct pv_seat *s, uint64_t now_ns)
{
    struct pv_err err = PV_ERR_INIT;
    int rc;

    if (!s->made) {
        s->next_look_ns = UINT64_MAX; /* the bell comes first */
        return;
    }
    rc = s->instance->domain->class->ready(s->instance, &err);
    if (rc <= 0) { /* a failure ends in exit_fd */
        s->next_look_ns = now_ns + s->look_gap_ns;
        s->look_gap_ns =
            s->look_gap_ns * 2 < RETRY_BEGIN_MAX_NS ? s->look_gap_ns * 2 : RETRY_BEGIN_MAX_NS;
        return;
    }
    h->failures = 0;
    s->begun_ns = now_ns;
    s->state = PV_SEAT_RUNNING;
    h->n_waiting--;
    h->n_running++;
    pv_record_begin(h, s);
    rc = s->instance->domain->class->begin(
        s->instance,
        &(struct pv_invocation){s->request->env, s->request->env_len, s->request->body.data,
                                s->request->body.len, s->deadline_ns, s->request->call},
        &err);
    if (rc < 0) {
        pv_log(PV_LOG_WARN, "an instance did not take its request: %s", err.text);
        if (rc == -ESTALE)
            h->mode = PV_MODE_EXEC; /* from now on */
        pv_invoke_stop(s, PV_OUT_FAULT);
        return;
    }
    pv_streams_write_body(h, s);
}

void pv_invoke_dispatch(struct pv_host *h, uint64_t now_ns)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_seat *s;

    for (unsigned i = 0; i < h->n_seats; i++)
        if (h->seats[i].state == PV_SEAT_ASSIGNED && h->seats[i].next_look_ns <= now_ns)
            try_begin(h, &h->seats[i], now_ns);
    while (h->queue && h->decided && !h->failure[0] && pv_record_room(h)) {
        if (h->n_running == h->n_seats)
            return;
        s = find_seat(h, h->queue, &err);
        if (!s) {
            if (err.code && h->n_running + h->n_waiting == 0)
                pv_invoke_refuse(h, take_queued(h, &h->queue), PV_OUT_FAULT, err.text);
            return;
        }
        s->request = take_queued(h, &h->queue);
        s->state = PV_SEAT_ASSIGNED;
        s->look_gap_ns = RETRY_BEGIN_NS;
        s->deadline_ns = s->request->arrived_ns + s->request->timeout_ms * PV_NS_PER_MS;
        try_begin(h, s, now_ns);
    }
}

void pv_invoke_stop(struct pv_seat *s, enum pv_outcome why)
{
    if (s->stopped == PV_OUT_OK)
        s->stopped = why;
    s->instance->domain->class->kill(s->instance);
}

void pv_invoke_cancel(struct pv_host *h, const struct pv_call_id *call)
{
    for (struct pv_request **at = &h->queue; *at; at = &(*at)->next)
        if (pv_call_id_equal(&(*at)->call, call)) {
            pv_invoke_refuse(h, take_queued(h, at), PV_OUT_CANCELLED, "the client went away");
            return;
        }
    for (unsigned i = 0; i < h->n_seats; i++) {
        struct pv_seat *s = &h->seats[i];

        if (s->request && pv_call_id_equal(&s->request->call, call))
            pv_invoke_stop(s, PV_OUT_CANCELLED);
    }
}

void pv_invoke_timeouts(struct pv_host *h, uint64_t now_ns)
{
    for (unsigned i = 0; i < h->n_seats; i++) {
        struct pv_seat *s = &h->seats[i];

        if (s->request && s->stopped == PV_OUT_OK && s->deadline_ns <= now_ns)
            pv_invoke_stop(s, PV_OUT_TIMEOUT);
    }
    for (struct pv_request **at = &h->queue; *at;) {
        if ((*at)->arrived_ns + (*at)->timeout_ms * PV_NS_PER_MS > now_ns)
            at = &(*at)->next;
        else
            pv_invoke_refuse(h, take_queued(h, at), PV_OUT_TIMEOUT,
                             "no instance became free before the time limit");
    }
}

static enum pv_outcome judge(const struct pv_seat *s, const struct pv_instance_end *end)
{
    if (s->stopped != PV_OUT_OK)
        return s->stopped;
    if (end->stopped != PV_OUT_OK)
        return end->stopped;
    if (end->start_failed)
        return PV_OUT_FAULT;
    if (end->oom_kills && (!end->exited || end->exit_code))
        return PV_OUT_MEMORY;
    if (!end->exited)
        return PV_OUT_SIGNAL;
    return end->exit_code ? PV_OUT_EXIT : PV_OUT_OK;
}

/* Of all other outcomes the result and the deployment, which the gateway has, say what is known. */
static const char *fault(enum pv_outcome outcome, const struct pv_instance_end *end)
{
    if (outcome != PV_OUT_FAULT)
        return "";
    return end->start_failed ? end->start_error : "the function could not be run";
}

static void record_limits(struct pv_host *h, const struct pv_seat *s, enum pv_outcome outcome,
                          const struct pv_instance_end *end)
{
    if (outcome == PV_OUT_TIMEOUT)
        pv_record_limit(h, s, "time", s->request->timeout_ms);
    if (outcome == PV_OUT_OUTPUT)
        pv_record_limit(h, s, "output", h->spec.output_bytes);
    if (end->oom_kills)
        pv_record_limit(h, s, "memory", h->spec.memory_bytes);
    if (end->pids_denied)
        pv_record_limit(h, s, "processes", h->spec.processes);
}

/* An instance died that had been given a request but had not begun it. That the host stopped it
 * says nothing about whether the function can be prepared. */
static void died_assigned(struct pv_host *h, struct pv_seat *s)
{
    struct pv_request *r = s->request;

    if (s->stopped == PV_OUT_OK && h->failures < 2) {
        requeue_first(h, s);
        pv_prepare_died(h, s);
        return;
    }
    s->request = NULL;
    pv_invoke_refuse(h, r, s->stopped == PV_OUT_OK ? PV_OUT_FAULT : s->stopped,
                     s->stopped == PV_OUT_TIMEOUT
                         ? "the function did not read its input before the time limit"
                         : "the function ended before it read its input");
    if (s->stopped == PV_OUT_OK)
        pv_prepare_died(h, s);
    else
        pv_seat_clear(h, s, pv_outcome_name(s->stopped));
}

/* What the pipes hold by now is all there will be. Where other processes of the instance may still
 * be writing, theirs comes too late. */
static void read_rest(struct pv_host *h, struct pv_seat *s, bool others)
{
    size_t enough = SIZE_MAX;
    int n = 0;

    if (others && s->instance->stdout_fd >= 0 && ioctl(s->instance->stdout_fd, FIONREAD, &n) == 0)
        enough = s->output.len + (size_t)n;
    while (s->instance->stdout_fd >= 0 && s->stopped != PV_OUT_OUTPUT && s->output.len < enough) {
        size_t before = s->output.len;

        pv_streams_read_output(h, s);
        if (s->output.len == before)
            break;
    }
    pv_streams_read_errors(h, s);
}

static void answer(struct pv_host *h, struct pv_seat *s, const struct pv_instance_end *end)
{
    uint64_t duration_ns = pv_now_mono_ns() - s->begun_ns;

    s->outcome = judge(s, end);
    if (s->outcome == PV_OUT_OUTPUT)
        pv_buf_reset(&s->output); /* half a response is none */
    record_limits(h, s, s->outcome, end);
    pv_record_end(h, s, s->outcome, end, duration_ns);
    send_result(h, &s->request->call, s->outcome, end, duration_ns, fault(s->outcome, end),
                &s->output);
    if (end->misfit[0] && h->spec.class == PV_CLASS_AUTO)
        pv_gateway_misfit(h, end->misfit);
}

void pv_invoke_ending(struct pv_host *h, struct pv_seat *s)
{
    struct pv_instance *i = s->state == PV_SEAT_RUNNING ? s->instance : NULL;
    struct pv_instance_end end = {0};
    struct pv_err err = PV_ERR_INIT;
    int rc = h->domain->class->ending(i, s->listener, &end, &err);

    if (rc == -EPIPE)
        pv_seat_deafen(h, s); /* zygote and instances are dead */
    else if (rc < 0)
        pv_log(PV_LOG_WARN, "%s", err.text);
    if (rc <= 0)
        return;
    read_rest(h, s, true);
    if (s->stopped == PV_OUT_OK) {
        answer(h, s, &end);
        s->state = PV_SEAT_ENDING;
    }
    h->domain->class->let_end(i, s->listener);
}

/* Of a class without pipes: what it has left behind. */
static void take_output(struct pv_host *h, struct pv_seat *s, const struct pv_instance_end *end)
{
    if (end->output_len)
        pv_buf_raw(&s->output, end->output, end->output_len);
    if (s->output.failed) /* memory */
        s->stopped = PV_OUT_FAULT;
    if (end->errors_len)
        pv_log_lines_add(&h->log, &s->lines, &s->request->call, end->errors, end->errors_len);
    pv_record_accesses(h, s);
}

void pv_invoke_finished(struct pv_host *h)
{
    for (unsigned n = 0; n < h->n_seats; n++) {
        struct pv_seat *s = &h->seats[n];

        if (s->state == PV_SEAT_RUNNING && s->instance->domain->class->finished &&
            s->instance->domain->class->finished(s->instance))
            pv_invoke_exited(h, s);
    }
}

void pv_invoke_exited(struct pv_host *h, struct pv_seat *s)
{
    struct pv_instance_end end = {0};
    struct pv_err err = PV_ERR_INIT;

    if (s->state == PV_SEAT_ASSIGNED) {
        died_assigned(h, s);
        return;
    }
    if (s->state < PV_SEAT_RUNNING) {
        pv_prepare_died(h, s);
        return;
    }
    if (s->state == PV_SEAT_RUNNING)
        read_rest(h, s, false);
    if (s->instance->domain->class->reap(s->instance, &end, &err) < 0) {
        pv_log(PV_LOG_ERROR, "%s", err.text);
        s->stopped = PV_OUT_FAULT;
    }
    if (s->state == PV_SEAT_RUNNING) {
        take_output(h, s, &end);
        answer(h, s, &end);
    } else /* what its other processes came to after it had answered */
        record_limits(h, s, PV_OUT_OK, &end);
    pv_seat_clear(h, s, pv_outcome_name(s->outcome));
    pv_prepare_idle(h);
}
