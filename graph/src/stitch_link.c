/* Joins the two accounts. Their events arrive in any order, so each join is tried from both sides
 * and done when the second side is there. Joins follow real time (a payload was written before its
 * event, an answer read after it), so they keep the graph acyclic. */
#include "stitch_core.h"

/* One of an instance's three pipes with the payload it carries. */
static int link_one(struct pv_stitch *s, struct pv_s_group *g, struct pv_s_inv *inv, unsigned fd,
                    struct pv_err *err)
{
    union pv_s_value *alias = NULL, *pipe = NULL;
    uint64_t bit = 1ull << fd;
    if ((g->linked & bit) || !g->ino[fd])
        return 0;
    PV_TRY(pv_state_find(s->state, PV_S_ALIAS_PIPE, g->id, g->ino[fd], 0, &alias, err));
    if (!alias)
        return 0;
    PV_TRY(pv_state_find(s->state, PV_S_PRIVATE, alias->alias.id, g->id, g->ino[fd], &pipe, err));
    if (!pipe)
        return 0;
    g->linked |= bit;
    pipe->versions.role = fd + 1;
    pv_state_touch(s->state, pipe);
    if (fd == 0) {
        PV_TRY(pv_stitch_request_entity(s, inv, err));
        return pv_stitch_edge(s, alias->alias.id2, inv->request, PV_R_DERIVED, s->seq, err);
    }
    if (fd == 1) {
        PV_TRY(pv_stitch_response_entity(s, inv, err));
        return pv_stitch_edge(s, inv->response, pipe->versions.node, PV_R_DERIVED, s->seq, err);
    }
    if (!inv->log) {
        struct pv_s_versions log;
        const struct pv_new_object o = {.type = PV_N_LOG, .inv = inv->id, .name = inv->function};
        PV_TRY(pv_stitch_object(s, &o, &log, err));
        inv->log = log.obj;
    }
    return pv_stitch_edge(s, inv->log, pipe->versions.node, PV_R_DERIVED, s->seq, err);
}

int pv_stitch_link_stdio(struct pv_stitch *s, union pv_s_value *grp, struct pv_err *err)
{
    struct pv_s_inv *inv = NULL;
    PV_TRY(pv_invs_by_id(s->invs, grp->group.inv, &inv, err));
    if (!inv)
        return 0;
    pv_state_touch(s->state, grp);
    for (unsigned fd = 0; fd < 3; fd++)
        PV_TRY(link_one(s, &grp->group, inv, fd, err));
    return 0;
}

int pv_stitch_link_pipe(struct pv_stitch *s, uint64_t grp, uint64_t ino, uint64_t object,
                        struct pv_err *err)
{
    union pv_s_value *alias = NULL, *pipe = NULL, *group = NULL;
    PV_TRY(pv_state_find(s->state, PV_S_PRIVATE, object, grp, ino, &pipe, err));
    PV_TRY(pv_state_get(s->state, PV_S_ALIAS_PIPE, grp, ino, 0, &alias, NULL, err));
    alias->alias.id = object;
    alias->alias.id2 = pipe ? pipe->versions.node : 0;
    pv_state_touch(s->state, alias);
    PV_TRY(pv_stitch_group_by_id(s, grp, &group, err));
    return group ? pv_stitch_link_stdio(s, group, err) : 0;
}

static int exchange(struct pv_stitch *s, uint64_t inv, uint64_t conn, uint64_t index,
                    struct pv_s_exchange **ret, struct pv_err *err)
{
    union pv_s_value *x = NULL;
    PV_TRY(pv_state_find(s->state, PV_S_EXCHANGE, inv, conn, index, &x, err));
    *ret = x ? &x->exchange : NULL;
    return 0;
}

/* Until when written bytes can belong to an exchange: a call's body was complete at its event; what
 * an egress sends goes on until its end. */
static uint64_t sent_until(const struct pv_s_exchange *x)
{
    if (!x->is_egress)
        return x->sent_ns;
    return x->end_ns ? x->end_ns : UINT64_MAX;
}

static int link_written(struct pv_stitch *s, uint64_t inv, uint64_t conn, uint64_t n,
                        uint64_t ver_node, uint64_t time_ns, struct pv_err *err)
{
    struct pv_s_exchange *x = NULL, *owner = NULL;
    /* The oldest exchange that was not complete before the write: it is near the end. */
    for (uint64_t i = n; i > 0; i--) {
        PV_TRY(exchange(s, inv, conn, i - 1, &x, err));
        if (!x || sent_until(x) < time_ns)
            break;
        owner = x;
    }
    if (!owner)
        return 0;
    return pv_stitch_edge(s, owner->sent_node, ver_node, PV_R_DERIVED, s->seq, err);
}

static int link_read(struct pv_stitch *s, uint64_t inv, uint64_t conn, uint64_t n,
                     uint64_t ver_node, uint64_t time_ns, struct pv_err *err)
{
    struct pv_s_exchange *x = NULL;
    for (uint64_t i = n; i > 0; i--) {
        PV_TRY(exchange(s, inv, conn, i - 1, &x, err));
        if (x && x->sent_ns <= time_ns)
            return pv_stitch_edge(s, ver_node, x->received_node, PV_R_DERIVED, s->seq, err);
    }
    return 0;
}

int pv_stitch_link_io(struct pv_stitch *s, const struct pv_s_sock *sock, bool received,
                      uint64_t ver_node, uint64_t time_ns, struct pv_err *err)
{
    union pv_s_value *conn = NULL;
    if (!sock->conn_inv)
        return 0;
    PV_TRY(pv_state_find(s->state, PV_S_CONN, sock->conn_inv, sock->conn, 0, &conn, err));
    if (!conn)
        return 0;
    if (received)
        return link_read(s, sock->conn_inv, sock->conn, conn->conn.n, ver_node, time_ns, err);
    return link_written(s, sock->conn_inv, sock->conn, conn->conn.n, ver_node, time_ns, err);
}

/* All versions of one direction that came before their exchange's event, newest first. */
static int link_versions(struct pv_stitch *s, uint64_t inv, uint64_t conn, uint64_t index, int dir,
                         struct pv_err *err)
{
    union pv_s_value *c = NULL, *sock = NULL, *ver = NULL;
    struct pv_s_exchange *x = NULL, *before = NULL;
    PV_TRY(pv_state_find(s->state, PV_S_CONN, inv, conn, 0, &c, err));
    if (!c || !c->conn.object)
        return 0;
    PV_TRY(pv_state_find(s->state, PV_S_SOCK, c->conn.object, c->conn.grp, 0, &sock, err));
    PV_TRY(exchange(s, inv, conn, index, &x, err));
    if (!sock || !x)
        return 0;
    if (index > 0)
        PV_TRY(exchange(s, inv, conn, index - 1, &before, err));
    uint64_t since = before ? sent_until(before) : 0;
    if (since == UINT64_MAX)
        since = before->sent_ns;
    for (uint64_t i = dir == PV_SOCK_IN ? sock->sock.n_in : sock->sock.n_out; i > 0; i--) {
        PV_TRY(pv_state_find(s->state, PV_S_SOCKVER, c->conn.object, c->conn.grp,
                             pv_sockver_key(dir, i - 1), &ver, err));
        if (!ver || ver->sockver.last_ns < (dir == PV_SOCK_IN ? x->sent_ns : since))
            break;
        uint64_t node = ver->sockver.node;
        if (dir == PV_SOCK_IN)
            PV_TRY(pv_stitch_edge(s, node, x->received_node, PV_R_DERIVED, s->seq, err));
        else if (ver->sockver.first_ns <= sent_until(x))
            PV_TRY(pv_stitch_edge(s, x->sent_node, node, PV_R_DERIVED, s->seq, err));
    }
    return 0;
}

int pv_stitch_link_exchange(struct pv_stitch *s, uint64_t inv, uint64_t conn, uint64_t index,
                            struct pv_err *err)
{
    PV_TRY(link_versions(s, inv, conn, index, PV_SOCK_OUT, err));
    return link_versions(s, inv, conn, index, PV_SOCK_IN, err);
}

/* Connection and socket are both known: tie them and catch up with what was exchanged. */
static int tie(struct pv_stitch *s, uint64_t inv, uint64_t conn, uint64_t grp, uint64_t object,
               struct pv_err *err)
{
    union pv_s_value *sock = NULL, *c = NULL;
    PV_TRY(pv_state_find(s->state, PV_S_SOCK, object, grp, 0, &sock, err));
    PV_TRY(pv_state_get(s->state, PV_S_CONN, inv, conn, 0, &c, NULL, err));
    if (!sock || (sock->sock.conn_inv == inv && sock->sock.conn == conn))
        return 0;
    sock->sock.conn_inv = inv;
    sock->sock.conn = conn;
    c->conn.object = object;
    pv_state_touch(s->state, sock);
    pv_state_touch(s->state, c);
    for (uint64_t i = 0; i < c->conn.n; i++)
        PV_TRY(pv_stitch_link_exchange(s, inv, conn, i, err));
    return 0;
}

int pv_stitch_link_port(struct pv_stitch *s, uint64_t grp, uint64_t port, uint64_t object,
                        struct pv_err *err)
{
    union pv_s_value *alias = NULL, *conn = NULL;
    PV_TRY(pv_state_get(s->state, PV_S_ALIAS_PORT, grp, port, 0, &alias, NULL, err));
    if (alias->alias.id == object + 1)
        return 0;
    alias->alias.id = object + 1;
    pv_state_touch(s->state, alias);
    PV_TRY(pv_state_find(s->state, PV_S_ALIAS_CONN, grp, port, 0, &conn, err));
    return conn ? tie(s, conn->alias.id, conn->alias.id2, grp, object, err) : 0;
}

int pv_stitch_link_connection(struct pv_stitch *s, uint64_t inv, uint64_t conn, uint64_t grp,
                              uint64_t port, struct pv_err *err)
{
    union pv_s_value *alias = NULL, *c = NULL, *socket = NULL;
    PV_TRY(pv_state_get(s->state, PV_S_CONN, inv, conn, 0, &c, NULL, err));
    c->conn.grp = grp;
    c->conn.port = port;
    pv_state_touch(s->state, c);
    PV_TRY(pv_state_get(s->state, PV_S_ALIAS_CONN, grp, port, 0, &alias, NULL, err));
    alias->alias.id = inv;
    alias->alias.id2 = conn;
    pv_state_touch(s->state, alias);
    PV_TRY(pv_state_find(s->state, PV_S_ALIAS_PORT, grp, port, 0, &socket, err));
    return socket ? tie(s, inv, conn, grp, socket->alias.id - 1, err) : 0;
}
