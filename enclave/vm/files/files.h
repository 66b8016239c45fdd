/* The files of one micro-VM domain: a read-only tree of the host, memory-backed writable mounts, a
 * small /dev and /proc, pipes, sockets, epoll and the descriptor table, with the results of Linux's
 * system calls. It knows nothing of KVM or of guest addresses: the caller translates guest memory
 * into iovecs of host memory, checked for rights, before it calls.
 *
 * Conventions
 * - A call returns what Linux's call of that name returns, or -errno. It returns PV_FILES_WAIT
 * where a blocking call would wait: the caller parks the thread and calls again with the same
 * arguments when pv_files_changed() moved, a descriptor of pv_files_host_fds() is ready or
 *   pv_files_next_timer_ns() has passed. Where a blocking write had moved a part of its data,
 *   pv_files_partial() says how many bytes: the caller skips these when it calls again.
 * - A write to a closed pipe or socket returns -EPIPE: the caller raises SIGPIPE (unless it was a
 *   send with MSG_NOSIGNAL).
 * - Paths are NUL-terminated, shorter than PATH_MAX (4096, the NUL included); longer ones give
 *   -ENAMETOOLONG. The caller never passes NULL unless the function says so.
 * - iov has n entries, 0 <= n <= IOV_MAX (1024); sums over INT_MAX & ~4095 are cut to that.
 * - One domain belongs to one thread at a time. Different domains, also clones of one sealed
 *   domain, may be used by different threads at once; a sealed domain may be cloned by several.
 * - Hashing wants libgcrypt initialised (pv_crypto_init) where several threads do it.
 * - Nothing is allocated per call beyond the domain's arena, which was reserved by pv_files_new().
 */
#pragma once
#include "pv/err.h"

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <time.h>

struct flock;
struct open_how;
struct statx;

struct pv_files;

/* The call would block. Distinct from every -errno. */
#define PV_FILES_WAIT (-5000)

enum pv_files_event_kind {
    PV_FILES_OPEN = 1,    /* path, dev, ino, size, mode, flags, result (descriptor or -errno) */
    PV_FILES_FIRST_READ,  /* of an open file other than a stream: path, dev, ino, size */
    PV_FILES_FIRST_WRITE, /* the same */
    PV_FILES_NAME,        /* a name was looked up without opening: path, result */
    PV_FILES_MAKE,        /* mkdir, symlink, link, mknod: path, path2 for link and symlink */
    PV_FILES_REMOVE,      /* unlink, rmdir */
    PV_FILES_RENAME,      /* path to path2 */
    PV_FILES_ALTER,       /* truncate, chmod, chown, utimens */
    PV_FILES_CONNECT,     /* family, address, port (host order), result */
    PV_FILES_DENIED,      /* refused by policy (not by the state of the file): path, call, result */
};

/* What one call did. Pointers are valid during the callback only; path is as the program gave it,
 * made absolute where that is possible, or a description such as "pipe:[5]"; never NULL. */
struct pv_files_event {
    enum pv_files_event_kind kind;
    const char *call; /* name of the system call */
    int64_t result;   /* >= 0, or -errno */
    const char *path;
    const char *path2; /* "" where there is none */
    unsigned flags;    /* open flags */
    uint32_t mode;     /* type and rights of the object, 0 when unknown */
    uint64_t dev, ino; /* host's identity for files of the tree, 0 for others */
    uint64_t size_bytes;
    int family;          /* of the address: AF_INET, AF_INET6, AF_UNIX; 0 otherwise */
    uint8_t address[16]; /* network order, 4 or 16 bytes of it */
    uint16_t port;
};

/* Texts of /proc that only the caller knows. */
enum pv_files_proc {
    PV_FILES_PROC_MAPS = 1,
    PV_FILES_PROC_CMDLINE, /* NUL-terminated strings */
    PV_FILES_PROC_ENVIRON, /* NUL-terminated strings */
    PV_FILES_PROC_AUXV,    /* binary */
    PV_FILES_PROC_STAT,    /* "1 (name) R ..." */
    PV_FILES_PROC_STATUS,
    PV_FILES_PROC_STATM,
    PV_FILES_PROC_COMM, /* name and newline */
};

/* What the domain asks of its owner. All are called on the thread of the call that needs them, with
 * the ctx of the spec. None may call back into the domain. Only random and now must be there: the
 * others may be NULL, and then streams are at their end and discard, connections are refused
 * (-EACCES), /proc has a text of its own, and events go nowhere. */
struct pv_files_host {
    /* Reads from stream 0, writes to stream 1 or 2 (what the program's first descriptors are):
     * bytes moved, 0 at the end, -errno, or PV_FILES_WAIT. */
    int64_t (*read)(void *ctx, int stream, const struct iovec *iov, int n);
    int64_t (*write)(void *ctx, int stream, const struct iovec *iov, int n);
    /* POLLIN, POLLOUT, POLLHUP of a stream now. NULL: always ready. */
    short (*poll)(void *ctx, int stream);
    /* A connected, non-blocking host socket for that address, which the domain then owns, or -errno
     * (-EACCES denies). type is SOCK_STREAM or SOCK_DGRAM. May be still connecting. */
    int (*connect)(void *ctx, int type, const struct sockaddr *address, socklen_t len);
    /* Fills buf; what /dev/random and /dev/urandom give. */
    void (*random)(void *ctx, void *buf, size_t len);
    /* As clock_gettime: 0 or -EINVAL. */
    int (*now)(void *ctx, clockid_t clock, struct timespec *ret);
    void (*event)(void *ctx, const struct pv_files_event *event);
    /* Writes at most cap bytes of the text, returns its length, which may be larger than cap (then
     * the rest is cut off), or -errno. */
    int64_t (*proc)(void *ctx, enum pv_files_proc what, char *buf, size_t cap);
};

/* 0 takes the default in brackets. */
struct pv_files_limits {
    uint64_t tmp_bytes;   /* content of files in memory [64 MiB] */
    uint32_t tmp_nodes;   /* files, directories and links in memory [4096] */
    uint32_t descriptors; /* [1024], at most 65536 */
    uint64_t pipe_bytes;  /* in all pipes and socket pairs [4 MiB] */
    uint32_t tree_nodes;  /* names of the tree that are remembered [8192] */
    uint64_t kept_bytes;  /* private memory that a reset keeps for the next run [4 MiB] */
};

struct pv_files_spec {
    int root_fd;                 /* directory that is the domain's /; borrowed, duplicated */
    const char *exe;             /* absolute path of /proc/self/exe inside; NULL: "/" */
    const char *cwd;             /* NULL: "/" */
    const char *const *writable; /* absolute paths of further memory-backed mounts */
    size_t writables;  /* at most PV_FILES_WRITABLE_MAX; /tmp and /dev/shm are always there */
    uint32_t uid, gid; /* of the program: rights are checked for these */
    uint32_t pid;      /* for /proc/self; 0: 1 */
    uint32_t umask;
    uint64_t memory_bytes; /* for /proc/meminfo */
    uint32_t cpus;         /* for /proc/cpuinfo and its kin; 0: 1 */
    struct pv_files_limits limits;
    const struct pv_files_host *host; /* borrowed for the domain's life */
    void *ctx;                        /* borrowed */
};
enum { PV_FILES_WRITABLE_MAX = 16 };

/* ---- life ---- */

/* A domain with descriptors 0, 1, 2 on the host's streams. Errors: ENOMEM, EINVAL (spec), ENOTDIR.
 */
PV_MUST_CHECK int pv_files_new(const struct pv_files_spec *spec, struct pv_files **ret,
                               struct pv_err *err);
/* Accepts NULL. A sealed domain may be freed before its clones. */
void pv_files_free(struct pv_files *f);
/* Turns the domain into a sealed one: its state is what clones begin with, and only pv_files_clone,
 * pv_files_sealed_hash and pv_files_free may be called on it from now on. EBUSY with a host socket
 * open (a connection cannot be part of a snapshot); the domain is then unchanged. */
PV_MUST_CHECK int pv_files_seal(struct pv_files *f, struct pv_err *err);
/* A further domain that begins in the sealed state. Of spec only host and ctx are taken. */
PV_MUST_CHECK int pv_files_clone(const struct pv_files *sealed, const struct pv_files_spec *spec,
                                 struct pv_files **ret, struct pv_err *err);
/* Brings a clone back to the sealed state; the cost is that of the changed pages. Nothing that
 * happened since can be seen afterwards; host descriptors opened since are closed. Cannot fail. */
void pv_files_reset(struct pv_files *clone);
/* SHA-256 over the sealed state (descriptors, files in memory and their contents, not host
 * descriptor numbers). */
void pv_files_sealed_hash(const struct pv_files *sealed, uint8_t ret_hash[32]);
/* Memory of the domain that is its own at the moment (pages written), in bytes. */
uint64_t pv_files_private_bytes(const struct pv_files *f);
/* Merkle hash of a read-only tree: names, types, rights and contents, sorted; links are not
 * followed. root_fd is borrowed. EFBIG beyond PV_FILES_TREE_MAX entries, ELOOP beyond a depth of
 * 64, EINVAL for objects that are no file, directory or link. Reads every byte. */
PV_MUST_CHECK int pv_files_measure(int root_fd, uint8_t ret_hash[32], struct pv_err *err);
enum { PV_FILES_TREE_MAX = 200000 };

/* ---- waiting ---- */

/* Moves whenever a call of this domain changed what another may wait for. */
uint64_t pv_files_changed(const struct pv_files *f);
/* Host sockets in use with the events worth waiting for: POLLIN, and POLLOUT where a call found no
 * room or the connection is not there yet. Fills at most max, returns how many there are. */
size_t pv_files_host_fds(const struct pv_files *f, struct pollfd *ret, size_t max);
/* Nanoseconds until the next timerfd expires, at least 0; -1 when none is armed. Counts what has
 * expired already: ask for readiness afterwards. */
int64_t pv_files_next_timer_ns(struct pv_files *f);
/* Bytes that the last call moved before it returned PV_FILES_WAIT. */
uint64_t pv_files_partial(const struct pv_files *f);

/* ---- opening and names ---- */

int64_t pv_files_open(struct pv_files *f, const char *path, int flags, unsigned mode);
int64_t pv_files_creat(struct pv_files *f, const char *path, unsigned mode);
int64_t pv_files_openat(struct pv_files *f, int dirfd, const char *path, int flags, unsigned mode);
/* how_size as in the system call: EINVAL below 24, E2BIG when bytes beyond are set. RESOLVE_*
 * flags: NO_SYMLINKS, NO_MAGICLINKS, BENEATH, IN_ROOT, NO_XDEV are honoured, CACHED gives EAGAIN.
 */
int64_t pv_files_openat2(struct pv_files *f, int dirfd, const char *path,
                         const struct open_how *how, size_t how_size);
int64_t pv_files_close(struct pv_files *f, int fd);
int64_t pv_files_close_range(struct pv_files *f, unsigned first, unsigned last, unsigned flags);
/* Closes what is marked close-on-exec (the caller decides when that is). */
void pv_files_close_on_exec(struct pv_files *f);

int64_t pv_files_stat(struct pv_files *f, const char *path, struct stat *ret);
int64_t pv_files_lstat(struct pv_files *f, const char *path, struct stat *ret);
int64_t pv_files_fstat(struct pv_files *f, int fd, struct stat *ret);
int64_t pv_files_newfstatat(struct pv_files *f, int dirfd, const char *path, struct stat *ret,
                            int flags);
int64_t pv_files_statx(struct pv_files *f, int dirfd, const char *path, int flags, unsigned mask,
                       struct statx *ret);
int64_t pv_files_statfs(struct pv_files *f, const char *path, struct statfs *ret);
int64_t pv_files_fstatfs(struct pv_files *f, int fd, struct statfs *ret);
int64_t pv_files_access(struct pv_files *f, const char *path, int mode);
int64_t pv_files_faccessat2(struct pv_files *f, int dirfd, const char *path, int mode, int flags);
int64_t pv_files_readlinkat(struct pv_files *f, int dirfd, const char *path, char *buf, size_t len);
int64_t pv_files_chdir(struct pv_files *f, const char *path);
int64_t pv_files_fchdir(struct pv_files *f, int fd);
/* As the system call: length with the NUL. */
int64_t pv_files_getcwd(struct pv_files *f, char *buf, size_t len);
int64_t pv_files_umask(struct pv_files *f, unsigned mask);
int64_t pv_files_mkdirat(struct pv_files *f, int dirfd, const char *path, unsigned mode);
int64_t pv_files_mknodat(struct pv_files *f, int dirfd, const char *path, unsigned mode,
                         uint64_t dev);
/* flags 0 or AT_REMOVEDIR. */
int64_t pv_files_unlinkat(struct pv_files *f, int dirfd, const char *path, int flags);
int64_t pv_files_rmdir(struct pv_files *f, const char *path);
int64_t pv_files_renameat2(struct pv_files *f, int olddir, const char *old, int newdir,
                           const char *new_path, unsigned flags);
int64_t pv_files_linkat(struct pv_files *f, int olddir, const char *old, int newdir,
                        const char *new_path, int flags);
int64_t pv_files_symlinkat(struct pv_files *f, const char *target, int dirfd, const char *path);
int64_t pv_files_fchmod(struct pv_files *f, int fd, unsigned mode);
int64_t pv_files_fchmodat(struct pv_files *f, int dirfd, const char *path, unsigned mode);
int64_t pv_files_fchown(struct pv_files *f, int fd, uint32_t uid, uint32_t gid);
int64_t pv_files_fchownat(struct pv_files *f, int dirfd, const char *path, uint32_t uid,
                          uint32_t gid, int flags);
/* path NULL means dirfd itself, times NULL means now. */
int64_t pv_files_utimensat(struct pv_files *f, int dirfd, const char *path,
                           const struct timespec *times, int flags);
int64_t pv_files_truncate(struct pv_files *f, const char *path, int64_t len);
int64_t pv_files_ftruncate(struct pv_files *f, int fd, int64_t len);
int64_t pv_files_fallocate(struct pv_files *f, int fd, int mode, int64_t off, int64_t len);
int64_t pv_files_fadvise(struct pv_files *f, int fd, int64_t off, int64_t len, int advice);
int64_t pv_files_fsync(struct pv_files *f, int fd);
/* linux_dirent64 records; len is that of buf. */
int64_t pv_files_getdents64(struct pv_files *f, int fd, void *buf, size_t len);
int64_t pv_files_getdents(struct pv_files *f, int fd, void *buf, size_t len);

/* ---- data ---- */

int64_t pv_files_read(struct pv_files *f, int fd, const struct iovec *iov, int n);
int64_t pv_files_write(struct pv_files *f, int fd, const struct iovec *iov, int n);
int64_t pv_files_pread(struct pv_files *f, int fd, const struct iovec *iov, int n, int64_t off);
int64_t pv_files_pwrite(struct pv_files *f, int fd, const struct iovec *iov, int n, int64_t off);
/* preadv2 and pwritev2: off -1 uses the file's offset; flags RWF_*. */
int64_t pv_files_preadv2(struct pv_files *f, int fd, const struct iovec *iov, int n, int64_t off,
                         int flags);
int64_t pv_files_pwritev2(struct pv_files *f, int fd, const struct iovec *iov, int n, int64_t off,
                          int flags);
int64_t pv_files_lseek(struct pv_files *f, int fd, int64_t off, int whence);
/* off may be NULL (the file's own offset is used), as in the system calls. */
int64_t pv_files_sendfile(struct pv_files *f, int out, int in, int64_t *off, size_t len);
int64_t pv_files_copy_file_range(struct pv_files *f, int in, int64_t *off_in, int out,
                                 int64_t *off_out, size_t len, unsigned flags);
int64_t pv_files_splice(struct pv_files *f, int in, int64_t *off_in, int out, int64_t *off_out,
                        size_t len, unsigned flags);

/* ---- descriptors ---- */

int64_t pv_files_dup(struct pv_files *f, int fd);
int64_t pv_files_dup2(struct pv_files *f, int fd, int to);
int64_t pv_files_dup3(struct pv_files *f, int fd, int to, int flags);
/* Commands with a number as argument. */
int64_t pv_files_fcntl(struct pv_files *f, int fd, int cmd, uint64_t arg);
/* F_GETLK, F_SETLK, F_SETLKW, F_OFD_*; lock is read, and written for the two that get. */
int64_t pv_files_fcntl_lock(struct pv_files *f, int fd, int cmd, struct flock *lock);
int64_t pv_files_flock(struct pv_files *f, int fd, int op);
/* What the argument of a request is, so that the caller can fetch and store it. */
enum pv_files_ioctl_arg { PV_FILES_IOCTL_NONE, PV_FILES_IOCTL_IN_INT, PV_FILES_IOCTL_OUT_INT };
enum pv_files_ioctl_arg pv_files_ioctl_kind(unsigned long request);
/* value is the int behind the argument, read or written as pv_files_ioctl_kind says. */
int64_t pv_files_ioctl(struct pv_files *f, int fd, unsigned long request, int *value);

/* ---- pipes, events, timers, memory ---- */

int64_t pv_files_pipe2(struct pv_files *f, int ret_fds[2], int flags);
int64_t pv_files_eventfd2(struct pv_files *f, unsigned initial, int flags);
int64_t pv_files_timerfd_create(struct pv_files *f, int clock, int flags);
/* old may be NULL. */
int64_t pv_files_timerfd_settime(struct pv_files *f, int fd, int flags,
                                 const struct itimerspec *value, struct itimerspec *old);
int64_t pv_files_timerfd_gettime(struct pv_files *f, int fd, struct itimerspec *ret);
int64_t pv_files_memfd_create(struct pv_files *f, const char *name, unsigned flags);
int64_t pv_files_inotify_init1(struct pv_files *f, int flags);

/* ---- readiness, evaluated at once: 0 when nothing is ready; the caller waits and asks again ----
 */

int64_t pv_files_poll(struct pv_files *f, struct pollfd *fds, size_t n);
/* Sets may be NULL; on return they hold what is ready. */
int64_t pv_files_select(struct pv_files *f, int n, fd_set *in, fd_set *out, fd_set *except);
int64_t pv_files_epoll_create1(struct pv_files *f, int flags);
/* event may be NULL for EPOLL_CTL_DEL. */
int64_t pv_files_epoll_ctl(struct pv_files *f, int epfd, int op, int fd,
                           const struct epoll_event *event);
int64_t pv_files_epoll_wait(struct pv_files *f, int epfd, struct epoll_event *ret, int max);

/* ---- sockets ---- */

int64_t pv_files_socket(struct pv_files *f, int family, int type, int protocol);
int64_t pv_files_socketpair(struct pv_files *f, int family, int type, int protocol, int ret_fds[2]);
int64_t pv_files_connect(struct pv_files *f, int fd, const struct sockaddr *address, socklen_t len);
/* Refused with -EACCES, and recorded: a function serves nobody but its caller. */
int64_t pv_files_bind(struct pv_files *f, int fd, const struct sockaddr *address, socklen_t len);
int64_t pv_files_listen(struct pv_files *f, int fd, int backlog);
int64_t pv_files_accept4(struct pv_files *f, int fd, int flags);
int64_t pv_files_shutdown(struct pv_files *f, int fd, int how);
/* len: room in, length of the address out (which may be larger than the room). */
int64_t pv_files_getsockname(struct pv_files *f, int fd, struct sockaddr *address, socklen_t *len);
int64_t pv_files_getpeername(struct pv_files *f, int fd, struct sockaddr *address, socklen_t *len);
int64_t pv_files_getsockopt(struct pv_files *f, int fd, int level, int name, void *value,
                            socklen_t *len);
int64_t pv_files_setsockopt(struct pv_files *f, int fd, int level, int name, const void *value,
                            socklen_t len);
/* address may be NULL. */
int64_t pv_files_sendto(struct pv_files *f, int fd, const struct iovec *iov, int n, int flags,
                        const struct sockaddr *address, socklen_t len);
/* address and len may be NULL; *ret_flags (may be NULL) takes MSG_TRUNC. */
int64_t pv_files_recvfrom(struct pv_files *f, int fd, const struct iovec *iov, int n, int flags,
                          struct sockaddr *address, socklen_t *len, int *ret_flags);

/* ---- mapping ---- */

/* Where the pages of a mapping come from. */
struct pv_files_source {
    int host_fd;         /* borrowed until the next call of the domain, >= 0: a file of the tree to
                          * map or to pread; -1: read with pv_files_source_read */
    uint64_t dev, ino;   /* identity */
    uint64_t size_bytes; /* at this moment */
    uint32_t node;       /* for pv_files_source_read */
    bool zero;           /* /dev/zero: anonymous memory */
};
/* Checks the rights of a private (or read-only shared) mapping of fd as mmap does: EBADF, EACCES,
 * ENODEV. Shared mappings that may be written give -EACCES for the tree, -ENODEV for files in
 * memory. No reference is kept: the caller copies what it needs now. */
int64_t pv_files_map_source(struct pv_files *f, int fd, int prot, int flags,
                            struct pv_files_source *ret);
/* Reads file content at off into iov for a source whose host_fd is -1: bytes, 0 at the end. */
int64_t pv_files_source_read(struct pv_files *f, const struct pv_files_source *source,
                             const struct iovec *iov, int n, uint64_t off);
/* Absolute path by which fd was opened, for /proc/self/maps and for events: length, or -errno
 * (-ENAMETOOLONG). NUL-terminated. */
int64_t pv_files_describe(struct pv_files *f, int fd, char *buf, size_t len);
