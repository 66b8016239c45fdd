#include "pv/msg.h"
#include "pv/own.h"
#include "pv/role.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cmocka.h>

static int open_descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

struct pair {
    int fds[2];
    int before;
};

static int make_pair(void **state)
{
    static struct pair p;
    struct pv_err err = PV_ERR_INIT;
    p.before = open_descriptors();
    assert_int_equal(pv_msg_pair(p.fds, &err), 0);
    *state = &p;
    return 0;
}

static int close_pair(void **state)
{
    struct pair *p = *state;
    close(p->fds[0]);
    if (p->fds[1] >= 0)
        close(p->fds[1]);
    assert_int_equal(open_descriptors(), p->before);
    return 0;
}

static void carries_fields_and_descriptors(void **state)
{
    struct pair *p = *state;
    struct pv_err err = PV_ERR_INIT;
    pv_automsg struct pv_msg m, got;
    pv_msg_init(&m, 7);
    pv_buf_str(&m.body, "hello");
    pv_msg_put_fd(&m, dup(0));
    assert_int_equal(pv_msg_send(p->fds[0], &m, &err), 0);
    assert_int_equal(pv_msg_recv(p->fds[1], &got, &err), 1);
    assert_int_equal(got.type, 7);
    assert_int_equal(got.n_fds, 1);
    struct pv_reader r = pv_msg_reader(&got);
    char text[8];
    pv_read_str(&r, text, sizeof text);
    assert_string_equal(text, "hello");
    assert_int_equal(pv_reader_end(&r, "m", &err), 0);
}

static void payloads_of_every_size_arrive(void **state)
{
    struct pair *p = *state;
    struct pv_err err = PV_ERR_INIT;
    static const size_t sizes[] = {0, 1, PV_MSG_INLINE_MAX, PV_MSG_INLINE_MAX + 1, 3 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        pv_automsg struct pv_msg m, got;
        pv_autofree uint8_t *data = malloc(sizes[i] + 1);
        assert_non_null(data);
        memset(data, (int)i + 1, sizes[i] + 1);
        pv_msg_init(&m, 1);
        assert_int_equal(pv_msg_put_payload(&m, data, sizes[i], &err), 0);
        assert_int_equal(pv_msg_send(p->fds[0], &m, &err), 0);
        assert_int_equal(pv_msg_recv(p->fds[1], &got, &err), 1);
        struct pv_reader r = pv_msg_reader(&got);
        struct pv_payload payload;
        unsigned fd_index = 0;
        assert_int_equal(pv_msg_get_payload(&got, &r, &fd_index, 4 << 20, &payload, &err), 0);
        assert_int_equal(payload.len, sizes[i]);
        if (payload.len)
            assert_memory_equal(payload.data, data, payload.len);
        assert_int_equal(pv_reader_end(&r, "m", &err), 0);
        pv_payload_done(&payload);
    }
}

static void payload_over_the_limit_is_refused(void **state)
{
    struct pair *p = *state;
    struct pv_err err = PV_ERR_INIT;
    pv_automsg struct pv_msg m, got;
    pv_msg_init(&m, 1);
    assert_int_equal(pv_msg_put_payload(&m, "12345", 5, &err), 0);
    assert_int_equal(pv_msg_send(p->fds[0], &m, &err), 0);
    assert_int_equal(pv_msg_recv(p->fds[1], &got, &err), 1);
    struct pv_reader r = pv_msg_reader(&got);
    struct pv_payload payload;
    unsigned fd_index = 0;
    assert_int_equal(pv_msg_get_payload(&got, &r, &fd_index, 4, &payload, &err), -EBADMSG);
}

static void unsealed_payload_is_refused(void **state)
{
    struct pair *p = *state;
    struct pv_err err = PV_ERR_INIT;
    pv_automsg struct pv_msg m, got;
    int fd = memfd_create("t", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, PV_MSG_INLINE_MAX + 1), 0);
    pv_msg_init(&m, 1);
    pv_buf_u8(&m.body, 0);
    pv_buf_u64(&m.body, PV_MSG_INLINE_MAX + 1);
    pv_msg_put_fd(&m, fd);
    assert_int_equal(pv_msg_send(p->fds[0], &m, &err), 0);
    assert_int_equal(pv_msg_recv(p->fds[1], &got, &err), 1);
    struct pv_reader r = pv_msg_reader(&got);
    struct pv_payload payload;
    unsigned fd_index = 0;
    assert_int_equal(pv_msg_get_payload(&got, &r, &fd_index, 1 << 20, &payload, &err), -EBADMSG);
}

static void raw_rubbish_is_refused(void **state)
{
    struct pair *p = *state;
    struct pv_err err = PV_ERR_INIT;
    pv_automsg struct pv_msg got;
    assert_int_equal(send(p->fds[0], "x", 1, 0), 1);
    assert_int_equal(pv_msg_recv(p->fds[1], &got, &err), -EBADMSG);
}

static void closed_peer_reads_as_zero(void **state)
{
    struct pair *p = *state;
    struct pv_err err = PV_ERR_INIT;
    pv_automsg struct pv_msg got, m;
    int keep = p->fds[1];
    close(p->fds[0]);
    assert_int_equal(pv_msg_recv(keep, &got, &err), 0);
    pv_msg_init(&m, 1);
    assert_int_equal(pv_msg_send(keep, &m, &err), -EPIPE);
    p->fds[0] = PV_TAKE_FD(p->fds[1]);
}

static void role_start_survives_the_way(void **state)
{
    (void)state;
    struct pv_role_start in = {.name = "host:echo@1"}, out;
    pv_automsg struct pv_msg m;
    memset(in.k0, 3, sizeof in.k0);
    in.domain = pv_domain_id_new();
    pv_msg_init(&m, PV_ROLE_START);
    pv_role_start_put(&m, &in);
    struct pv_reader r = pv_msg_reader(&m);
    pv_role_start_get(&r, &out);
    assert_false(r.failed);
    assert_memory_equal(&in, &out, sizeof in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(carries_fields_and_descriptors, make_pair, close_pair),
        cmocka_unit_test_setup_teardown(payloads_of_every_size_arrive, make_pair, close_pair),
        cmocka_unit_test_setup_teardown(payload_over_the_limit_is_refused, make_pair, close_pair),
        cmocka_unit_test_setup_teardown(unsealed_payload_is_refused, make_pair, close_pair),
        cmocka_unit_test_setup_teardown(raw_rubbish_is_refused, make_pair, close_pair),
        cmocka_unit_test_setup_teardown(closed_peer_reads_as_zero, make_pair, close_pair),
        cmocka_unit_test(role_start_survives_the_way),
    };
    return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
