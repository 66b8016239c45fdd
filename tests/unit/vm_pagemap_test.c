/* Written pages of a private mapping: PAGEMAP_SCAN and the reading of /proc/self/pagemap, which
 * kernels before 6.7 have instead, find the same, and all that was written. */
#include "memory/layout.h"
#include "snapshot/pagemap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAGES = 6000 };

typedef int (*look_fn)(uint64_t start, uint64_t end, struct pv_pages *ret, uint64_t *ret_next,
                       struct pv_err *err);

static void collect(look_fn look, const char *p, uint8_t found[PAGES])
{
    uint64_t base = (uint64_t)(uintptr_t)p;
    uint64_t end = base + (uint64_t)PAGES * PV_PAGE;
    struct pv_err err = PV_ERR_INIT;
    struct pv_pages pages;

    memset(found, 0, PAGES);
    for (uint64_t at = base; at < end;) {
        assert_int_equal(look(at, end, &pages, &at, &err), 0);
        for (unsigned i = 0; i < pages.n; i++)
            for (uint64_t a = pages.v[i].start; a < pages.v[i].end; a += PV_PAGE)
                found[(a - base) / PV_PAGE]++;
    }
}

static void both_find_what_was_written(void **state)
{
    static uint8_t written[PAGES], scanned[PAGES], read_back[PAGES];
    unsigned seed = 3;
    int fd = memfd_create("pages", MFD_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)PAGES * PV_PAGE), 0);
    volatile char *p =
        mmap(NULL, (size_t)PAGES * PV_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_true(p != MAP_FAILED);
    for (int i = 0; i < PAGES; i++) {
        int what = rand_r(&seed) % 4;

        if (what == 0)
            (void)p[(size_t)i * PV_PAGE]; /* read only: stays the file's */
        written[i] = what == 1;
        if (what == 1)
            p[(size_t)i * PV_PAGE] = 1;
    }
    collect(pv_pagemap_look, (const char *)(uintptr_t)p, scanned);
    collect(pv_pagemap_read, (const char *)(uintptr_t)p, read_back);
    assert_memory_equal(scanned, written, PAGES); /* each once, and no other */
    assert_memory_equal(read_back, written, PAGES);
    munmap((void *)(uintptr_t)p, (size_t)PAGES * PV_PAGE);
    close(fd);
}

static uint64_t faults(void)
{
    uint64_t n = 0;

    assert_true(pv_pagemap_faults(&n));
    return n;
}

/* A page becomes the mapping's own only by a fault that is counted: a reset relies on it. */
static void no_page_is_written_without_a_fault(void **state)
{
    enum { STORE, READ, RANDOM, POPULATE, WAYS };
    int fd = memfd_create("pages", MFD_CLOEXEC);
    struct pv_err err = PV_ERR_INIT;
    struct pv_pages pages;
    uint64_t next;

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)PAGES * PV_PAGE), 0);
    volatile char *p =
        mmap(NULL, (size_t)PAGES * PV_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    assert_true(p != MAP_FAILED);
    uint64_t end = (uint64_t)(uintptr_t)p + (uint64_t)PAGES * PV_PAGE;
    for (int i = 0; i < PAGES; i += 20)
        (void)p[(size_t)i * PV_PAGE];
    for (int way = 0; way < WAYS; way++) {
        for (int i = way; i < PAGES; i += 100) {
            void *page = (void *)(uintptr_t)(p + (size_t)i * PV_PAGE);
            uint64_t before = faults();

            if (way == STORE)
                *(volatile char *)page = 1;
            else if (way == READ)
                assert_int_equal(pread(fd, page, 8, 0), 8);
            else if (way == RANDOM)
                assert_int_equal(getrandom(page, 8, 0), 8);
            else if (madvise(page, PV_PAGE, 23 /* MADV_POPULATE_WRITE */) < 0)
                *(volatile char *)page = 1; /* before Linux 5.14 */
            assert_true(faults() > before);
        }
    }
    assert_int_equal(pv_pagemap_look((uint64_t)(uintptr_t)p, end, &pages, &next, &err), 0);
    unsigned found = 0;
    for (unsigned i = 0; i < pages.n; i++)
        found += (unsigned)((pages.v[i].end - pages.v[i].start) / PV_PAGE);
    assert_int_equal(found, WAYS * PAGES / 100);
    munmap((void *)(uintptr_t)p, (size_t)PAGES * PV_PAGE);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(both_find_what_was_written),
                                       cmocka_unit_test(no_page_is_written_without_a_fault)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
