/* The ELF loader of micro-VMs: any file is loaded or refused with a reason, within its memory. */
#include "program/elf.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

/* Every area that the loader made lies where programs may be. */
static void check_areas(const struct pv_space *s)
{
    for (unsigned i = 0; i < s->n_areas; i++) {
        require(s->areas[i].start >= PV_USER_MIN && s->areas[i].end <= PV_USER_MAX);
        require(s->areas[i].start < s->areas[i].end);
        require(i == 0 || s->areas[i - 1].end <= s->areas[i].start);
    }
}

static void load(const struct pv_elf *e, int fd)
{
    struct pv_memory memory;
    struct pv_space space;
    struct pv_err err = PV_ERR_INIT;

    require(pv_memory_new(&memory, 2 << 20, &err) == 0);
    require(pv_space_init(&space, &memory, &err) == 0);
    if (pv_elf_load(e, fd, "/program", e->fixed ? 0 : PV_PIE_BASE, &space, &err) < 0)
        require(*err.text != 0);
    check_areas(&space);
    pv_space_done(&space);
    pv_memory_done(&memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_elf e;
    int fd = memfd_create("elf", MFD_CLOEXEC);

    require(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    if (pv_elf_read(&e, fd, "/program", &err) == 0)
        load(&e, fd);
    else
        require(*err.text != 0);
    close(fd);
    return 0;
}
