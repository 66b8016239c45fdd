#include "packages.h"

#include "deploy.h"
#include "function.h"
#include "supervisor.h"

#include "pv/log.h"
#include "pv/role.h"

static void on_done(struct gateway *gw, void *ctx, struct gw_answer *a)
{
    (void)ctx;
    gw->packages_asked = false;
    if (a->rc == EBUSY || a->rc == ETIMEDOUT)
        gw->packages_due = true;
    else if (a->rc)
        pv_log(PV_LOG_ERROR, "remove unused packages: %s", a->error);
}

/* Also those of versions that end: their hosts may still be started. */
static void put_used(struct gateway *gw, struct pv_msg *m, struct pv_buf *used)
{
    const struct gw_version *v;
    LIST_FOREACH(v, &gw->versions, link)
    pv_buf_raw(used, v->spec.package, sizeof v->spec.package);
    pv_buf_bytes(&m->body, used->data, used->len);
}

static int ask(struct gateway *gw, struct pv_err *err)
{
    pv_automsg struct pv_msg m;
    pv_autobuf struct pv_buf used;
    uint64_t tag;
    gw_supervisor_init(gw, &m, PV_SUP_PACKAGES_USED, &tag);
    pv_buf_init(&used, PV_MSG_MAX);
    put_used(gw, &m, &used);
    PV_TRY(pv_buf_check(&used, "list of packages in use", err));
    PV_TRY(pv_buf_check(&m.body, "list of packages in use", err));
    return gw_supervisor_ask(gw, &m, tag, PV_SUP_DONE, on_done, gw, err);
}

void gw_packages_tick(struct gateway *gw)
{
    struct pv_err err = PV_ERR_INIT;
    if (!gw->packages_due || gw->packages_asked || gw->packages_unknown || gw->draining ||
        gw_deploy_importing(gw))
        return;
    int rc = ask(gw, &err);
    gw->packages_asked = rc == 0;
    gw->packages_due = gw_supervisor_busy(rc);
    if (rc < 0 && !gw->packages_due)
        pv_log(PV_LOG_ERROR, "remove unused packages: %s", err.text);
}
