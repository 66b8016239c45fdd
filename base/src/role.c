#include "pv/role.h"

#include <string.h>

void pv_role_start_put(struct pv_msg *m, const struct pv_role_start *s)
{
    pv_buf_raw(&m->body, s->domain.bytes, sizeof s->domain.bytes);
    pv_buf_raw(&m->body, s->k0, sizeof s->k0);
    pv_buf_raw(&m->body, s->measurement, sizeof s->measurement);
    pv_buf_str(&m->body, s->name);
}

static void read_exact(struct pv_reader *r, void *out, size_t len)
{
    const uint8_t *p = pv_read_raw(r, len);
    if (p)
        memcpy(out, p, len);
}

void pv_role_start_get(struct pv_reader *r, struct pv_role_start *s)
{
    memset(s, 0, sizeof *s);
    read_exact(r, s->domain.bytes, sizeof s->domain.bytes);
    read_exact(r, s->k0, sizeof s->k0);
    read_exact(r, s->measurement, sizeof s->measurement);
    pv_read_str(r, s->name, sizeof s->name);
}

int pv_role_wait_start(struct pv_msg *m, struct pv_reader *ret_r, struct pv_role_start *ret,
                       struct pv_err *err)
{
    int rc = pv_msg_recv(PV_ROLE_CONTROL_FD, m, err);
    PV_TRY(rc);
    if (rc == 0 || m->type != PV_ROLE_START)
        return pv_refuse(err, EPROTO, "started without a supervisor: run provostd instead");
    *ret_r = pv_msg_reader(m);
    pv_role_start_get(ret_r, ret);
    if (ret_r->failed)
        return pv_refuse(err, EBADMSG, "the supervisor's start message is malformed");
    return 0;
}
