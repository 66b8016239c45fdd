#include "program/elf.h"

#include "memory/access.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_header(const Elf64_Ehdr *h, const char *name, struct pv_err *err)
{
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
        return pv_refuse(err, ENOEXEC, "'%s' is no program: neither ELF nor a '#!' line", name);
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_machine != EM_X86_64 ||
        h->e_ident[EI_DATA] != ELFDATA2LSB)
        return pv_refuse(err, ENOEXEC, "'%s' is no program for 64-bit x86", name);
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return pv_refuse(err, ENOEXEC, "'%s' is an ELF file, but no program", name);
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 || h->e_phnum > PV_ELF_SEGMENTS_MAX)
        return pv_refuse(err, ENOEXEC, "'%s' has %u program headers", name, h->e_phnum);
    return 0;
}

static int add_interp(struct pv_elf *e, const Elf64_Phdr *p, int fd, const char *name,
                      struct pv_err *err)
{
    if (p->p_filesz < 2 || p->p_filesz > sizeof e->interp ||
        pread(fd, e->interp, p->p_filesz, (off_t)p->p_offset) != (ssize_t)p->p_filesz ||
        e->interp[p->p_filesz - 1] != 0)
        return pv_refuse(err, ENOEXEC, "'%s' names its interpreter wrongly", name);
    return 0;
}

static int add_segment(struct pv_elf *e, const Elf64_Phdr *p, uint64_t file_size, const char *name,
                       struct pv_err *err)
{
    struct pv_elf_segment *s = &e->segments[e->n_segments];

    if (p->p_memsz == 0)
        return 0;
    if (p->p_filesz > p->p_memsz || p->p_vaddr > PV_USER_MAX ||
        p->p_memsz > PV_USER_MAX - p->p_vaddr || p->p_offset > file_size ||
        p->p_filesz > file_size - p->p_offset || (p->p_vaddr - p->p_offset) % PV_PAGE != 0)
        return pv_refuse(err, ENOEXEC, "'%s' has a segment that cannot be loaded", name);
    *s = (struct pv_elf_segment){.at = p->p_vaddr,
                                 .offset = p->p_offset,
                                 .file_len = p->p_filesz,
                                 .len = p->p_memsz,
                                 .prot = (p->p_flags & PF_R ? PROT_READ : 0) |
                                         (p->p_flags & PF_W ? PROT_WRITE : 0) |
                                         (p->p_flags & PF_X ? PROT_EXEC : 0)};
    if (e->n_segments && s->at < e->segments[e->n_segments - 1].at)
        return pv_refuse(err, ENOEXEC, "'%s' has segments out of order", name);
    if (!e->n_segments)
        e->start = pv_page_down(s->at);
    uint64_t end = pv_page_up(s->at + s->len);
    if (end > e->end)
        e->end = end;
    e->n_segments++;
    return 0;
}

static void find_headers(struct pv_elf *e, const Elf64_Ehdr *h)
{
    for (unsigned i = 0; i < e->n_segments; i++) {
        const struct pv_elf_segment *s = &e->segments[i];

        if (h->e_phoff >= s->offset && h->e_phoff < s->offset + s->file_len)
            e->headers = s->at + (h->e_phoff - s->offset);
    }
}

int pv_elf_read(struct pv_elf *e, int fd, const char *name, struct pv_err *err)
{
    Elf64_Phdr headers[PV_ELF_SEGMENTS_MAX];
    Elf64_Ehdr h = {0};
    struct stat st;

    *e = (struct pv_elf){0};
    if (fstat(fd, &st) < 0)
        return pv_fail(err, errno, "look at '%s'", name);
    if (pread(fd, &h, sizeof h, 0) < 4)
        return pv_refuse(err, ENOEXEC, "'%s' is no program: it is too short", name);
    PV_TRY(check_header(&h, name, err));
    size_t bytes = h.e_phnum * sizeof *headers;
    if (h.e_phoff > (uint64_t)st.st_size ||
        pread(fd, headers, bytes, (off_t)h.e_phoff) != (ssize_t)bytes)
        return pv_refuse(err, ENOEXEC, "'%s' ends before its program headers", name);
    e->fixed = h.e_type == ET_EXEC;
    e->entry = h.e_entry;
    e->n_headers = h.e_phnum;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        if (headers[i].p_type == PT_INTERP)
            PV_TRY(add_interp(e, &headers[i], fd, name, err));
        else if (headers[i].p_type == PT_LOAD)
            PV_TRY(add_segment(e, &headers[i], (uint64_t)st.st_size, name, err));
        else if (headers[i].p_type == PT_GNU_STACK)
            e->exec_stack = headers[i].p_flags & PF_X;
    }
    if (!e->n_segments)
        return pv_refuse(err, ENOEXEC, "'%s' has nothing to load", name);
    find_headers(e, &h);
    return 0;
}

/* Reads len bytes at offset of fd into the guest at va, which must be part of an area. */
static int fill(struct pv_space *s, uint64_t va, int fd, uint64_t offset, uint64_t len,
                const char *name, struct pv_err *err)
{
    enum { SPANS = 64 };

    while (len) {
        struct iovec v[SPANS];
        int n = 0;
        int64_t got = pv_access_fill(s, va, len, v, SPANS, &n);

        if (got <= 0)
            return pv_refuse(err, ENOMEM, "'%s' does not fit into the function's memory", name);
        if (preadv(fd, v, n, (off_t)offset) != got)
            return pv_refuse(err, EIO, "'%s' changed while it was read", name);
        va += (uint64_t)got;
        offset += (uint64_t)got;
        len -= (uint64_t)got;
    }
    return 0;
}

static int place(struct pv_space *s, uint64_t at, uint64_t len, int prot, const char *name,
                 uint64_t offset, struct pv_err *err)
{
    struct pv_mapping w = {.at = at,
                           .len = len,
                           .prot = prot,
                           .flags = MAP_PRIVATE | MAP_FIXED,
                           .file = *name != 0,
                           .name = name,
                           .offset = offset};

    if (pv_space_map(s, &w) < 0)
        return pv_refuse(err, ENOMEM, "'%s' cannot be loaded at %#llx", *name ? name : "the stack",
                         (unsigned long long)at);
    return 0;
}

/* What the file's last page holds behind the segment's bytes reads as zero. */
static int clear_tail(struct pv_space *s, uint64_t from, struct pv_err *err)
{
    uint64_t len = pv_page_up(from) - from;
    struct iovec v;
    int n = 0;

    if (len == 0)
        return 0;
    if (pv_access_fill(s, from, len, &v, 1, &n) != (int64_t)len)
        return pv_fail(err, ENOMEM, "load the program");
    memset(v.iov_base, 0, len);
    return 0;
}

static int load_segment(const struct pv_elf_segment *g, int fd, const char *name, uint64_t base,
                        struct pv_space *s, struct pv_err *err)
{
    uint64_t at = base + pv_page_down(g->at);
    uint64_t skew = g->at % PV_PAGE;
    uint64_t file_end = base + g->at + g->file_len;
    uint64_t mapped = pv_page_up(file_end) - at;
    uint64_t end = pv_page_up(base + g->at + g->len);

    if (g->file_len) {
        PV_TRY(place(s, at, mapped, g->prot, name, g->offset - skew, err));
        PV_TRY(fill(s, at, fd, g->offset - skew, g->file_len + skew, name, err));
        if (g->len > g->file_len)
            PV_TRY(clear_tail(s, file_end, err));
        at += mapped;
    }
    return at < end ? place(s, at, end - at, g->prot, "", 0, err) : 0;
}

int pv_elf_load(const struct pv_elf *e, int fd, const char *name, uint64_t base, struct pv_space *s,
                struct pv_err *err)
{
    if (base + e->start < PV_USER_MIN || base + e->end > PV_USER_MAX)
        return pv_refuse(err, ENOEXEC, "'%s' wants addresses that belong to the monitor", name);
    for (unsigned i = 0; i < e->n_segments; i++)
        PV_TRY(load_segment(&e->segments[i], fd, name, base, s, err));
    return 0;
}
