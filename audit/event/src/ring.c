/* What both sides of a ring agree on: making the file, mapping and checking it. */
#include "ring_map.h"

#include "pv/own.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

_Static_assert(sizeof(struct pv_ring_header) <= PV_RING_HEADER_BYTES, "the header is one page");
_Static_assert(PV_RING_HEADER_BYTES + PV_RING_BYTES == PV_RING_FILE_BYTES, "header and data");
_Static_assert((PV_RING_BYTES & (PV_RING_BYTES - 1)) == 0, "offsets are masked");

int pv_ring_create(int dir_fd, const char *name, const struct pv_domain_id *domain,
                   struct pv_err *err)
{
    pv_autoclose int fd =
        openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return pv_fail(err, errno, "create ring '%s'", name);
    /* Reserved, not sparse: a write into a hole on a full disk would be a SIGBUS in the producer.
     */
    int rc = posix_fallocate(fd, 0, PV_RING_HEADER_BYTES + PV_RING_BYTES);
    struct pv_ring_header h;
    memset(&h, 0, sizeof h);
    h.magic = PV_RING_MAGIC;
    h.data_bytes = PV_RING_BYTES;
    memcpy(h.domain, domain->bytes, sizeof h.domain);
    if (rc == 0 && pwrite(fd, &h, sizeof h, 0) != (ssize_t)sizeof h)
        rc = errno ? errno : EIO;
    if (rc) {
        (void)unlinkat(dir_fd, name, 0);
        return pv_fail(err, rc, "reserve %u bytes for ring '%s'", PV_RING_BYTES, name);
    }
    return PV_TAKE_FD(fd);
}

int pv_ring_map(int fd, struct pv_ring_map *ret, struct pv_err *err)
{
    struct stat st;
    size_t bytes = PV_RING_HEADER_BYTES + PV_RING_BYTES;
    if (fstat(fd, &st) < 0)
        return pv_fail(err, errno, "stat the ring");
    if (!S_ISREG(st.st_mode) || st.st_size != (off_t)bytes)
        return pv_refuse(err, EBADMSG, "ring has %jd bytes, not %zu", (intmax_t)st.st_size, bytes);
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return pv_fail(err, errno, "map the ring");
    /* else the first write of each side reads hundreds of pages ahead, of a file that is a hole */
    (void)madvise(p, bytes, MADV_RANDOM);
    struct pv_ring_header *h = p;
    if (h->magic != PV_RING_MAGIC || h->data_bytes != PV_RING_BYTES) {
        munmap(p, bytes);
        return pv_refuse(err, EBADMSG, "ring header is damaged");
    }
    *ret = (struct pv_ring_map){h, (uint8_t *)p + PV_RING_HEADER_BYTES};
    return 0;
}

void pv_ring_unmap(struct pv_ring_map *m)
{
    if (m->header)
        munmap(m->header, PV_RING_HEADER_BYTES + PV_RING_BYTES);
    *m = (struct pv_ring_map){NULL, NULL};
}
