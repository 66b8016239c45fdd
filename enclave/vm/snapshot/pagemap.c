#include "snapshot/pagemap.h"

#include "memory/layout.h"
#include "pv/own.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

/* linux/fs.h of Linux 6.7, which Debian 12's headers do not have. */
struct scan {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL _IOWR('f', 16, struct scan)
enum { SCAN_FILE = 1 << 2, SCAN_PRESENT = 1 << 3, SCAN_SWAPPED = 1 << 4 };

/* Bits of an entry of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst). */
#define ENTRY_PRESENT (1ull << 63)
#define ENTRY_SWAPPED (1ull << 62)
#define ENTRY_FILE (1ull << 61)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int fd = -1; /* shows the memory of the process that opened it: owner */
static pid_t owner;
static bool has_scan;

static int pagemap(struct pv_err *err)
{
    struct scan none = {.size = sizeof none};

    (void)pthread_mutex_lock(&lock);
    if (fd < 0 || owner != getpid()) {
        if (fd >= 0)
            (void)close(fd);
        fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
        owner = getpid();
        has_scan = fd >= 0 && ioctl(fd, SCAN_IOCTL, &none) >= 0;
    }
    int rc = fd >= 0 ? fd : pv_fail(err, errno, "open /proc/self/pagemap");
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

int pv_pagemap_open(struct pv_err *err)
{
    int rc = pagemap(err);

    return rc < 0 ? rc : 0;
}

/* Pages that are there (or swapped out) and not the file's. */
static int look_by_scan(int from, uint64_t start, uint64_t end, struct pv_pages *ret,
                        uint64_t *ret_next, struct pv_err *err)
{
    struct scan s = {.size = sizeof s,
                     .start = start,
                     .end = end,
                     /* cppcheck-suppress ctuuninitvar ; only its address is taken */
                     .vec = (uint64_t)(uintptr_t)ret->v,
                     .vec_len = PV_PAGES_REGIONS,
                     .category_inverted = SCAN_FILE,
                     .category_mask = SCAN_FILE,
                     .category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
                     .return_mask = SCAN_FILE};
    int n = ioctl(from, SCAN_IOCTL, &s);

    if (n < 0)
        return pv_fail(err, errno, "look for written pages");
    ret->n = (unsigned)n;
    *ret_next = s.walk_end;
    return 0;
}

static bool written(uint64_t entry)
{
    return (entry & (ENTRY_PRESENT | ENTRY_SWAPPED)) && !(entry & ENTRY_FILE);
}

int pv_pagemap_read(uint64_t start, uint64_t end, struct pv_pages *ret, uint64_t *ret_next,
                    struct pv_err *err)
{
    enum { ENTRIES = 4096 };
    uint64_t entries[ENTRIES];
    uint64_t at = start;
    int from = pagemap(err);

    PV_TRY(from);
    ret->n = 0;
    while (at < end) {
        size_t want = (size_t)((end - at) / PV_PAGE);
        if (want > ENTRIES)
            want = ENTRIES;
        ssize_t got =
            pread(from, entries, want * sizeof *entries, (off_t)(at / PV_PAGE * sizeof *entries));
        if (got <= 0)
            return pv_fail(err, got < 0 ? errno : EIO, "read /proc/self/pagemap");
        for (size_t i = 0; i < (size_t)got / sizeof *entries; i++, at += PV_PAGE) {
            if (!written(entries[i]))
                continue;
            if (ret->n && ret->v[ret->n - 1].end == at) {
                ret->v[ret->n - 1].end += PV_PAGE;
            } else if (ret->n == PV_PAGES_REGIONS) {
                *ret_next = at;
                return 0;
            } else {
                ret->v[ret->n++] = (struct pv_pages_region){at, at + PV_PAGE, 0};
            }
        }
    }
    *ret_next = end;
    return 0;
}

int pv_pagemap_look(uint64_t start, uint64_t end, struct pv_pages *ret, uint64_t *ret_next,
                    struct pv_err *err)
{
    int from = pagemap(err);

    PV_TRY(from);
    return has_scan ? look_by_scan(from, start, end, ret, ret_next, err)
                    : pv_pagemap_read(start, end, ret, ret_next, err);
}

bool pv_pagemap_faults(uint64_t *ret)
{
    struct rusage usage;

    if (getrusage(RUSAGE_THREAD, &usage) < 0)
        return false;
    *ret = (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
    return true;
}
