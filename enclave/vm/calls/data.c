/* Reading and writing: guest buffers become spans of host memory. */
#include "calls/theme.h"
#include "thread/threads.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { SPANS_MAX = IOV_MAX, MOVE_MAX = 0x7ffff000 };

/* A buffer as the program describes it. */
struct piece {
    uint64_t at, len;
};

/* The pieces behind what the call has already moved, as host spans: bytes they hold, or -EFAULT
 * when not even the first byte can be reached. */
static int64_t spans(struct pv_vm *vm, const struct piece *p, int n, uint64_t skip, int access,
                     struct iovec *v, int *ret_n)
{
    int64_t sum = 0;

    *ret_n = 0;
    for (int i = 0; i < n && sum < MOVE_MAX; i++) {
        if (skip >= p[i].len) {
            skip -= p[i].len;
            continue;
        }
        uint64_t len = p[i].len - skip;
        if (len > (uint64_t)(MOVE_MAX - sum))
            len = (uint64_t)(MOVE_MAX - sum);
        int64_t got = pv_access_spans(&vm->space, p[i].at + skip, len, access, v, SPANS_MAX, ret_n);
        if (got < 0)
            return sum ? sum : got;
        sum += got;
        skip = 0;
        if ((uint64_t)got < len)
            break;
    }
    return sum;
}

/* As Linux's access_ok: a buffer that reaches out of user space is refused as a whole. */
static int check_piece(const struct piece *p)
{
    if (p->len > SSIZE_MAX)
        return -EINVAL;
    return p->at > PV_USER_MAX || p->len > PV_USER_MAX - p->at ? -EFAULT : 0;
}

typedef int64_t (*move_fn)(struct pv_files *f, int fd, const struct iovec *iov, int n, int64_t off,
                           int flags);

/* Moves data; a blocking write that stops half-way goes on where it stopped. */
static int64_t move(struct pv_vm *vm, struct pv_thread *t, move_fn fn, int fd,
                    const struct piece *p, int n, int access, int64_t off, int flags)
{
    struct iovec v[SPANS_MAX];
    int n_spans;
    int64_t sum = spans(vm, p, n, t->progress, access, v, &n_spans);

    if (sum < 0)
        return sum;
    int64_t rc = fn(vm->files, fd, v, n_spans, off, flags);
    if (rc == PV_FILES_WAIT) {
        t->progress += pv_files_partial(vm->files);
        return PV_CALL_WAIT;
    }
    if (rc == -EPIPE && access == PROT_READ) {
        const struct pv_signal_info info = {.code = SI_USER, .pid = PV_PID};
        pv_signal_send(vm, t, SIGPIPE, &info);
    }
    if (rc >= 0)
        return rc + (int64_t)t->progress;
    return t->progress ? (int64_t)t->progress : rc;
}

static int64_t read_plain(struct pv_files *f, int fd, const struct iovec *v, int n, int64_t off,
                          int flags)
{
    (void)off;
    (void)flags;
    return pv_files_read(f, fd, v, n);
}

static int64_t write_plain(struct pv_files *f, int fd, const struct iovec *v, int n, int64_t off,
                           int flags)
{
    (void)off;
    (void)flags;
    return pv_files_write(f, fd, v, n);
}

static int64_t read_at(struct pv_files *f, int fd, const struct iovec *v, int n, int64_t off,
                       int flags)
{
    (void)flags;
    return pv_files_pread(f, fd, v, n, off);
}

static int64_t write_at(struct pv_files *f, int fd, const struct iovec *v, int n, int64_t off,
                        int flags)
{
    (void)flags;
    return pv_files_pwrite(f, fd, v, n, off);
}

/* Reads fill memory: the program must be able to write it, and the other way round. */
static int64_t one(struct pv_vm *vm, struct pv_thread *t, move_fn fn, const uint64_t *a, int access,
                   int64_t off)
{
    struct piece p = {a[1], a[2]};

    PV_TRY(check_piece(&p));
    return move(vm, t, fn, (int)a[0], &p, 1, access, off, 0);
}

static int64_t many(struct pv_vm *vm, struct pv_thread *t, move_fn fn, const uint64_t *a,
                    int access, int64_t off, int flags)
{
    struct piece p[IOV_MAX];

    if (a[2] > IOV_MAX)
        return -EINVAL;
    if (pv_copy_in(&vm->space, p, a[1], a[2] * sizeof *p) < 0)
        return -EFAULT;
    for (uint64_t i = 0; i < a[2]; i++)
        PV_TRY(check_piece(&p[i]));
    return move(vm, t, fn, (int)a[0], p, (int)a[2], access, off, flags);
}

int64_t call_read(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return one(vm, t, read_plain, a, PROT_WRITE, 0);
}

int64_t call_write(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return one(vm, t, write_plain, a, PROT_READ, 0);
}

int64_t call_pread64(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return one(vm, t, read_at, a, PROT_WRITE, (int64_t)a[3]);
}

int64_t call_pwrite64(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return one(vm, t, write_at, a, PROT_READ, (int64_t)a[3]);
}

int64_t call_readv(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return many(vm, t, read_plain, a, PROT_WRITE, 0, 0);
}

int64_t call_writev(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return many(vm, t, write_plain, a, PROT_READ, 0, 0);
}

int64_t call_preadv(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return many(vm, t, read_at, a, PROT_WRITE, (int64_t)a[3], 0);
}

int64_t call_pwritev(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return many(vm, t, write_at, a, PROT_READ, (int64_t)a[3], 0);
}

int64_t call_preadv2(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return many(vm, t, pv_files_preadv2, a, PROT_WRITE, (int64_t)a[3], (int)a[5]);
}

int64_t call_pwritev2(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return many(vm, t, pv_files_pwritev2, a, PROT_READ, (int64_t)a[3], (int)a[5]);
}

int64_t call_lseek(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_lseek(vm->files, (int)a[0], (int64_t)a[1], (int)a[2]);
}

/* An offset that the program may leave out. */
static int fetch_offset(struct pv_vm *vm, uint64_t at, int64_t *value, int64_t **ret)
{
    *ret = at ? value : NULL;
    return at ? pv_copy_in(&vm->space, value, at, sizeof *value) : 0;
}

static int64_t store_offset(struct pv_vm *vm, int64_t rc, uint64_t at, int64_t value)
{
    return at ? pv_call_out(vm, rc, at, &value, sizeof value) : rc;
}

int64_t call_sendfile(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int64_t off = 0;
    int64_t *p;

    (void)t;
    if (fetch_offset(vm, a[2], &off, &p) < 0)
        return -EFAULT;
    int64_t rc = pv_files_sendfile(vm->files, (int)a[0], (int)a[1], p, a[3]);
    return store_offset(vm, pv_call_files(rc), a[2], off);
}

int64_t call_copy_file_range(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int64_t in = 0;
    int64_t out = 0;
    int64_t *p_in;
    int64_t *p_out;

    (void)t;
    if (fetch_offset(vm, a[1], &in, &p_in) < 0 || fetch_offset(vm, a[3], &out, &p_out) < 0)
        return -EFAULT;
    int64_t rc = pv_call_files(pv_files_copy_file_range(vm->files, (int)a[0], p_in, (int)a[2],
                                                        p_out, a[4], (unsigned)a[5]));
    return store_offset(vm, store_offset(vm, rc, a[1], in), a[3], out);
}

int64_t call_splice(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int64_t in = 0;
    int64_t out = 0;
    int64_t *p_in;
    int64_t *p_out;

    (void)t;
    if (fetch_offset(vm, a[1], &in, &p_in) < 0 || fetch_offset(vm, a[3], &out, &p_out) < 0)
        return -EFAULT;
    int64_t rc = pv_call_files(
        pv_files_splice(vm->files, (int)a[0], p_in, (int)a[2], p_out, a[4], (unsigned)a[5]));
    return store_offset(vm, store_offset(vm, rc, a[1], in), a[3], out);
}

int64_t call_getrandom(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct iovec v[SPANS_MAX];
    struct piece p = {a[0], a[1] > (1u << 20) ? 1u << 20 : a[1]};
    int n;

    (void)t;
    if (a[2] & ~7ull || (a[2] & 6) == 6)
        return -EINVAL;
    int64_t sum = spans(vm, &p, 1, 0, PROT_WRITE, v, &n);
    for (int i = 0; i < n && sum >= 0; i++)
        vm->files_host.random(vm, v[i].iov_base, v[i].iov_len);
    return sum;
}
