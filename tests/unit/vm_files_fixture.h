/* A domain's files on a small tree in a temporary directory, with an owner that keeps what the
 * program writes and what was reported. */
#pragma once
#include "files/files.h"

enum { FIXTURE_OUT = 4096, FIXTURE_EVENTS = 64 };

struct fixture {
    char root[64];
    int root_fd;
    const char *in; /* what stream 0 gives */
    size_t in_off;
    char out[FIXTURE_OUT]; /* what streams 1 and 2 got */
    size_t out_len;
    int64_t skip_ns; /* added to every clock */
    int connect_fd;  /* what connect gives, or -errno */
    unsigned events;
    int last_kind;
    char last_path[256];
    int64_t last_result;
    struct pv_files_host host;
    struct pv_files_spec spec;
};

/* Builds the tree: etc/hello ("hello, world\n"), bin/tool (0755), link -> etc/hello, up ->
 * ../../etc, loop -> loop, secret (0600), tmp/shadowed, d/0 .. d/99. */
void fixture_open(struct fixture *x);
void fixture_close(struct fixture *x);

/* One buffer instead of iovecs. */
int64_t fx_read(struct pv_files *f, int fd, void *buf, size_t len);
int64_t fx_write(struct pv_files *f, int fd, const void *buf, size_t len);
int64_t fx_puts(struct pv_files *f, int fd, const char *text);
