/* A micro-VM domain's files under random calls: each input is a list of calls on a clone, which is
 * then reset and must equal its snapshot byte by byte. */
#include "files/domain.h"
#include "vm_files_fixture.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SCRATCH = 1 << 15, CALLS_MAX = 400 };

static struct fixture fx;
static struct pv_files *sealed;
static struct pv_files *domain;
static uint8_t scratch[SCRATCH];

struct input {
    const uint8_t *p;
    size_t left;
};

static uint8_t u8(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->p++;
}

static uint32_t u32(struct input *in)
{
    uint32_t v = u8(in);

    return v & 0x80 ? v << 24 | (uint32_t)u8(in) << 16 | (uint32_t)u8(in) << 8 | u8(in) : v;
}

static int64_t offset(struct input *in)
{
    int64_t v = (int64_t)u32(in);

    return u8(in) & 1 ? v : (int64_t)((uint64_t)v << 31);
}

static int fd_of(struct input *in)
{
    int v = u8(in);

    return v < 200 ? v % 24 : v < 240 ? AT_FDCWD : (int)u32(in);
}

/* One byte chooses among paths that mean something, or says how long the raw one is. */
static const char *path_of(struct input *in)
{
    static const char *const known[] = {
        "/tmp/a",
        "/tmp/b",
        "/tmp/d",
        "/tmp/d/a",
        "/tmp/d/e",
        "a",
        "b",
        "..",
        ".",
        "/",
        "",
        "/etc/hello",
        "/link",
        "/up/hello",
        "/loop",
        "/proc/self/fd/3",
        "/proc/self/exe",
        "/proc/meminfo",
        "/dev/null",
        "/dev/fd/4",
        "/dev/shm/x",
        "/tmp/a/",
        "/tmp/d/..",
        "/proc/self/fd",
        "/dev/zero",
        "/proc/self/cwd/a",
    };
    static char raw[2][256];
    static int turn;
    uint8_t n = u8(in);

    if (n < 4 * sizeof known / sizeof *known)
        return known[n % (sizeof known / sizeof *known)];
    turn = !turn;
    for (size_t i = 0; i < n; i++)
        raw[turn][i] = (char)u8(in);
    raw[turn][n] = '\0';
    return raw[turn];
}

/* A few pieces of the scratch memory. */
static int pieces(struct input *in, struct iovec iov[4])
{
    int n = u8(in) % 5;

    for (int i = 0; i < n; i++) {
        size_t at = u32(in) % SCRATCH;
        size_t len = u32(in) % SCRATCH;

        iov[i] = (struct iovec){scratch + at, len < SCRATCH - at ? len : SCRATCH - at};
    }
    return n;
}

static void data_call(struct input *in, uint8_t op)
{
    struct iovec iov[4];
    int fd = fd_of(in);
    int n = pieces(in, iov);
    int64_t a = offset(in);
    int64_t b = offset(in);
    int flags = 0;

    switch (op % 12) {
    case 0:
        pv_files_read(domain, fd, iov, n);
        break;
    case 1:
        pv_files_write(domain, fd, iov, n);
        break;
    case 2:
        pv_files_pread(domain, fd, iov, n, a);
        break;
    case 3:
        pv_files_pwrite(domain, fd, iov, n, a);
        break;
    case 4:
        pv_files_lseek(domain, fd, a, u8(in) % 6);
        break;
    case 5:
        pv_files_ftruncate(domain, fd, a);
        break;
    case 6:
        pv_files_fallocate(domain, fd, u8(in), a % (1 << 24), b % (1 << 24));
        break;
    case 7:
        pv_files_sendfile(domain, fd, fd_of(in), u8(in) & 1 ? &a : NULL, u32(in) % (1 << 20));
        break;
    case 8:
        pv_files_copy_file_range(domain, fd, NULL, fd_of(in), &a, u32(in) % (1 << 20), 0);
        break;
    case 9:
        pv_files_recvfrom(domain, fd, iov, n, (int)u32(in), NULL, NULL, &flags);
        break;
    case 10:
        pv_files_sendto(domain, fd, iov, n, (int)u32(in), NULL, 0);
        break;
    default:
        pv_files_preadv2(domain, fd, iov, n, -1, u8(in));
        break;
    }
}

static void name_call(struct input *in, uint8_t op)
{
    const char *path = path_of(in);
    int dir = fd_of(in);
    struct stat st;
    struct statx sx;
    struct statfs sf;
    struct open_how how = {.flags = u32(in), .mode = u8(in), .resolve = u8(in)};

    switch (op % 18) {
    case 0:
    case 1:
        pv_files_openat(domain, dir, path, (int)u32(in), u32(in));
        break;
    case 2:
        pv_files_openat(domain, dir, path, O_CREAT | O_RDWR, 0644);
        break;
    case 3:
        pv_files_openat2(domain, dir, path, &how, sizeof how);
        break;
    case 4:
        pv_files_mkdirat(domain, dir, path, u32(in));
        break;
    case 5:
        pv_files_unlinkat(domain, dir, path, u8(in) & 1 ? AT_REMOVEDIR : 0);
        break;
    case 6:
        pv_files_renameat2(domain, dir, path, fd_of(in), path_of(in), u8(in) % 5);
        break;
    case 7:
        pv_files_linkat(domain, dir, path, fd_of(in), path_of(in),
                        u8(in) & 1 ? AT_SYMLINK_FOLLOW : 0);
        break;
    case 8:
        pv_files_symlinkat(domain, path_of(in), dir, path);
        break;
    case 9:
        pv_files_newfstatat(domain, dir, path, &st, (int)u32(in));
        break;
    case 10:
        pv_files_statx(domain, dir, path, (int)u32(in), u8(in), &sx);
        break;
    case 11:
        pv_files_faccessat2(domain, dir, path, u8(in), (int)u32(in));
        break;
    case 12:
        pv_files_readlinkat(domain, dir, path, (char *)scratch, u32(in) % SCRATCH);
        break;
    case 13:
        pv_files_chdir(domain, path);
        break;
    case 14:
        pv_files_fchmodat(domain, dir, path, u32(in));
        break;
    case 15:
        pv_files_fchownat(domain, dir, path, u8(in), u8(in), 0);
        break;
    case 16:
        pv_files_truncate(domain, path, offset(in));
        break;
    default:
        pv_files_statfs(domain, path, &sf);
        break;
    }
}

static void fd_call(struct input *in, uint8_t op)
{
    int fd = fd_of(in);
    int value = (int)u32(in);
    struct stat st;
    struct flock lock = {.l_type = (short)(u8(in) % 4),
                         .l_whence = (short)(u8(in) % 4),
                         .l_start = offset(in),
                         .l_len = offset(in)};
    struct pv_files_source source;
    const struct iovec iov = {scratch, 4096};

    switch (op % 16) {
    case 0:
    case 1:
        pv_files_close(domain, fd);
        break;
    case 2:
        pv_files_dup(domain, fd);
        break;
    case 3:
        pv_files_dup2(domain, fd, fd_of(in));
        break;
    case 4:
        pv_files_dup3(domain, fd, fd_of(in), value);
        break;
    case 5:
        pv_files_fcntl(domain, fd, value % 1040, u32(in));
        break;
    case 6:
        pv_files_fcntl_lock(domain, fd, value % 40, &lock);
        break;
    case 7:
        pv_files_flock(domain, fd, value);
        break;
    case 8:
        pv_files_ioctl(domain, fd, u8(in) & 1 ? FIONREAD : FIONBIO, &value);
        break;
    case 9:
        pv_files_fstat(domain, fd, &st);
        break;
    case 10:
        pv_files_getdents64(domain, fd, scratch, u32(in) % SCRATCH);
        break;
    case 11:
        pv_files_getdents(domain, fd, scratch, u32(in) % SCRATCH);
        break;
    case 12:
        pv_files_close_range(domain, (unsigned)fd, u32(in), u8(in) & 4);
        break;
    case 13:
        if (pv_files_map_source(domain, fd, PROT_READ, MAP_PRIVATE, &source) == 0 &&
            source.host_fd < 0 && !source.zero)
            pv_files_source_read(domain, &source, &iov, 1, (uint64_t)offset(in));
        break;
    case 14:
        pv_files_fchdir(domain, fd);
        break;
    default:
        pv_files_describe(domain, fd, (char *)scratch, u32(in) % SCRATCH);
        break;
    }
}

static void object_call(struct input *in, uint8_t op)
{
    struct epoll_event events[8] = {{.events = u32(in), .data.u64 = u8(in)}};
    struct pollfd polled[3] = {
        {fd_of(in), (short)u32(in), 0}, {fd_of(in), POLLIN, 0}, {fd_of(in), POLLOUT, 0}};
    const struct itimerspec when = {{0, (long)u32(in) % 1000000000},
                                    {u8(in) & 1, (long)u32(in) % 1000000000}};
    int fds[2];
    socklen_t len = 16;

    switch (op % 16) {
    case 0:
        pv_files_pipe2(domain, fds, u8(in) & 1 ? O_NONBLOCK : O_CLOEXEC);
        break;
    case 1:
        pv_files_eventfd2(domain, u32(in), u8(in) & 1);
        break;
    case 2:
        pv_files_timerfd_create(domain, u8(in) % 10, 0);
        break;
    case 3:
        pv_files_timerfd_settime(domain, fd_of(in), u8(in) & 3, &when, NULL);
        break;
    case 4:
        pv_files_epoll_create1(domain, 0);
        break;
    case 5:
    case 6:
        pv_files_epoll_ctl(domain, fd_of(in), u8(in) % 5, fd_of(in), events);
        break;
    case 7:
        pv_files_epoll_wait(domain, fd_of(in), events, u8(in) % 9);
        break;
    case 8:
        pv_files_poll(domain, polled, 3);
        break;
    case 9:
        pv_files_socketpair(domain, AF_UNIX, u8(in) % 6, 0, fds);
        break;
    case 10:
        pv_files_socket(domain, u8(in), u8(in), 0);
        break;
    case 11:
        pv_files_shutdown(domain, fd_of(in), u8(in) % 4);
        break;
    case 12:
        pv_files_memfd_create(domain, path_of(in), u8(in));
        break;
    case 13:
        pv_files_getsockopt(domain, fd_of(in), u8(in) % 42, u8(in), scratch, &len);
        break;
    case 14:
        pv_files_setsockopt(domain, fd_of(in), u8(in) % 42, u8(in), scratch, u8(in));
        break;
    default:
        fx.skip_ns = u32(in);
        pv_files_next_timer_ns(domain);
        break;
    }
}

static void one_call(struct input *in)
{
    uint8_t op = u8(in);

    switch (op >> 6) {
    case 0:
        data_call(in, op);
        break;
    case 1:
        name_call(in, op);
        break;
    case 2:
        fd_call(in, op);
        break;
    default:
        object_call(in, op);
        break;
    }
}

static void clean_up(void)
{
    pv_files_free(domain);
    pv_files_free(sealed);
    fixture_close(&fx);
}

static void set_up(void)
{
    struct pv_err err = PV_ERR_INIT;

    fixture_open(&fx);
    fx.in = "a request";
    fx.spec.limits = (struct pv_files_limits){.tmp_bytes = 1 << 20,
                                              .tmp_nodes = 40,
                                              .descriptors = 24,
                                              .pipe_bytes = 1 << 18,
                                              .tree_nodes = 12};
    if (pv_files_new(&fx.spec, &sealed, &err) < 0 ||
        pv_files_openat(sealed, AT_FDCWD, "/tmp/a", O_CREAT | O_RDWR, 0644) != 3 ||
        fx_puts(sealed, 3, "sealed") != 6 ||
        pv_files_mkdirat(sealed, AT_FDCWD, "/tmp/d", 0755) < 0 || pv_files_seal(sealed, &err) < 0 ||
        pv_files_clone(sealed, &fx.spec, &domain, &err) < 0)
        abort();
    atexit(clean_up);
}

static bool zero(const uint8_t *p, size_t len)
{
    return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* Everything is as in the snapshot: the image, and beyond it nothing. */
static void check_reset(void)
{
    size_t len;
    const struct pv_arena *arena = &domain->arena;
    const uint8_t *image = pv_arena_image(arena, &len);

    if (memcmp(arena->base, image, len) != 0 || domain->hosts.loose != 0)
        abort();
    for (size_t page = len / PV_PAGE; page < arena->pages; page++)
        if (arena->own[page / 64] >> (page % 64) & 1 &&
            !zero(arena->base + page * PV_PAGE, PV_PAGE))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    if (!domain)
        set_up();
    fx.skip_ns = 0;
    fx.in_off = 0;
    for (int i = 0; i < CALLS_MAX && in.left > 0; i++)
        one_call(&in);
    pv_files_reset(domain);
    check_reset();
    return 0;
}
