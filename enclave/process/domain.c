#include "confine.h"
#include "landlock.h"
#include "process.h"
#include "zygote.h"

#include "pv/own.h"

#include <arpa/inet.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

static void process_free(struct pv_domain *domain)
{
    struct pv_process_domain *d = (struct pv_process_domain *)domain;

    if (!d)
        return;
    atomic_store(&d->stopping, true);
    for (unsigned i = 0; i < d->n_breeders; i++)
        pv_worker_stop(d->breeders[i].worker); /* has the maker work for it */
    pv_worker_stop(d->maker);
    pv_worker_stop(d->closer);
    pv_close_fd_(&d->bell);
    for (unsigned i = 0; d->slots && i < d->n_slots; i++) {
        pv_zygote_free(d->slots[i].zygote);
        pv_slot_network_close(&d->slots[i].network);
        pv_slot_cgroup_close(&d->slots[i].cgroup);
    }
    for (unsigned i = 0; i < d->n_breeders; i++)
        pv_patience_done(&d->breeders[i].patience);
    free(d->slots);
    pv_environment_done(&d->at_gate);
    pv_environment_done(&d->reserved);
    pv_environment_done(&d->probe);
    free(d);
}

static inline void free_domain(struct pv_process_domain **d)
{
    if (*d)
        process_free(&(*d)->base);
}

/* As many as can run at once. */
static unsigned breeders(unsigned n_slots)
{
    cpu_set_t set;
    unsigned n = sched_getaffinity(0, sizeof set, &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);

    n = n < n_slots ? n : n_slots;
    return n < PV_BREEDERS_MAX ? n : PV_BREEDERS_MAX;
}

static int allocate(struct pv_process_domain **ret, const struct pv_domain_config *c,
                    struct pv_err *err)
{
    __attribute__((cleanup(free_domain))) struct pv_process_domain *d = calloc(1, sizeof *d);

    if (!d)
        return pv_fail(err, ENOMEM, "create a domain");
    d->bell = -1;
    d->slots = calloc(c->n_slots, sizeof *d->slots);
    if (!d->slots)
        return pv_fail(err, ENOMEM, "create %u slots", c->n_slots);
    d->base.class = &pv_process_class;
    d->spec = c->spec;
    d->n_slots = c->n_slots;
    d->n_breeders = breeders(c->n_slots);
    for (unsigned i = 0; i < c->n_slots; i++) {
        d->slots[i].breeder = &d->breeders[i % d->n_breeders];
        d->slots[i].mounts_fd = -1;
        d->slots[i].drop.run = pv_process_drop_mounts;
        d->slots[i].network = (struct pv_slot_network){-1, {-1, -1}};
        d->slots[i].cgroup = PV_SLOT_CGROUP_NONE;
    }
    for (unsigned i = 0; i < c->spec->argv.n; i++)
        d->argv[i] = c->spec->argv.v[i];
    (void)snprintf(d->tmp_options, sizeof d->tmp_options, "mode=1777,size=%llu,nr_inodes=16384",
                   (unsigned long long)c->spec->tmp_bytes);
    PV_TRY(pv_environment_make(&d->at_gate, c->spec, false, false, err));
    PV_TRY(pv_environment_make(&d->reserved, c->spec, true, false, err));
    *ret = PV_TAKE_PTR(d);
    return 0;
}

static int process_create(struct pv_domain **ret, const struct pv_domain_config *c,
                          struct pv_err *err)
{
    /* mounts and namespaces; reading and writing instances */
    static const uint32_t capabilities = 1u << CAP_SYS_ADMIN | 1u << CAP_SYS_PTRACE;
    __attribute__((cleanup(free_domain))) struct pv_process_domain *d = NULL;

    PV_TRY(allocate(&d, c, err));
    for (unsigned i = 0; i < c->n_slots; i++)
        PV_TRY(pv_slot_cgroup_open(&d->slots[i].cgroup, c, i, err));
    PV_TRY(pv_confine_begin(c, err));
    for (unsigned i = 0; i < c->n_slots; i++)
        PV_TRY(pv_slot_network_open(&d->slots[i].network, err));
    d->landlock_abi = pv_landlock_abi();
    d->ends_early = pv_sandbox_ends_early();
    PV_TRY(pv_confine_end(capabilities, err));
    d->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->bell < 0)
        return pv_fail(err, errno, "make an eventfd");
    PV_TRY(pv_worker_start(&d->maker, d->bell, err));
    for (unsigned i = 0; i < d->n_breeders; i++)
        PV_TRY(pv_worker_start(&d->breeders[i].worker, d->bell, err));
    PV_TRY(pv_worker_start(&d->closer, d->bell, err));
    *ret = &PV_TAKE_PTR(d)->base;
    return 0;
}

static int process_listener(struct pv_domain *domain, unsigned slot, enum pv_broker broker)
{
    const struct pv_process_domain *d = (const struct pv_process_domain *)domain;

    return d->slots[slot].network.listeners[broker == PV_BROKER_GATEWAY ? 0 : 1];
}

static int process_accept(struct pv_domain *domain, unsigned slot, enum pv_broker broker,
                          uint16_t *ret_port)
{
    struct sockaddr_in from = {0};
    socklen_t len = sizeof from;
    int fd = accept4(process_listener(domain, slot, broker), (struct sockaddr *)&from, &len,
                     SOCK_CLOEXEC);

    *ret_port = ntohs(from.sin_port);
    return fd;
}

static int process_bell(struct pv_domain *domain)
{
    return ((const struct pv_process_domain *)domain)->bell;
}

const struct pv_domain_class pv_process_class = {
    .name = "process",
    .create = process_create,
    .bell = process_bell,
    .vacant = pv_process_vacant,
    .prepare = pv_process_prepare,
    .made = pv_process_made,
    .await = pv_process_await,
    .ready = pv_process_ready,
    .asleep = pv_process_asleep,
    .examine = pv_process_examine,
    .begin = pv_process_begin,
    .ending = pv_process_ending,
    .let_end = pv_process_let_end,
    .kill = pv_process_kill,
    .reap = pv_process_reap,
    .destroy = pv_process_destroy,
    .listener = process_listener,
    .accept = process_accept,
    .free = process_free,
};
