#include "../process/confine.h"
#include "microvm.h"

#include "pv/own.h"

#include <fcntl.h>
#include <sys/eventfd.h>

enum { ERRORS_MAX = 2 << 20 };

static void free_slot(struct pv_microvm_slot *s)
{
    if (s->worker) {
        pv_worker_wait(s->worker, &s->reset);
        s->reset.run = pv_microvm_free_job;
        pv_worker_post(s->worker, &s->reset);
        pv_worker_stop(s->worker);
    }
    pv_microvm_forget(s);
    pv_buf_done(&s->errors);
    free(s->noted.v);
    free(s->shown.v);
    (void)pthread_mutex_destroy(&s->lock);
}

static void microvm_free(struct pv_domain *domain)
{
    struct pv_microvm_domain *d = (struct pv_microvm_domain *)domain;

    if (!d)
        return;
    for (unsigned i = 0; d->slots && i < d->n_slots; i++)
        free_slot(&d->slots[i]);
    pv_vm_image_free(d->image);
    pv_microvm_start_forget(d);
    free(d->start.v);
    pv_environment_done(&d->environment);
    pv_close_fd_(&d->bell);
    pv_close_fd_(&d->root);
    free(d->slots);
    free(d);
}

static inline void free_domain(struct pv_microvm_domain **d)
{
    if (*d)
        microvm_free(&(*d)->base);
}

static int microvm_bell(struct pv_domain *d)
{
    return ((const struct pv_microvm_domain *)d)->bell;
}

/* Waiting for a request is where a snapshot stands. */
static int microvm_ready(struct pv_instance *i, struct pv_err *err)
{
    (void)i;
    (void)err;
    return 1;
}

static int microvm_listener(struct pv_domain *d, unsigned slot, enum pv_broker broker)
{
    (void)d;
    (void)slot;
    (void)broker;
    return -1;
}

static const struct pv_snapshot_facts *microvm_snapshot(struct pv_domain *d)
{
    return &((const struct pv_microvm_domain *)d)->facts;
}

static int start_slot(struct pv_microvm_domain *d, struct pv_microvm_slot *s, struct pv_err *err)
{
    s->domain = d;
    pv_microvm_hooks(s);
    pv_buf_init(&s->errors, ERRORS_MAX);
    (void)pthread_mutex_init(&s->lock, NULL);
    return pv_worker_start(&s->worker, d->bell, err);
}

int pv_microvm_open(uint8_t machine, struct pv_err *err)
{
    pv_vm_believe(machine);
    return pv_vm_available(err);
}

static int allocate(struct pv_microvm_domain **ret, const struct pv_spec *spec, struct pv_err *err)
{
    __attribute__((cleanup(free_domain))) struct pv_microvm_domain *d = calloc(1, sizeof *d);

    if (!d)
        return pv_fail(err, ENOMEM, "create a domain");
    d->base.class = &pv_microvm_class;
    d->spec = spec;
    d->bell = d->root = -1;
    for (unsigned i = 0; i < spec->argv.n; i++)
        d->argv[i] = spec->argv.v[i];
    PV_TRY(pv_environment_make(&d->environment, spec, false, false, err));
    *ret = PV_TAKE_PTR(d);
    return 0;
}

static int microvm_create(struct pv_domain **ret, const struct pv_domain_config *c,
                          struct pv_err *err)
{
    __attribute__((cleanup(free_domain))) struct pv_microvm_domain *d = NULL;

    PV_TRY(allocate(&d, c->spec, err));
    PV_TRY(pv_confine_begin(c, err));
    PV_TRY(pv_confine_end(0, err));
    d->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    d->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    d->slots = calloc(c->n_slots, sizeof *d->slots);
    if (d->root < 0 || d->bell < 0 || !d->slots)
        return pv_fail(err, errno, "create a domain of micro-VMs");
    for (; d->n_slots < c->n_slots; d->n_slots++)
        PV_TRY(start_slot(d, &d->slots[d->n_slots], err));
    *ret = &PV_TAKE_PTR(d)->base;
    return 0;
}

const struct pv_domain_class pv_microvm_class = {
    .name = "microvm",
    .create = microvm_create,
    .bell = microvm_bell,
    .vacant = pv_microvm_vacant,
    .prepare = pv_microvm_prepare,
    .made = pv_microvm_made,
    .trim = pv_microvm_trim,
    .ready = microvm_ready,
    .begin = pv_microvm_begin,
    .fresh = pv_microvm_fresh,
    .finished = pv_microvm_finished,
    .accesses = pv_microvm_accesses,
    .snapshot = microvm_snapshot,
    .kill = pv_microvm_kill,
    .reap = pv_microvm_reap,
    .destroy = pv_microvm_destroy,
    .listener = microvm_listener,
    .accept = pv_microvm_accept,
    .free = microvm_free,
};
