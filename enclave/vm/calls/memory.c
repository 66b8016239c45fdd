#include "calls/shim.h"
#include "calls/theme.h"

#include <errno.h>
#include <linux/mman.h>
#include <string.h>
#include <sys/mman.h>

enum { SPANS_MAX = 256 };

/* Reads what the spans hold from a file: bytes, less at its end. */
static int64_t read_source(struct pv_vm *vm, const struct pv_files_source *source,
                           const struct iovec *v, int n, uint64_t off)
{
    if (source->host_fd < 0)
        return pv_files_source_read(vm->files, source, v, n, off);
    ssize_t got = preadv(source->host_fd, v, n, (off_t)off);
    return got < 0 ? -errno : got;
}

/* Copies the file's pages into a fresh mapping. */
static int64_t fill(struct pv_vm *vm, const struct pv_files_source *source, uint64_t at,
                    uint64_t len, uint64_t off)
{
    while (len) {
        struct iovec v[SPANS_MAX];
        int n = 0;
        int64_t room = pv_access_fill(&vm->space, at, len, v, SPANS_MAX, &n);

        if (room <= 0)
            return -ENOMEM;
        if (off < source->size_bytes) {
            int64_t got = read_source(vm, source, v, n, off);
            if (got < 0)
                return got;
        }
        at += (uint64_t)room;
        off += (uint64_t)room;
        len -= (uint64_t)room;
    }
    return 0;
}

static int64_t map_file(struct pv_vm *vm, const struct pv_mapping *wanted, int fd)
{
    struct pv_mapping w = *wanted;
    struct pv_files_source source;
    char name[4096] = "/";

    if (w.offset % PV_PAGE || w.offset > INT64_MAX - w.len)
        return -EINVAL;
    int64_t rc = pv_files_map_source(vm->files, fd, w.prot, w.flags, &source);
    if (rc < 0)
        return rc;
    if (source.zero)
        return pv_space_map(&vm->space, &w);
    if (pv_files_describe(vm->files, fd, name, sizeof name) < 0 || *name != '/')
        (void)snprintf(name, sizeof name, "/memfd");
    rc = pv_files_map_source(vm->files, fd, w.prot, w.flags, &source);
    if (rc < 0)
        return rc;
    w.file = true;
    w.name = name;
    if (source.host_fd >= 0) {
        w.dev = source.dev;
        w.ino = source.ino;
    }
    if (pv_space_holds(&vm->space, &w)) {
        rc = pv_space_protect(&vm->space, w.at, w.len, w.prot);
        return rc < 0 ? rc : (int64_t)w.at;
    }
    int64_t at = pv_space_map(&vm->space, &w);
    if (at < 0)
        return at;
    rc = fill(vm, &source, (uint64_t)at, pv_page_up(w.len), w.offset);
    if (rc < 0) {
        (void)pv_space_unmap(&vm->space, (uint64_t)at, w.len);
        return rc;
    }
    return at;
}

int64_t call_mmap(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int type = (int)a[3] & MAP_TYPE;
    struct pv_mapping w = {.at = a[0],
                           .len = a[1],
                           .prot = (int)a[2] & (PROT_READ | PROT_WRITE | PROT_EXEC),
                           .flags = (int)a[3],
                           .name = "",
                           .offset = a[5]};

    (void)t;
    if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
        return -EINVAL;
    if (w.len == 0)
        return -EINVAL;
    if (w.len > PV_USER_MAX)
        return -ENOMEM;
    if (w.flags & MAP_HUGETLB)
        return -ENOMEM;
    if (w.flags & MAP_ANONYMOUS) {
        w.offset = 0;
        return pv_space_map(&vm->space, &w);
    }
    return map_file(vm, &w, (int)a[4]);
}

int64_t call_munmap(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_space_unmap(&vm->space, a[0], a[1]);
}

int64_t call_mprotect(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_space_protect(&vm->space, a[0], a[1], (int)a[2]);
}

int64_t call_mremap(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_space_remap(&vm->space, a[0], a[1], a[2], (int)a[3], a[4]);
}

int64_t call_brk(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int64_t end = pv_space_brk(&vm->space, a[0]);

    (void)t;
    pv_shim_heap(vm);
    return end;
}

int64_t call_madvise(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    if (a[0] % PV_PAGE)
        return -EINVAL;
    if (a[0] > PV_USER_MAX || a[1] > PV_USER_MAX - a[0])
        return -EINVAL;
    switch ((int)a[2]) {
    case MADV_DONTNEED:
    case MADV_REMOVE:
        return pv_space_discard(&vm->space, a[0], a[1]);
    case MADV_NORMAL:
    case MADV_RANDOM:
    case MADV_SEQUENTIAL:
    case MADV_WILLNEED:
    case MADV_FREE:
    case MADV_DONTFORK:
    case MADV_DOFORK:
    case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE:
    case MADV_DONTDUMP:
    case MADV_DODUMP:
    case MADV_COLD:
    case MADV_PAGEOUT:
        return pv_space_covers(&vm->space, a[0], pv_page_up(a[1])) ? 0 : -ENOMEM;
    default:
        return -EINVAL;
    }
}

static int need_mapped(struct pv_vm *vm, uint64_t at, uint64_t len)
{
    if (at > PV_USER_MAX || len > PV_USER_MAX - at)
        return -ENOMEM;
    return pv_space_covers(&vm->space, pv_page_down(at), pv_page_up(len + at % PV_PAGE)) ? 0
                                                                                         : -ENOMEM;
}

int64_t call_msync(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    if (a[0] % PV_PAGE || a[2] & ~(uint64_t)(MS_ASYNC | MS_SYNC | MS_INVALIDATE))
        return -EINVAL;
    return need_mapped(vm, a[0], a[1]);
}

int64_t call_mlock(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return need_mapped(vm, a[0], a[1]);
}

/* For each of n pages from va on, whether it has a frame. */
static void residency(const struct pv_vm *vm, uint64_t va, uint64_t n, uint8_t *ret)
{
    uint64_t end = va + n * PV_PAGE;

    memset(ret, 0, n);
    for (uint64_t at = va; at < end;) {
        const uint64_t *entry = pv_tables_find(&vm->memory, at);
        uint64_t stop = pv_tables_next(&vm->memory, at);

        for (; entry && at < stop && at < end; at += PV_PAGE, entry++)
            ret[(at - va) / PV_PAGE] = (*entry & PV_PTE_FRAME) != 0;
        at = stop;
    }
}

int64_t call_mincore(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint8_t there[PV_PAGE];
    uint64_t pages;

    (void)t;
    if (a[0] % PV_PAGE)
        return -EINVAL;
    PV_TRY(need_mapped(vm, a[0], a[1]));
    pages = pv_page_up(a[1]) / PV_PAGE;
    for (uint64_t i = 0, n; i < pages; i += n) {
        n = pages - i < sizeof there ? pages - i : sizeof there;
        residency(vm, a[0] + i * PV_PAGE, n, there);
        if (pv_copy_out(&vm->space, a[2] + i, there, n) < 0)
            return -EFAULT;
    }
    return 0;
}
