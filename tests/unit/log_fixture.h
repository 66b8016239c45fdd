/* A small log in a temporary directory, with two domains. */
#pragma once
#include "pv/evidence_log.h"

struct log_fixture {
    char dir[40];
    int dir_fd, log_fd, key_fd;
    struct pv_log *log; /* NULL while closed */
    struct {
        struct pv_domain_id id;
        struct pv_ratchet ratchet;
        uint64_t dseq;
    } domain[2];
};

void fixture_init(struct log_fixture *f);
void fixture_done(struct log_fixture *f);
void fixture_open(struct log_fixture *f);
void fixture_close(struct log_fixture *f);
/* Appends n events, turn by turn of the two domains; each begins with its domain-open. */
void fixture_append(struct log_fixture *f, unsigned n);
/* Appends that event of domain i; its tag is XORed with tag_flip. */
void fixture_put(struct log_fixture *f, unsigned i, struct pv_event *e, uint8_t tag_flip);
void fixture_commit(struct log_fixture *f);
/* Waits until the journal has let go of what stands in durable files. */
void fixture_settle(struct log_fixture *f);
/* Changes the log's key as the auditor does; the file with the old secret key is appended to
 * ret_old, which this initialises. */
void fixture_rotate(struct log_fixture *f, struct pv_buf *ret_old);
/* Opens the log again with that secret key, as whoever stole it would. */
void fixture_steal(struct log_fixture *f, const struct pv_buf *old);
/* The bytes of entry seq with its length in front: offset in segment 0, and length. */
void fixture_place(const struct log_fixture *f, uint64_t seq, long *ret_offset, size_t *ret_len);
/* Replaces the content of a file of the log. */
void fixture_read(const struct log_fixture *f, const char *name, struct pv_buf *ret);
void fixture_write(const struct log_fixture *f, const char *name, const void *p, size_t len);
