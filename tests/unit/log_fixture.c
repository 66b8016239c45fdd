#include "log_fixture.h"

#include "pv/io.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

void fixture_init(struct log_fixture *f)
{
    memset(f, 0, sizeof *f);
    /* in memory: these tests are about what is written, not about a disk */
    snprintf(f->dir, sizeof f->dir, "/dev/shm/pv-log-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(mkdirat(f->dir_fd, "log", 0700), 0);
    assert_int_equal(mkdirat(f->dir_fd, "keys", 0700), 0);
    f->log_fd = openat(f->dir_fd, "log", O_RDONLY | O_DIRECTORY);
    f->key_fd = openat(f->dir_fd, "keys", O_RDONLY | O_DIRECTORY);
    struct pv_err err = PV_ERR_INIT;
    assert_int_equal(pv_crypto_init(&err), 0);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t k0[32] = {(uint8_t)(i + 1)};
        f->domain[i].id = pv_domain_id_new();
        pv_ratchet_init(&f->domain[i].ratchet, k0);
    }
}

void fixture_done(struct log_fixture *f)
{
    char command[80];
    pv_log_free(f->log);
    close(f->log_fd);
    close(f->key_fd);
    close(f->dir_fd);
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
}

void fixture_open(struct log_fixture *f)
{
    struct pv_log_recovery found;
    struct pv_err err = PV_ERR_INIT;
    int rc = pv_log_open(&f->log, f->log_fd, f->key_fd, NULL, NULL, &found, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
}

void fixture_close(struct log_fixture *f)
{
    pv_log_free(f->log);
    f->log = NULL;
}

void fixture_put(struct log_fixture *f, unsigned i, struct pv_event *e, uint8_t tag_flip)
{
    struct pv_err err = PV_ERR_INIT;
    uint8_t tag[32];
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, PV_EVENT_MAX);
    e->domain = f->domain[i].id;
    e->epoch = f->domain[i].ratchet.epoch;
    e->dseq = f->domain[i].dseq++;
    assert_int_equal(pv_event_encode(e, &b, &err), 0);
    pv_ratchet_tag(&f->domain[i].ratchet, b.data, b.len, tag);
    tag[9] ^= tag_flip;
    if (!pv_log_has_room(f->log))
        assert_int_equal(pv_log_write(f->log, &err), 0);
    assert_int_equal(pv_log_append(f->log, b.data, b.len, tag, &err), 0);
}

static void append_one(struct log_fixture *f, unsigned i)
{
    struct pv_event e;
    uint8_t commitment[32], measurement[32] = {3};
    if (f->domain[i].dseq == 0) {
        pv_ratchet_commitment(&f->domain[i].ratchet, commitment);
        pv_event_init(&e, PV_K_DOMAIN_OPEN, NULL);
        pv_event_text(&e, "test");
        pv_event_bytes(&e, commitment, 32);
        pv_event_u64(&e, 1);
        pv_event_bytes(&e, measurement, 32);
    } else {
        pv_event_init(&e, PV_K_LIMIT, NULL);
        pv_event_u64(&e, i);
        pv_event_text(&e, "memory");
        pv_event_u64(&e, f->domain[i].dseq);
    }
    fixture_put(f, i, &e, 0);
}

void fixture_append(struct log_fixture *f, unsigned n)
{
    for (unsigned k = 0; k < n; k++)
        append_one(f, (unsigned)(pv_log_size(f->log) % 2));
}

void fixture_commit(struct log_fixture *f)
{
    struct pv_err err = PV_ERR_INIT;
    assert_int_equal(pv_log_commit(f->log, &err), 0);
    assert_int_equal(pv_log_publish(f->log, true, &err), 0);
}

void fixture_settle(struct log_fixture *f)
{
    struct pv_err err = PV_ERR_INIT;
    uint64_t first = 0, last = 0;
    for (unsigned i = 0; i < 10000; i++) {
        assert_int_equal(pv_log_publish(f->log, true, &err), 0);
        assert_int_equal(pv_log_journal(f->log_fd, &first, &last, &err), 0);
        if (last - first <= 1)
            return;
        usleep(1000);
    }
    fail_msg("the journal still has segments %ju to %ju", (uintmax_t)first, (uintmax_t)last);
}

void fixture_read(const struct log_fixture *f, const char *name, struct pv_buf *ret)
{
    struct pv_err err = PV_ERR_INIT;
    pv_buf_init(ret, 1 << 24);
    char *slash = strrchr(name, '/');
    int dir = slash ? openat(f->log_fd, "journal", O_RDONLY | O_DIRECTORY) : dup(f->log_fd);
    assert_int_equal(pv_read_file_at(dir, slash ? slash + 1 : name, ret, &err), 0);
    close(dir);
}

void fixture_write(const struct log_fixture *f, const char *name, const void *p, size_t len)
{
    struct pv_err err = PV_ERR_INIT;
    int fd = openat(f->log_fd, name, O_WRONLY | O_TRUNC);
    assert_true(fd >= 0);
    assert_int_equal(pv_write_all(fd, p, len, &err), 0);
    close(fd);
}

void fixture_place(const struct log_fixture *f, uint64_t seq, long *ret_offset, size_t *ret_len)
{
    pv_autobuf struct pv_buf b;
    fixture_read(f, "journal/000000", &b);
    size_t off = 0;
    for (uint64_t i = 0;; i++) {
        assert_true(off + 2 < b.len);
        size_t len = 2 + ((size_t)b.data[off] << 8 | b.data[off + 1]);
        if (i == seq) {
            *ret_offset = (long)off;
            *ret_len = len;
            return;
        }
        off += len;
    }
}

void fixture_rotate(struct log_fixture *f, struct pv_buf *ret_old)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_event e;
    uint8_t next[32];
    pv_buf_init(ret_old, 1 << 13);
    assert_int_equal(pv_read_file_at(f->key_fd, "log.key", ret_old, &err), 0);
    assert_int_equal(pv_log_rotate_begin(f->log, next, &err), 0);
    pv_event_init(&e, PV_K_KEY_ROTATION, NULL);
    pv_event_bytes(&e, pv_log_key(f->log)->public_key, sizeof next);
    pv_event_bytes(&e, next, sizeof next);
    fixture_put(f, 0, &e, 0);
    fixture_commit(f);
    assert_int_equal(pv_log_rotate_record(f->log, &err), 0);
    assert_int_equal(pv_log_rotate_end(f->log, &err), 0);
}

void fixture_steal(struct log_fixture *f, const struct pv_buf *old)
{
    struct pv_err err = PV_ERR_INIT;
    fixture_close(f);
    assert_int_equal(pv_replace_file_at(f->key_fd, "log.key", old->data, old->len, 0600, &err), 0);
    fixture_open(f);
}
