/* What a new auditor is told about the producers: whichever auditor dies, and whenever, no producer
 * is left whose key nobody has. */
#include "domains.h"
#include "pv/role.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64];
static struct pv_domains domains;

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/pv-domains-XXXXXX");
    assert_non_null(mkdtemp(dir));
    pv_domains_init(&domains, open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    return 0;
}

static int tear_down(void **state)
{
    char command[96];

    (void)state;
    pv_domains_done(&domains);
    close(domains.dir);
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

/* Tells an auditor of everything: the length of the key it gets for the only domain. */
static size_t key_bytes_told(const uint8_t k0[PV_KEY_BYTES])
{
    int pair[2];
    char name[128];
    size_t len = 0;
    struct pv_channel auditor;
    struct pv_err err = PV_ERR_INIT;
    pv_automsg struct pv_msg m = {.type = 0};
    pv_automsg struct pv_msg end = {.type = 0};

    assert_int_equal(pv_msg_pair(pair, &err), 0);
    pv_channel_init(&auditor, pair[0]);
    assert_int_equal(pv_domains_announce_all(&domains, &auditor, &err), 0);
    assert_int_equal(pv_msg_recv(pair[1], &m, &err), 1);
    assert_int_equal(m.type, PV_AUDIT_DOMAIN);
    assert_int_equal(m.n_fds, 1);
    struct pv_reader r = pv_msg_reader(&m);
    (void)pv_read_raw(&r, PV_DOMAIN_ID_BYTES);
    pv_read_str(&r, name, sizeof name);
    const uint8_t *key = pv_read_bytes(&r, PV_KEY_BYTES, &len);
    if (len)
        assert_memory_equal(key, k0, len);
    assert_int_equal(pv_msg_recv(pair[1], &end, &err), 1);
    assert_int_equal(end.type, PV_AUDIT_DOMAINS_END);
    pv_channel_done(&auditor);
    close(pair[1]);
    return len;
}

static void a_key_is_sent_until_it_is_acknowledged(void **state)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_domain *d = NULL;
    uint8_t k0[PV_KEY_BYTES];
    uint8_t zero[PV_KEY_BYTES] = {0};

    (void)state;
    assert_int_equal(pv_domains_add(&domains, "gateway", &d, &err), 0);
    memcpy(k0, d->k0, sizeof k0);
    /* the first auditor dies with the message unread */
    assert_int_equal(key_bytes_told(k0), PV_KEY_BYTES);
    assert_int_equal(key_bytes_told(k0), PV_KEY_BYTES);
    pv_domain_acknowledged(d);
    assert_memory_equal(d->k0, zero, sizeof zero);
    assert_int_equal(key_bytes_told(k0), 0);
}

/* An auditor that comes later is told as well, after it has heard of the domain. */
static void a_seal_is_told_to_every_auditor(void **state)
{
    static const uint16_t told[] = {PV_AUDIT_DOMAIN, PV_AUDIT_SEALED, PV_AUDIT_DOMAINS_END};
    struct pv_err err = PV_ERR_INIT;
    struct pv_domain *d = NULL;
    struct pv_channel none, auditor;
    int pair[2];

    (void)state;
    pv_channel_init(&none, -1);
    assert_int_equal(pv_domains_add(&domains, "host:f@1", &d, &err), 0);
    d->pid = 7;
    assert_int_equal(pv_domain_sealed(d, (uint64_t)-64, &none, &err), 0);
    assert_int_equal(pv_msg_pair(pair, &err), 0);
    pv_channel_init(&auditor, pair[0]);
    assert_int_equal(pv_domains_announce_all(&domains, &auditor, &err), 0);
    for (unsigned i = 0; i < 3; i++) {
        pv_automsg struct pv_msg m = {.type = 0};

        assert_int_equal(pv_msg_recv(pair[1], &m, &err), 1);
        assert_int_equal(m.type, told[i]);
        struct pv_reader r = pv_msg_reader(&m);
        if (m.type != PV_AUDIT_SEALED)
            continue;
        assert_memory_equal(pv_read_raw(&r, PV_DOMAIN_ID_BYTES), d->id.bytes, sizeof d->id.bytes);
        assert_int_equal(pv_read_u64(&r), (uint64_t)-64);
        assert_int_equal(pv_reader_end(&r, "message", &err), 0);
    }
    pv_channel_done(&auditor);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_sent_until_it_is_acknowledged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_seal_is_told_to_every_auditor, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
