/* The supervisor's table of requests, as a role that was taken over would use it: the first bytes
 * choose the sender, the phase and the message's type, the rest is its body. Where a handler would
 * reach processes or files it finds an empty state, so only its reading and refusing run. */
#include "requests.h"
#include "roles.h"

#include "pv/log.h"
#include "pv/ratchet.h"
#include "pv/role.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pv_supervisor s;
static struct pv_role host;

static void begin(enum pv_phase phase)
{
    static bool ready;
    struct pv_err err = PV_ERR_INIT;
    if (!ready) {
        pv_state_init(&s.state);
        pv_log_init("fuzz", PV_LOG_ERROR);
        ready = pv_crypto_init(&err) == 0;
        assert(ready);
    }
    static const char *const names[] = {"auditor", "stitcher", "gateway"};
    for (unsigned i = 0; i < PV_SINGLE_ROLES; i++)
        pv_role_init(&s.roles[i], (enum pv_role_kind)i, names[i], 1);
    pv_role_init(&host, PV_ROLE_HOST, "host:f@1", 1);
    pv_domains_init(&s.domains, -1);
    s.phase = phase;
}

/* An import forks; its path was read before that. */
static bool would_fork(uint16_t type)
{
    return type == PV_SUP_IMPORT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    struct pv_err err = PV_ERR_INIT;
    pv_automsg struct pv_msg m;
    unsigned kind = data[0] % (PV_ROLE_HOST + 1);
    uint16_t type = data[2];
    begin((enum pv_phase)(data[1] % (PV_PH_DONE + 1)));
    struct pv_role *from = kind == PV_ROLE_HOST ? &host : &s.roles[kind];
    pv_msg_init(&m, type);
    pv_buf_raw(&m.body, data + 3, size - 3);
    if (m.body.failed || (would_fork(type) && kind == PV_ROLE_GATEWAY))
        return 0;
    int rc = pv_request_handle(&s, from, &m, &err);
    assert(rc <= 0 && (rc == 0 || err.text[0]));
    assert(!s.hosts && !s.imports);
    /* What only the gateway may ask, nobody else is answered. */
    if (type >= PV_SUP_IMPORT && type <= PV_SUP_SECRET_LIST && kind != PV_ROLE_GATEWAY)
        assert(rc == -EPROTO);
    return 0;
}
