#include "memory/access.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static bool reachable(uint64_t entry, int access)
{
    const uint64_t user = PV_PTE_PRESENT | PV_PTE_USER;

    if ((entry & user) != user)
        return false;
    return access != PROT_WRITE || (entry & PV_PTE_WRITE);
}

void *pv_access_at(struct pv_space *s, uint64_t va, int access, uint64_t *ret_len)
{
    if (va < PV_USER_MIN || va >= PV_USER_MAX)
        return NULL;
    uint64_t *entry = pv_tables_find(s->memory, va);
    if (!entry || !reachable(*entry, access)) {
        if (!pv_space_touch(s, va, access))
            return NULL;
        entry = pv_tables_find(s->memory, va);
        if (!entry || !reachable(*entry, access))
            return NULL;
    }
    *ret_len = PV_PAGE - va % PV_PAGE;
    return (char *)pv_memory_at(s->memory, *entry & PV_PTE_ADDRESS) + va % PV_PAGE;
}

int pv_copy_in(struct pv_space *s, void *to, uint64_t from, uint64_t len)
{
    char *out = to;

    while (len) {
        uint64_t n;
        const void *p = pv_access_at(s, from, PROT_READ, &n);

        if (!p)
            return -EFAULT;
        if (n > len)
            n = len;
        memcpy(out, p, n);
        out += n;
        from += n;
        len -= n;
    }
    return 0;
}

int pv_copy_out(struct pv_space *s, uint64_t to, const void *from, uint64_t len)
{
    const char *in = from;

    while (len) {
        uint64_t n;
        void *p = pv_access_at(s, to, PROT_WRITE, &n);

        if (!p)
            return -EFAULT;
        if (n > len)
            n = len;
        memcpy(p, in, n);
        in += n;
        to += n;
        len -= n;
    }
    return 0;
}

int64_t pv_copy_string(struct pv_space *s, char *to, uint64_t from, uint64_t cap)
{
    uint64_t len = 0;

    while (len < cap) {
        uint64_t n;
        const char *p = pv_access_at(s, from + len, PROT_READ, &n);

        if (!p)
            return -EFAULT;
        if (n > cap - len)
            n = cap - len;
        const char *end = memchr(p, 0, n);
        memcpy(to + len, p, end ? (size_t)(end - p) + 1 : n);
        if (end)
            return (int64_t)(len + (uint64_t)(end - p));
        len += n;
    }
    return -ENAMETOOLONG;
}

static bool add_span(struct iovec *v, int *n, int max, void *p, uint64_t len)
{
    if (*n && (char *)v[*n - 1].iov_base + v[*n - 1].iov_len == p) {
        v[*n - 1].iov_len += len;
        return true;
    }
    if (*n == max)
        return false;
    v[(*n)++] = (struct iovec){p, len};
    return true;
}

int64_t pv_access_spans(struct pv_space *s, uint64_t va, uint64_t len, int access,
                        struct iovec *ret, int max, int *ret_n)
{
    uint64_t done = 0;

    while (done < len) {
        uint64_t n;
        void *p = pv_access_at(s, va + done, access, &n);

        if (!p)
            return done ? (int64_t)done : -EFAULT;
        if (n > len - done)
            n = len - done;
        if (!add_span(ret, ret_n, max, p, n))
            break;
        done += n;
    }
    return (int64_t)done;
}

/* The page of a fresh mapping, made when it is not there. */
static void *fresh_page(struct pv_space *s, const struct pv_area *a, uint64_t va)
{
    uint64_t *entry = pv_tables_make(s->memory, va);

    if (!entry)
        return NULL;
    if (!(*entry & PV_PTE_FRAME)) {
        uint64_t frame = pv_memory_frame(s->memory, (a->prot & PROT_WRITE) != 0);

        if (!frame)
            return NULL;
        pv_tables_set(s->memory, entry, frame | PV_PTE_FRAME | pv_tables_bits(a->prot));
    }
    return pv_memory_at(s->memory, *entry & PV_PTE_ADDRESS);
}

int64_t pv_access_fill(struct pv_space *s, uint64_t va, uint64_t len, struct iovec *ret, int max,
                       int *ret_n)
{
    uint64_t done = 0;

    while (done < len) {
        const struct pv_area *a = pv_space_area(s, va + done);
        char *page = a ? fresh_page(s, a, pv_page_down(va + done)) : NULL;

        if (!page)
            return -ENOMEM;
        uint64_t n = PV_PAGE - (va + done) % PV_PAGE;
        if (n > len - done)
            n = len - done;
        if (!add_span(ret, ret_n, max, page + (va + done) % PV_PAGE, n))
            break;
        done += n;
    }
    return (int64_t)done;
}
