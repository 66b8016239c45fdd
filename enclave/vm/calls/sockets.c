#include "calls/theme.h"
#include "thread/threads.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>

enum { OPTION_BYTES = 256, SPANS_MAX = 256 };

int64_t call_socket(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_socket(vm->files, (int)a[0], (int)a[1], (int)a[2]);
}

static int fetch_address(struct pv_vm *vm, uint64_t at, uint64_t len, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (len > sizeof *ret)
        return -EINVAL;
    return pv_copy_in(&vm->space, ret, at, len);
}

int64_t call_connect(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct sockaddr_storage address;

    (void)t;
    PV_TRY(fetch_address(vm, a[1], (uint32_t)a[2], &address));
    return pv_call_files(
        pv_files_connect(vm->files, (int)a[0], (struct sockaddr *)&address, (socklen_t)a[2]));
}

int64_t call_bind(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct sockaddr_storage address;

    (void)t;
    PV_TRY(fetch_address(vm, a[1], (uint32_t)a[2], &address));
    return pv_files_bind(vm->files, (int)a[0], (struct sockaddr *)&address, (socklen_t)a[2]);
}

int64_t call_listen(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_listen(vm->files, (int)a[0], (int)a[1]);
}

int64_t call_accept4(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_call_files(pv_files_accept4(vm->files, (int)a[0], (int)a[3]));
}

int64_t call_accept(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_call_files(pv_files_accept4(vm->files, (int)a[0], 0));
}

int64_t call_shutdown(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_shutdown(vm->files, (int)a[0], (int)a[1]);
}

/* Stores an address of len bytes into the room that the program has for it. */
static int store_address(struct pv_vm *vm, const struct sockaddr_storage *address, socklen_t len,
                         uint64_t at, uint64_t len_at)
{
    socklen_t room;

    if (pv_copy_in(&vm->space, &room, len_at, sizeof room) < 0)
        return -EFAULT;
    if ((int)room < 0)
        return -EINVAL;
    if (room > len)
        room = len;
    if (room > sizeof *address)
        room = sizeof *address;
    if (pv_copy_out(&vm->space, at, address, room) < 0)
        return -EFAULT;
    return pv_copy_out(&vm->space, len_at, &len, sizeof len);
}

typedef int64_t (*name_fn)(struct pv_files *f, int fd, struct sockaddr *address, socklen_t *len);

static int64_t get_name(struct pv_vm *vm, name_fn fn, const uint64_t *a)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    int64_t rc = fn(vm->files, (int)a[0], (struct sockaddr *)&address, &len);

    if (rc < 0)
        return rc;
    int stored = store_address(vm, &address, len, a[1], a[2]);
    return stored < 0 ? stored : rc;
}

int64_t call_getsockname(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return get_name(vm, pv_files_getsockname, a);
}

int64_t call_getpeername(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return get_name(vm, pv_files_getpeername, a);
}

int64_t call_getsockopt(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint8_t value[OPTION_BYTES] = {0};
    socklen_t len;

    (void)t;
    if (pv_copy_in(&vm->space, &len, a[4], sizeof len) < 0)
        return -EFAULT;
    if ((int)len < 0)
        return -EINVAL;
    if (len > sizeof value)
        len = sizeof value;
    int64_t rc = pv_files_getsockopt(vm->files, (int)a[0], (int)a[1], (int)a[2], value, &len);
    if (rc < 0)
        return rc;
    if (len > sizeof value)
        len = sizeof value;
    rc = pv_call_out(vm, rc, a[3], value, len);
    return pv_call_out(vm, rc, a[4], &len, sizeof len);
}

int64_t call_setsockopt(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint8_t value[OPTION_BYTES] = {0};

    (void)t;
    if ((uint32_t)a[4] > sizeof value)
        return -EINVAL;
    if (pv_copy_in(&vm->space, value, a[3], (uint32_t)a[4]) < 0)
        return -EFAULT;
    return pv_files_setsockopt(vm->files, (int)a[0], (int)a[1], (int)a[2], value, (socklen_t)a[4]);
}

/* One message as the program describes it. */
struct message {
    uint64_t name, name_len_pad, iov, iov_len, control, control_len, flags;
};

/* Host spans of the message's buffers: bytes, or -errno. */
static int64_t message_spans(struct pv_vm *vm, uint64_t iov, uint64_t n, int access,
                             struct iovec *v, int *ret_n)
{
    int64_t sum = 0;

    *ret_n = 0;
    if (n > IOV_MAX)
        return -EMSGSIZE;
    for (uint64_t i = 0; i < n; i++) {
        uint64_t piece[2];

        if (pv_copy_in(&vm->space, piece, iov + i * sizeof piece, sizeof piece) < 0)
            return -EFAULT;
        int64_t got = pv_access_spans(&vm->space, piece[0], piece[1], access, v, SPANS_MAX, ret_n);
        if (got < 0)
            return got;
        sum += got;
        if ((uint64_t)got < piece[1])
            break;
    }
    return sum;
}

static int64_t sent(struct pv_vm *vm, struct pv_thread *t, int64_t rc, int flags)
{
    if (rc == -EPIPE && !(flags & MSG_NOSIGNAL)) {
        const struct pv_signal_info info = {.code = SI_USER, .pid = PV_PID};
        pv_signal_send(vm, t, SIGPIPE, &info);
    }
    return pv_call_files(rc);
}

int64_t call_sendto(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct sockaddr_storage address;
    struct iovec v[SPANS_MAX];
    int n = 0;
    bool named = a[4] != 0;

    if (named)
        PV_TRY(fetch_address(vm, a[4], (uint32_t)a[5], &address));
    int64_t sum = pv_access_spans(&vm->space, a[1], a[2], PROT_READ, v, SPANS_MAX, &n);
    if (sum < 0)
        return sum;
    int64_t rc =
        pv_files_sendto(vm->files, (int)a[0], v, n, (int)a[3],
                        named ? (struct sockaddr *)&address : NULL, named ? (socklen_t)a[5] : 0);
    return sent(vm, t, rc, (int)a[3]);
}

int64_t call_recvfrom(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    struct iovec v[SPANS_MAX];
    int n = 0;

    (void)t;
    int64_t sum = pv_access_spans(&vm->space, a[1], a[2], PROT_WRITE, v, SPANS_MAX, &n);
    if (sum < 0)
        return sum;
    int64_t rc = pv_files_recvfrom(vm->files, (int)a[0], v, n, (int)a[3],
                                   (struct sockaddr *)&address, &len, NULL);
    if (rc < 0 || !a[4])
        return pv_call_files(rc);
    int stored = store_address(vm, &address, len, a[4], a[5]);
    return stored < 0 ? stored : rc;
}

int64_t call_sendmsg(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct sockaddr_storage address;
    struct iovec v[SPANS_MAX];
    struct message m;
    int n;

    if (pv_copy_in(&vm->space, &m, a[1], sizeof m) < 0)
        return -EFAULT;
    if (m.control_len)
        return -EOPNOTSUPP; /* descriptors and credentials do not travel */
    if (m.name)
        PV_TRY(fetch_address(vm, m.name, (uint32_t)m.name_len_pad, &address));
    int64_t sum = message_spans(vm, m.iov, m.iov_len, PROT_READ, v, &n);
    if (sum < 0)
        return sum;
    int64_t rc = pv_files_sendto(vm->files, (int)a[0], v, n, (int)a[2],
                                 m.name ? (struct sockaddr *)&address : NULL,
                                 m.name ? (socklen_t)m.name_len_pad : 0);
    return sent(vm, t, rc, (int)a[2]);
}

int64_t call_recvmsg(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    struct iovec v[SPANS_MAX];
    struct message m;
    int flags = 0;
    int n;

    (void)t;
    if (pv_copy_in(&vm->space, &m, a[1], sizeof m) < 0)
        return -EFAULT;
    int64_t sum = message_spans(vm, m.iov, m.iov_len, PROT_WRITE, v, &n);
    if (sum < 0)
        return sum;
    int64_t rc = pv_files_recvfrom(vm->files, (int)a[0], v, n, (int)a[2],
                                   (struct sockaddr *)&address, &len, &flags);
    if (rc < 0)
        return pv_call_files(rc);
    if (m.name) {
        int stored = store_address(vm, &address, len, m.name, a[1] + 8);
        if (stored < 0)
            return stored;
    }
    m.control_len = 0;
    m.flags = (unsigned)flags;
    return pv_call_out(vm, rc, a[1] + 40, &m.control_len, 16);
}
