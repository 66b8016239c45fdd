#include "domains.h"

#include "pv/own.h"
#include "pv/ring.h"
#include "pv/role.h"
#include "tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

void pv_domains_init(struct pv_domains *d, int rings_dir)
{
    *d = (struct pv_domains){.dir = rings_dir};
}

static void domain_free(struct pv_domain *d)
{
    if (!d)
        return;
    explicit_bzero(d->k0, sizeof d->k0);
    if (d->ring >= 0)
        (void)close(d->ring);
    free(d);
}

static void ring_name(const struct pv_domain_id *id, char out[2 * PV_DOMAIN_ID_BYTES + 1])
{
    pv_hex(id->bytes, sizeof id->bytes, out);
}

void pv_domains_done(struct pv_domains *d)
{
    while (d->head) {
        struct pv_domain *next = d->head->next;
        char hex[2 * PV_DOMAIN_ID_BYTES + 1];

        ring_name(&d->head->id, hex);
        /* No auditor has its key, so nobody could check what the ring holds. */
        if (d->head->has_k0 && d->dir >= 0)
            (void)unlinkat(d->dir, hex, 0);
        domain_free(d->head);
        d->head = next;
    }
}

static struct pv_domain *push(struct pv_domains *d, const struct pv_domain_id *id, int ring)
{
    struct pv_domain *domain = calloc(1, sizeof *domain);
    struct pv_domain **at = &d->head;

    if (!domain)
        return NULL;
    domain->id = *id;
    domain->ring = ring;
    /* At the end: an auditor hears of producers in the order of their making, so that it knows the
     * gateway's key before it lets a host start instances. */
    while (*at)
        at = &(*at)->next;
    *at = domain;
    return domain;
}

int pv_domains_adopt(struct pv_domains *d, struct pv_err *err)
{
    DIR *list = pv_tree_list(d->dir);
    int rc = 0;

    if (!list)
        return pv_fail(err, errno, "list the rings");
    for (struct dirent *e; rc == 0 && (e = readdir(list));) {
        struct pv_domain_id id;
        int ring;

        if (strlen(e->d_name) != 2 * sizeof id.bytes ||
            !pv_unhex(e->d_name, id.bytes, sizeof id.bytes))
            continue;
        ring = openat(d->dir, e->d_name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        if (ring < 0) {
            rc = pv_fail(err, errno, "open the ring '%s'", e->d_name);
        } else {
            struct pv_domain *domain = push(d, &id, ring);

            if (domain)
                domain->gone = true;
            else
                rc = pv_fail(err, ENOMEM, "take up the ring '%s'", e->d_name);
        }
    }
    (void)closedir(list);
    return rc;
}

bool pv_domains_draining(const struct pv_domains *d)
{
    for (const struct pv_domain *p = d->head; p; p = p->next)
        if (p->gone)
            return true;
    return false;
}

int pv_domains_add(struct pv_domains *d, const char *name, struct pv_domain **ret,
                   struct pv_err *err)
{
    struct pv_domain_id id = pv_domain_id_new();
    char hex[2 * PV_DOMAIN_ID_BYTES + 1];
    struct pv_domain *domain;
    pv_autoclose int ring = -1;

    ring_name(&id, hex);
    ring = pv_ring_create(d->dir, hex, &id, err);
    PV_TRY(ring);
    domain = push(d, &id, ring);
    if (!domain) {
        (void)unlinkat(d->dir, hex, 0);
        return pv_fail(err, ENOMEM, "make a domain for '%s'", name);
    }
    (void)PV_TAKE_FD(ring);
    snprintf(domain->name, sizeof domain->name, "%s", name);
    arc4random_buf(domain->k0, sizeof domain->k0);
    domain->has_k0 = true;
    *ret = domain;
    return 0;
}

struct pv_domain *pv_domains_find(struct pv_domains *d, const struct pv_domain_id *id)
{
    for (struct pv_domain *p = d->head; p; p = p->next)
        if (memcmp(p->id.bytes, id->bytes, sizeof id->bytes) == 0)
            return p;
    return NULL;
}

static int send_gone(const struct pv_domain *d, struct pv_channel *auditor, struct pv_err *err)
{
    pv_automsg struct pv_msg m = {0};

    pv_msg_init(&m, PV_AUDIT_DOMAIN_GONE);
    pv_buf_raw(&m.body, d->id.bytes, sizeof d->id.bytes);
    return pv_channel_send(auditor, &m, err);
}

static int send_sealed(const struct pv_domain *d, struct pv_channel *auditor, struct pv_err *err)
{
    pv_automsg struct pv_msg m = {0};

    pv_msg_init(&m, PV_AUDIT_SEALED);
    pv_buf_raw(&m.body, d->id.bytes, sizeof d->id.bytes);
    pv_buf_u64(&m.body, d->claim);
    return pv_channel_send(auditor, &m, err);
}

int pv_domain_sealed(struct pv_domain *d, uint64_t claim, struct pv_channel *auditor,
                     struct pv_err *err)
{
    d->sealed = true;
    d->claim = claim;
    return pv_channel_is_open(auditor) ? send_sealed(d, auditor, err) : 0;
}

int pv_domain_announce(struct pv_domain *d, struct pv_channel *auditor, struct pv_err *err)
{
    pv_automsg struct pv_msg m = {0};

    if (d->is_auditors)
        return 0;
    pv_msg_init(&m, PV_AUDIT_DOMAIN);
    pv_buf_raw(&m.body, d->id.bytes, sizeof d->id.bytes);
    pv_buf_str(&m.body, d->name);
    pv_buf_bytes(&m.body, d->k0, d->has_k0 ? sizeof d->k0 : 0);
    pv_buf_u64(&m.body, d->gone ? 0 : (uint64_t)d->pid);
    pv_buf_u8(&m.body, d->hold);
    pv_msg_put_fd(&m, fcntl(d->ring, F_DUPFD_CLOEXEC, 0));
    PV_TRY(pv_channel_send(auditor, &m, err));
    if (d->sealed && !d->gone)
        PV_TRY(send_sealed(d, auditor, err));
    return d->gone ? send_gone(d, auditor, err) : 0;
}

int pv_domains_announce_all(struct pv_domains *d, struct pv_channel *auditor, struct pv_err *err)
{
    for (struct pv_domain *p = d->head; p; p = p->next)
        PV_TRY(pv_domain_announce(p, auditor, err));
    pv_automsg struct pv_msg end;
    pv_msg_init(&end, PV_AUDIT_DOMAINS_END);
    return pv_channel_send(auditor, &end, err);
}

void pv_domain_acknowledged(struct pv_domain *d)
{
    explicit_bzero(d->k0, sizeof d->k0);
    d->has_k0 = false;
}

int pv_domain_end(struct pv_domain *d, struct pv_channel *auditor, struct pv_err *err)
{
    d->gone = true;
    /* From now on it is an ordinary leftover for the next auditor. */
    if (d->is_auditors) {
        d->is_auditors = false;
        pv_domain_acknowledged(d);
        return 0;
    }
    return pv_channel_is_open(auditor) ? send_gone(d, auditor, err) : 0;
}

int pv_domains_remove(struct pv_domains *d, const struct pv_domain_id *id, struct pv_err *err)
{
    char hex[2 * PV_DOMAIN_ID_BYTES + 1];

    for (struct pv_domain **at = &d->head; *at; at = &(*at)->next) {
        struct pv_domain *domain = *at;

        if (memcmp(domain->id.bytes, id->bytes, sizeof id->bytes) != 0)
            continue;
        if (!domain->gone)
            return pv_refuse(err, EPROTO, "the producer of domain '%s' is alive", domain->name);
        ring_name(id, hex);
        *at = domain->next;
        domain_free(domain);
        if (unlinkat(d->dir, hex, 0) != 0 && errno != ENOENT)
            return pv_fail(err, errno, "remove the ring '%s'", hex);
        return 0;
    }
    return 0;
}
