#include "waiting.h"

#include "state.h"

#include "pv/clock.h"
#include "pv/own.h"
#include "pv/ring.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Only counters that grow: read without the atomics, which hold within one process. */
static bool read_counter(int fd, size_t offset, uint64_t *ret)
{
    return pread(fd, ret, sizeof *ret, (off_t)offset) == (ssize_t)sizeof *ret;
}

static void add_ring(int dir_fd, const char *name, uint64_t *waiting, uint64_t *taken)
{
    uint64_t head, tail;
    pv_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || !read_counter(fd, offsetof(struct pv_ring_header, tail), &tail) ||
        !read_counter(fd, offsetof(struct pv_ring_header, head), &head))
        return;
    *taken += tail;
    *waiting += head > tail && head - tail <= PV_RING_BYTES ? head - tail : 0;
}

/* Bytes that wait in all rings, and bytes ever taken out of them. */
static bool look_at_rings(const struct cli *cli, uint64_t *ret_waiting, uint64_t *ret_taken)
{
    int fd = -1;
    *ret_waiting = *ret_taken = 0;
    if (cli_state_open(cli, "rings", &fd, NULL) < 0)
        return false;
    DIR *d = fdopendir(fd);
    if (!d) {
        (void)close(fd);
        return false;
    }
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            add_ring(dirfd(d), e->d_name, ret_waiting, ret_taken);
    (void)closedir(d);
    return true;
}

/* The list of checkpoints is written to with each of them, and with nothing else. */
static bool last_signed(const struct cli *cli, uint64_t *ret_s)
{
    struct stat st;
    pv_autoclose int fd = -1;
    if (cli_state_open(cli, "log", &fd, NULL) < 0 ||
        fstatat(fd, "checkpoints", &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    time_t now = time(NULL);
    *ret_s = now > st.st_mtim.tv_sec ? (uint64_t)(now - st.st_mtim.tv_sec) : 0;
    return true;
}

static bool seems_stuck(const struct cli_waiting *w)
{
    return w->rings_known && w->bytes && w->signed_known && w->signed_s >= CLI_STUCK_S;
}

void cli_look_at_waiting(const struct cli *cli, struct cli_waiting *ret)
{
    enum { LOOKS = 10 };
    const struct timespec pause = {.tv_nsec = (long)(PV_NS_PER_S / LOOKS)};
    uint64_t before, taken;
    *ret = (struct cli_waiting){.stuck = false};
    ret->signed_known = last_signed(cli, &ret->signed_s);
    ret->rings_known = look_at_rings(cli, &ret->bytes, &before);
    /* An event that came just now, after a quiet time, is taken at once. */
    for (unsigned i = 0; i < LOOKS; i++) {
        if (!seems_stuck(ret))
            return;
        (void)nanosleep(&pause, NULL);
        ret->signed_known = last_signed(cli, &ret->signed_s);
        ret->rings_known = look_at_rings(cli, &ret->bytes, &taken);
        if (taken != before)
            return;
    }
    ret->stuck = seems_stuck(ret);
}
