#include "requests.h"

#include "hosts.h"
#include "imports.h"
#include "pv/io.h"
#include "pv/log.h"
#include "pv/ratchet.h"
#include "pv/role.h"
#include "roles.h"
#include "secrets.h"
#include "unused.h"

#include <string.h>

enum { SECRET_EVENT_RESERVE = 64 << 10, READY_TEXT_MAX = 1024 };

static int role_ready(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                      struct pv_err *err)
{
    char text[READY_TEXT_MAX];

    (void)s;
    pv_read_str(r, text, sizeof text);
    PV_TRY(pv_reader_end(r, "ready message", err));
    from->ready = true;
    pv_log(PV_LOG_INFO, "%s is ready: %s", from->name, text);
    return 0;
}

static int read_domain(struct pv_reader *r, struct pv_domain_id *ret, struct pv_err *err)
{
    const uint8_t *p = pv_read_raw(r, sizeof ret->bytes);

    PV_TRY(pv_reader_end(r, "domain message", err));
    memcpy(ret->bytes, p, sizeof ret->bytes);
    return 0;
}

static int domain_done(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                       struct pv_err *err)
{
    struct pv_domain_id id;

    (void)from;
    PV_TRY(read_domain(r, &id, err));
    return pv_domains_remove(&s->domains, &id, err);
}

static int tracing(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                   struct pv_err *err)
{
    struct pv_domain_id id;
    struct pv_host *h;
    pv_automsg struct pv_msg m;

    (void)from;
    pv_msg_init(&m, PV_AUDIT_TRACING);
    PV_TRY(read_domain(r, &id, err));
    struct pv_domain *domain = pv_domains_find(&s->domains, &id);
    if (domain)
        pv_domain_acknowledged(domain);
    h = pv_host_of_domain(s, &id);
    if (!h || h->role.pid == 0) /* it has ended meanwhile, or is no host */
        return 0;
    pv_buf_raw(&m.body, id.bytes, sizeof id.bytes);
    pv_role_send(&h->role, &m);
    return 0;
}

static int watched(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                   struct pv_err *err)
{
    struct pv_domain_id id;
    struct pv_host *h;
    pv_automsg struct pv_msg m;

    (void)from;
    pv_msg_init(&m, PV_AUDIT_WATCHED);
    PV_TRY(read_domain(r, &id, err));
    h = pv_host_of_domain(s, &id);
    if (!h || h->role.pid == 0) /* it has ended meanwhile */
        return 0;
    pv_buf_raw(&m.body, id.bytes, sizeof id.bytes);
    pv_role_send(&h->role, &m);
    return 0;
}

static int host_sealed(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                       struct pv_err *err)
{
    uint64_t claim = pv_read_u64(r);

    PV_TRY(pv_reader_end(r, "message of a sealed host", err));
    if (!from->domain || from->domain->sealed)
        return pv_refuse(err, EPROTO, "it has no domain, or was sealed before");
    return pv_domain_sealed(from->domain, claim, pv_auditor_channel(s), err);
}

/* Only a host of micro-VMs that may be one of processes as well. */
static int host_unfit(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                      struct pv_err *err)
{
    char why[PV_UNFIT_MAX];
    struct pv_host *h = from->domain ? pv_host_of_domain(s, &from->domain->id) : NULL;

    pv_read_str(r, why, sizeof why);
    PV_TRY(pv_reader_end(r, "message of a host that makes way", err));
    if (!h || h->spec.class != PV_CLASS_AUTO || !pv_host_wants_microvm(h) || h->leaving ||
        !why[0] || from->domain->sealed)
        return pv_refuse(err, EPROTO, "it is no host that could make way");
    pv_host_unfit(h, why);
    return 0;
}

/* Only asked for while stopping; from now on its ring can be drained to the end. */
static int stitcher_silent(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                           struct pv_err *err)
{
    struct pv_domain *domain = from->domain;

    PV_TRY(pv_reader_end(r, "message of the stitcher", err));
    if (s->phase < PV_PH_SILENCE_STITCHER || !domain)
        return pv_refuse(err, EPROTO, "it was not asked to be silent");
    from->domain = NULL;
    from->kill_at_ns = 0;
    return pv_domain_end(domain, pv_auditor_channel(s), err);
}

static int import(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                  struct pv_err *err)
{
    uint64_t tag = pv_read_u64(r);
    char path[PV_PATH_MAX];

    (void)from;
    pv_read_str(r, path, sizeof path);
    PV_TRY(pv_reader_end(r, "import request", err));
    pv_import_start(s, tag, path);
    return 0;
}

static int keep_packages(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                         struct pv_err *err)
{
    uint64_t tag = pv_read_u64(r);
    struct pv_err refused = PV_ERR_INIT;
    size_t len = 0;
    const uint8_t *used = pv_read_bytes(r, PV_MSG_MAX, &len);
    int rc;

    (void)from;
    PV_TRY(pv_reader_end(r, "list of packages in use", err));
    if (len % PV_HASH_BYTES != 0)
        return pv_refuse(err, EBADMSG, "list of packages in use: a part of a measurement");
    rc = pv_unused_remove(s, used, len / PV_HASH_BYTES, &refused);
    pv_gateway_done(s, tag, rc, refused.text);
    return 0;
}

static int host_start(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                      struct pv_err *err)
{
    uint64_t tag = pv_read_u64(r);
    size_t len = 0;
    const uint8_t *spec = pv_read_bytes(r, PV_SPEC_MAX, &len);

    (void)from;
    PV_TRY(pv_reader_end(r, "host start request", err));
    pv_host_start(s, tag, spec, len);
    return 0;
}

static int host_stop(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                     struct pv_err *err)
{
    uint64_t tag = pv_read_u64(r);
    char name[PV_NAME_MAX + 1];
    uint64_t version;

    (void)from;
    pv_read_str(r, name, sizeof name);
    version = pv_read_u64(r);
    PV_TRY(pv_reader_end(r, "host stop request", err));
    pv_host_stop(s, tag, name, version);
    return 0;
}

/* The event goes first: a change that cannot be recorded is not made. */
static int record_secret(struct pv_supervisor *s, const char *name, const char *action,
                         const void *p, size_t len, struct pv_err *err)
{
    struct pv_event e;
    uint8_t hash[PV_HASH_BYTES];

    if (!pv_name_ok(name))
        return 0; /* the change itself refuses it, with the reason */
    if (!s->producer || pv_producer_space(s->producer) < SECRET_EVENT_RESERVE)
        return pv_refuse(err, EAGAIN, "the audit ring is full: try again later");
    pv_sha256(p, len, hash);
    pv_event_init(&e, PV_K_SECRET_CHANGE, NULL);
    pv_event_text(&e, name);
    pv_event_text(&e, action);
    pv_event_bytes(&e, hash, sizeof hash);
    if (pv_supervisor_emit(s, &e) < 0)
        return pv_refuse(err, EAGAIN, "the change of secret '%s' could not be recorded", name);
    return 0;
}

static int secret_put(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                      struct pv_err *err)
{
    uint64_t tag = pv_read_u64(r);
    struct pv_err refused = PV_ERR_INIT;
    char name[PV_NAME_MAX + 1];
    const uint8_t *content;
    bool replaced;
    size_t len = 0;
    int rc;

    (void)from;
    pv_read_str(r, name, sizeof name);
    content = pv_read_bytes(r, PV_SECRET_MAX, &len);
    PV_TRY(pv_reader_end(r, "secret request", err));
    replaced = pv_secret_find(s->state.secrets, name, NULL) == 0;
    rc = record_secret(s, name, "put", content, len, &refused);
    if (rc == 0)
        rc = pv_wrap_full(&refused, pv_secret_put(s->state.secrets, name, content, len, &refused),
                          s->state.path);
    pv_gateway_done(s, tag, rc, rc == 0 && replaced ? PV_SECRET_REPLACED : refused.text);
    return 0;
}

static int secret_delete(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                         struct pv_err *err)
{
    uint64_t tag = pv_read_u64(r);
    struct pv_err refused = PV_ERR_INIT;
    char name[PV_NAME_MAX + 1];
    int rc;

    (void)from;
    pv_read_str(r, name, sizeof name);
    PV_TRY(pv_reader_end(r, "secret request", err));
    /* what is not there cannot change */
    rc = pv_secret_find(s->state.secrets, name, &refused);
    if (rc == 0)
        rc = record_secret(s, name, "delete", "", 0, &refused);
    if (rc == 0)
        rc = pv_secret_delete(s->state.secrets, name, &refused);
    pv_gateway_done(s, tag, rc, refused.text);
    return 0;
}

static int secret_list(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                       struct pv_err *err)
{
    uint64_t tag = pv_read_u64(r);
    struct pv_err failed = PV_ERR_INIT;
    pv_automsg struct pv_msg m;

    pv_msg_init(&m, PV_SUP_SECRETS);
    PV_TRY(pv_reader_end(r, "secret request", err));
    pv_buf_u64(&m.body, tag);
    if (pv_secret_list(s->state.secrets, &m.body, &failed) < 0)
        pv_gateway_done(s, tag, failed.code, failed.text);
    else
        pv_role_send(from, &m);
    return 0;
}

#define FROM(kind) (1u << (kind))
#define FROM_ANY (FROM(PV_ROLE_HOST + 1) - 1)

static const struct {
    enum pv_role_msg type;
    int (*handle)(struct pv_supervisor *s, struct pv_role *from, struct pv_reader *r,
                  struct pv_err *err);
    unsigned from;       /* which roles may send it */
    enum pv_phase until; /* the last phase in which it is allowed */
    bool once;           /* once in a role's life */
} table[] = {
    {PV_ROLE_READY, role_ready, FROM_ANY, PV_PH_DONE, true},
    {PV_AUDIT_DOMAIN_DONE, domain_done, FROM(PV_ROLE_AUDITOR), PV_PH_DONE, false},
    {PV_AUDIT_TRACING, tracing, FROM(PV_ROLE_AUDITOR), PV_PH_DONE, false},
    {PV_AUDIT_WATCHED, watched, FROM(PV_ROLE_AUDITOR), PV_PH_DONE, false},
    {PV_HOST_SEALED, host_sealed, FROM(PV_ROLE_HOST), PV_PH_DONE, false},
    {PV_HOST_UNFIT, host_unfit, FROM(PV_ROLE_HOST), PV_PH_DONE, false},
    {PV_STITCHER_SILENT, stitcher_silent, FROM(PV_ROLE_STITCHER), PV_PH_DONE, false},
    {PV_SUP_IMPORT, import, FROM(PV_ROLE_GATEWAY), PV_PH_STOP_GATEWAY, false},
    {PV_SUP_PACKAGES_USED, keep_packages, FROM(PV_ROLE_GATEWAY), PV_PH_RUNNING, false},
    {PV_SUP_HOST_START, host_start, FROM(PV_ROLE_GATEWAY), PV_PH_STOP_GATEWAY, false},
    {PV_SUP_HOST_STOP, host_stop, FROM(PV_ROLE_GATEWAY), PV_PH_STOP_GATEWAY, false},
    {PV_SUP_SECRET_PUT, secret_put, FROM(PV_ROLE_GATEWAY), PV_PH_STOP_GATEWAY, false},
    {PV_SUP_SECRET_DELETE, secret_delete, FROM(PV_ROLE_GATEWAY), PV_PH_STOP_GATEWAY, false},
    {PV_SUP_SECRET_LIST, secret_list, FROM(PV_ROLE_GATEWAY), PV_PH_STOP_GATEWAY, false},
};

int pv_request_handle(struct pv_supervisor *s, struct pv_role *from, struct pv_msg *m,
                      struct pv_err *err)
{
    struct pv_reader r = pv_msg_reader(m);

    for (unsigned i = 0; i < sizeof table / sizeof table[0]; i++) {
        if ((unsigned)table[i].type != m->type || !(table[i].from & FROM(from->kind)))
            continue;
        if (s->phase > table[i].until || (table[i].once && from->ready))
            break;
        if (m->n_fds > 0)
            return pv_refuse(err, EPROTO, "message %u carries descriptors", m->type);
        return table[i].handle(s, from, &r, err);
    }
    return pv_refuse(err, EPROTO, "message %u is not for it to send now", m->type);
}
