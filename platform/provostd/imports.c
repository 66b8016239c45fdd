#include "imports.h"

#include "hosts.h"
#include "package.h"
#include "pv/io.h"
#include "pv/own.h"
#include "pv/role.h"
#include "roles.h"
#include "spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

/* The child says first whether it has mended a stored package, and which; then the answer. */
enum { HEAD_BYTES = 1 + PV_MEASUREMENT_BYTES, STORE_FD = 3, PIPE_FD = 4 };
enum { ANSWER_MAX = HEAD_BYTES + PV_PATH_MAX + 2048 };

/* The answer after its tag: rc, error, measurement, command, kind. */
static void put_answer(struct pv_buf *b, int rc, const char *text, const struct pv_package *p)
{
    pv_buf_u32(b, (uint32_t)-rc);
    pv_buf_str(b, text);
    pv_buf_raw(b, p->measurement, sizeof p->measurement);
    pv_buf_str(b, p->command);
    pv_buf_str(b, p->kind);
}

static void answer(struct pv_supervisor *s, uint64_t tag, const uint8_t *p, size_t len)
{
    pv_automsg struct pv_msg m;

    pv_msg_init(&m, PV_SUP_IMPORTED);
    pv_buf_u64(&m.body, tag);
    pv_buf_raw(&m.body, p, len);
    pv_role_send(&s->roles[PV_ROLE_GATEWAY], &m);
}

static void refuse(struct pv_supervisor *s, uint64_t tag, int rc, const char *text)
{
    struct pv_package none = {0};
    pv_autobuf struct pv_buf b;

    pv_buf_init(&b, ANSWER_MAX);
    put_answer(&b, rc, text, &none);
    answer(s, tag, b.data, b.len);
}

_Noreturn static void run_child(const struct pv_package_source *source)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_package p = {0};
    pv_autobuf struct pv_buf b;
    int rc = pv_package_import(STORE_FD, source, &p, &err);

    rc = pv_wrap_full(&err, rc, source->closed);

    pv_buf_init(&b, ANSWER_MAX);
    pv_buf_u8(&b, p.mended);
    pv_buf_raw(&b, p.measurement, sizeof p.measurement);
    put_answer(&b, rc, rc < 0 ? err.text : p.hint, &p);
    rc = b.failed ? -EMSGSIZE : pv_write_all(PIPE_FD, b.data, b.len, &err);
    _exit(rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

/* Keeps the store and the pipe only: above all, no end of a role's control socket. */
static void keep_two(int store, int pipe_end)
{
    int a = fcntl(store, F_DUPFD, PIPE_FD + 1);
    int b = fcntl(pipe_end, F_DUPFD, PIPE_FD + 1);

    if (a < 0 || b < 0 || dup2(a, STORE_FD) < 0 || dup2(b, PIPE_FD) < 0 ||
        close_range(PIPE_FD + 1, ~0u, 0) != 0)
        _exit(EXIT_FAILURE);
}

static int start_child(struct pv_supervisor *s, struct pv_import *i, const char *path,
                       struct pv_err *err)
{
    pid_t parent = getpid();
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return pv_fail(err, errno, "make a pipe");
    i->pid = fork();
    if (i->pid == 0) {
        pv_spawn_reset(parent);
        keep_two(s->state.packages, ends[1]);
        run_child(&(struct pv_package_source){
            .root = s->config.package_root, .path = path, .closed = s->state.path});
    }
    (void)close(ends[1]);
    if (i->pid < 0) {
        (void)close(ends[0]);
        return pv_fail(err, errno, "fork for an import");
    }
    i->pipe = ends[0];
    (void)fcntl(i->pipe, F_SETFL, O_NONBLOCK);
    return 0;
}

static unsigned count_imports(const struct pv_supervisor *s)
{
    unsigned n = 0;

    for (const struct pv_import *i = s->imports; i; i = i->next)
        n++;
    return n;
}

void pv_import_start(struct pv_supervisor *s, uint64_t tag, const char *path)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_import *i;
    int rc;

    if (count_imports(s) >= PV_IMPORTS_MAX) {
        refuse(s, tag, -EBUSY, "too many packages are being imported: try again later");
        return;
    }
    i = calloc(1, sizeof *i);
    if (!i) {
        refuse(s, tag, -ENOMEM, "no memory to import a package");
        return;
    }
    i->tag = tag;
    i->gateway_run = s->gateway_run;
    pv_buf_init(&i->answer, ANSWER_MAX);
    rc = start_child(s, i, path, &err);
    if (rc < 0) {
        refuse(s, tag, rc, err.text);
        free(i);
        return;
    }
    i->next = s->imports;
    s->imports = i;
}

static void import_free(struct pv_supervisor *s, struct pv_import *i)
{
    for (struct pv_import **at = &s->imports; *at; at = &(*at)->next)
        if (*at == i) {
            *at = i->next;
            break;
        }
    (void)close(i->pipe);
    pv_buf_done(&i->answer);
    free(i);
}

static void finish(struct pv_supervisor *s, const struct pv_import *i)
{
    const struct pv_buf *b = &i->answer;
    bool whole = b->len > HEAD_BYTES && !b->failed;

    if (whole && b->data[0])
        pv_hosts_renew(s, b->data + 1);
    if (i->gateway_run != s->gateway_run)
        return;
    if (whole)
        answer(s, i->tag, b->data + HEAD_BYTES, b->len - HEAD_BYTES);
    else
        refuse(s, i->tag, -EIO, "the import of the package was cut short");
}

void pv_import_read(struct pv_supervisor *s, struct pv_import *i)
{
    uint8_t chunk[4096];
    ssize_t n = read(i->pipe, chunk, sizeof chunk);

    if (n > 0) {
        pv_buf_raw(&i->answer, chunk, (size_t)n);
        return;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    finish(s, i);
    import_free(s, i);
}

void pv_imports_cancel(struct pv_supervisor *s)
{
    while (s->imports) {
        struct pv_import *i = s->imports;

        if (i->pid > 0)
            (void)kill(i->pid, SIGKILL);
        import_free(s, i);
    }
}
