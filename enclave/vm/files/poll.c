/* poll and select, evaluated at once. */
#include "files/epoll.h"
#include "files/file.h"

static short poll_one(struct pv_files *f, int fd, short events)
{
    pv_ref file = pv_fd_file(f, fd);

    if (fd < 0)
        return 0;
    if (!file)
        return POLLNVAL;
    return (short)(pv_poll_file(f, file) & (events | POLLERR | POLLHUP));
}

int64_t pv_files_poll(struct pv_files *f, struct pollfd *fds, size_t n)
{
    int64_t ready = 0;

    if (n > pv_state(f)->fd_max)
        return -EINVAL;
    for (size_t i = 0; i < n; i++) {
        fds[i].revents = poll_one(f, fds[i].fd, fds[i].events);
        ready += fds[i].revents != 0;
    }
    return ready;
}

/* Leaves in the set what is ready, and counts it. */
static int64_t select_set(struct pv_files *f, int n, fd_set *set, short mask)
{
    int64_t ready = 0;
    int end = (n + NFDBITS - 1) / NFDBITS * NFDBITS; /* whole words are written, as Linux does */

    for (int fd = 0; set && fd < end; fd++) {
        if (!FD_ISSET(fd, set))
            continue;
        if (fd < n && pv_poll_file(f, pv_fd_file(f, fd)) & mask)
            ready++;
        else
            FD_CLR(fd, set);
    }
    return ready;
}

static bool all_open(const struct pv_files *f, int n, const fd_set *set)
{
    for (int fd = 0; set && fd < n; fd++)
        if (FD_ISSET(fd, set) && !pv_fd_file(f, fd))
            return false;
    return true;
}

int64_t pv_files_select(struct pv_files *f, int n, fd_set *in, fd_set *out, fd_set *except)
{
    if (n < 0)
        return -EINVAL;
    if (n > FD_SETSIZE)
        n = FD_SETSIZE;
    if (!all_open(f, n, in) || !all_open(f, n, out) || !all_open(f, n, except))
        return -EBADF;
    return select_set(f, n, in, POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR) +
           select_set(f, n, out, POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR) +
           select_set(f, n, except, POLLPRI);
}
