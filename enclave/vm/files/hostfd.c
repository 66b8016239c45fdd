#include "files/hostfd.h"

#include "pv/own.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>

int pv_hostfds_init(struct pv_hostfds *h, uint32_t max, struct pv_err *err)
{
    *h = (struct pv_hostfds){.max = max};
    h->fd = calloc(max, sizeof *h->fd);
    h->kept = calloc(max, sizeof *h->kept);
    if (!h->fd || !h->kept)
        return pv_fail(err, ENOMEM, "allocate a domain's host descriptors");
    for (uint32_t i = 0; i < max; i++)
        h->fd[i] = -1;
    return 0;
}

void pv_hostfds_done(struct pv_hostfds *h)
{
    for (uint32_t i = 0; i < h->high; i++)
        if (h->fd[i] >= 0)
            close(h->fd[i]);
    free(h->fd);
    free(h->kept);
    *h = (struct pv_hostfds){0};
}

int pv_hostfds_add(struct pv_hostfds *h, int fd)
{
    for (uint32_t i = 0; i < h->max; i++) {
        if (h->fd[i] >= 0)
            continue;
        h->fd[i] = fd;
        h->loose++;
        if (i >= h->high)
            h->high = i + 1;
        return (int)i;
    }
    close(fd);
    return -ENFILE;
}

void pv_hostfds_drop(struct pv_hostfds *h, int slot)
{
    assert(slot >= 0 && (uint32_t)slot < h->high && h->fd[slot] >= 0);
    if (h->kept[slot])
        return;
    close(h->fd[slot]);
    h->fd[slot] = -1;
    h->loose--;
}

int pv_hostfds_get(const struct pv_hostfds *h, int slot)
{
    assert(slot >= 0 && (uint32_t)slot < h->high && h->fd[slot] >= 0);
    return h->fd[slot];
}

void pv_hostfds_seal(struct pv_hostfds *h)
{
    for (uint32_t i = 0; i < h->high; i++)
        h->kept[i] = h->fd[i] >= 0;
    h->loose = 0;
}

static int again(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

int pv_hostfds_clone(const struct pv_hostfds *from, struct pv_hostfds *to, struct pv_err *err)
{
    PV_TRY(pv_hostfds_init(to, from->max, err));
    for (uint32_t i = 0; i < from->high; i++) {
        to->high = i + 1;
        if (from->fd[i] < 0)
            continue;
        to->fd[i] = again(from->fd[i]);
        if (to->fd[i] < 0)
            return pv_fail(err, errno, "duplicate a descriptor for a clone");
        to->kept[i] = true;
    }
    return 0;
}

void pv_hostfds_reset(struct pv_hostfds *h)
{
    for (uint32_t i = 0; h->loose > 0 && i < h->high; i++)
        if (h->fd[i] >= 0 && !h->kept[i])
            pv_hostfds_drop(h, (int)i);
}
