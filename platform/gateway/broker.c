#include "broker.h"

#include "call.h"
#include "conn.h"
#include "proxy.h"
#include "record.h"

#include "pv/log.h"
#include "pv/own.h"

#include <fcntl.h>
#include <string.h>

/* What a host says about a connection. */
struct brokered {
    struct pv_call_id id;
    uint64_t connection;
    unsigned broker;
    unsigned source_port;
};

static int read_connection(struct pv_reader *r, struct brokered *ret, struct pv_err *err)
{
    const uint8_t *id = pv_read_raw(r, sizeof ret->id.bytes);
    if (id)
        memcpy(ret->id.bytes, id, sizeof ret->id.bytes);
    ret->connection = pv_read_u64(r);
    ret->broker = pv_read_u8(r);
    ret->source_port = pv_read_u16(r);
    return pv_reader_end(r, "a connection from an enclave host", err);
}

static const char *objection(const struct gw_version *v, const struct gw_call *call)
{
    if (!call || call->version != v || call->state != GW_C_RUNNING)
        return "its invocation has ended";
    if (call->n_brokered >= PV_BROKERED_MAX)
        return "the invocation opened too many connections";
    if (v->gw->n_conns >= v->gw->conns_max)
        return "the gateway has too many connections";
    return NULL;
}

void gw_broker_connection(struct gw_version *v, struct pv_msg *m, struct pv_reader *r)
{
    struct gateway *gw = v->gw;
    struct brokered b;
    struct pv_err err = PV_ERR_INIT;
    pv_autoclose int fd = pv_msg_take_fd(m, 0);
    if (read_connection(r, &b, &err) < 0 || fd < 0) {
        pv_log(PV_LOG_ERROR, "host of %s: %s", v->spec.name, err.text);
        return;
    }
    struct gw_call *call = gw_call_find(gw, &b.id);
    const char *why = objection(v, call);
    if (why) {
        gw_record_denied(gw, &b.id, "connection", v->spec.name, why);
        return;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return;
    char remote[32];
    snprintf(remote, sizeof remote, "127.0.0.1:%u", b.source_port);
    if (b.broker == PV_BROKER_GATEWAY)
        gw_conn_open(gw, PV_TAKE_FD(fd), remote, call, b.connection);
    else if (b.broker == PV_BROKER_PROXY)
        gw_proxy_open(gw, PV_TAKE_FD(fd), call, b.connection);
}
