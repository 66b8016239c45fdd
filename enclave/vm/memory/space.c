#include "memory/space.h"
#include "memory/areas.h"

#include <errno.h>
#include <linux/mman.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    EAGER_BYTES = 1 << 20, /* an area up to this gets its frames at once */
    AROUND_BYTES = 1 << 16 /* a larger one this much at a touch */
};

int pv_space_init(struct pv_space *s, struct pv_memory *m, struct pv_err *err)
{
    *s = (struct pv_space){.memory = m, .n_names = 1};
    s->names = calloc(PV_AREA_NAMES_MAX, sizeof *s->names);
    if (!s->names)
        return pv_fail(err, ENOMEM, "keep account of the address space");
    return 0;
}

void pv_space_done(struct pv_space *s)
{
    free(s->areas);
    free(s->names);
    *s = (struct pv_space){0};
}

int pv_space_copy(struct pv_space *s, const struct pv_space *from, struct pv_err *err)
{
    if (s->cap_areas < from->n_areas) {
        struct pv_area *p = reallocarray(s->areas, from->n_areas, sizeof *p);
        if (!p)
            return pv_fail(err, ENOMEM, "keep account of the address space");
        s->areas = p;
        s->cap_areas = from->n_areas;
    }
    if (from->n_areas)
        memcpy(s->areas, from->areas, from->n_areas * sizeof *from->areas);
    s->n_areas = from->n_areas;
    memcpy(s->names, from->names, from->n_names * sizeof *from->names);
    s->n_names = from->n_names;
    s->brk_start = from->brk_start;
    s->brk = from->brk;
    s->brk_mapped = from->brk_mapped;
    s->out_of_memory = false;
    s->changed = false;
    return 0;
}

/* ---- pages ---- */

/* The end of the entry's table, or of what has none, at most end. */
static uint64_t until(const struct pv_space *s, uint64_t va, uint64_t end)
{
    uint64_t next = pv_tables_next(s->memory, va);

    return next < end ? next : end;
}

/* Takes away every frame of the range. */
static void drop_pages(struct pv_space *s, uint64_t start, uint64_t end)
{
    for (uint64_t va = start; va < end;) {
        uint64_t *entry = pv_tables_find(s->memory, va);
        uint64_t stop = until(s, va, end);

        for (; entry && va < stop; va += PV_PAGE, entry++) {
            if (!(*entry & PV_PTE_FRAME))
                continue;
            uint64_t frame = *entry & PV_PTE_ADDRESS;
            pv_tables_set(s->memory, entry, 0);
            pv_memory_release(s->memory, frame);
        }
        va = stop;
    }
}

static int give_page(struct pv_space *s, uint64_t va, int prot, bool written)
{
    uint64_t *entry = pv_tables_make(s->memory, va);

    if (!entry)
        return -ENOMEM;
    if (*entry & PV_PTE_FRAME)
        return 0;
    uint64_t frame = pv_memory_frame(s->memory, written);
    if (!frame)
        return -ENOMEM;
    pv_tables_set(s->memory, entry, frame | PV_PTE_FRAME | pv_tables_bits(prot));
    return 0;
}

static int give_pages(struct pv_space *s, uint64_t start, uint64_t end, int prot, bool written)
{
    for (uint64_t va = start; va < end; va += PV_PAGE)
        if (give_page(s, va, prot, written) < 0)
            return -ENOMEM;
    return 0;
}

/* A page that was never to be written shall be: it moves to a frame that a reset looks at. */
static int move_low(struct pv_memory *m, uint64_t *entry, uint64_t bits)
{
    uint64_t old = *entry & PV_PTE_ADDRESS;
    uint64_t frame = pv_memory_frame(m, true);

    if (!frame)
        return -ENOMEM;
    memcpy(pv_memory_at(m, frame), pv_memory_at(m, old), PV_PAGE);
    pv_tables_set(m, entry, frame | PV_PTE_FRAME | bits);
    pv_memory_release(m, old);
    return 0;
}

static int protect_pages(struct pv_space *s, uint64_t start, uint64_t end, int prot)
{
    uint64_t bits = pv_tables_bits(prot);

    for (uint64_t va = start; va < end;) {
        uint64_t *entry = pv_tables_find(s->memory, va);
        uint64_t stop = until(s, va, end);

        for (; entry && va < stop; va += PV_PAGE, entry++) {
            uint64_t frame = *entry & PV_PTE_ADDRESS;

            if (!(*entry & PV_PTE_FRAME))
                continue;
            if ((prot & PROT_WRITE) && pv_memory_is_high(s->memory, frame)) {
                if (move_low(s->memory, entry, bits) < 0)
                    return -ENOMEM;
            } else {
                pv_tables_set(s->memory, entry, frame | PV_PTE_FRAME | bits);
            }
        }
        va = stop;
    }
    return 0;
}

static bool allows(int prot, int access)
{
    if (access == PROT_READ)
        return prot != PROT_NONE; /* on x86 whatever can be written or executed can be read */
    return (prot & access) != 0;
}

bool pv_space_touch(struct pv_space *s, uint64_t at, int access)
{
    const struct pv_area *a = pv_space_area(s, at);

    if (!a || !allows(a->prot, access))
        return false;
    uint64_t start = at & ~(uint64_t)(AROUND_BYTES - 1);
    uint64_t end = start + AROUND_BYTES;
    if (start < a->start)
        start = a->start;
    if (end > a->end)
        end = a->end;
    s->faults++;
    if (give_page(s, pv_page_down(at), a->prot, true) < 0) {
        s->out_of_memory = true;
        return false;
    }
    (void)give_pages(s, start, end, a->prot, true); /* what does not fit comes at its own touch */
    return true;
}

/* ---- calls ---- */

/* Start of the mapping as asked for, or -errno; 0 leaves the choice to us. */
static int64_t wanted_place(struct pv_space *s, const struct pv_mapping *w, uint64_t len)
{
    bool fixed = w->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE);

    if (fixed) {
        if (w->at % PV_PAGE)
            return -EINVAL;
        if (w->at < PV_USER_MIN)
            return -EPERM;
        if (w->at > PV_USER_MAX || len > PV_USER_MAX - w->at)
            return -ENOMEM;
        if ((w->flags & MAP_FIXED_NOREPLACE) && !pv_areas_free(s, w->at, w->at + len))
            return -EEXIST;
        return (int64_t)w->at;
    }
    uint64_t at = pv_page_down(w->at);
    if (at < PV_USER_MIN || at > PV_USER_MAX || len > PV_USER_MAX - at ||
        !pv_areas_free(s, at, at + len))
        return 0;
    return (int64_t)at;
}

static int64_t choose_place(struct pv_space *s, const struct pv_mapping *w, uint64_t len)
{
    int64_t at = wanted_place(s, w, len);

    if (at != 0)
        return at;
    uint64_t room = pv_areas_room(s, len, w->flags & MAP_32BIT ? 0x80000000ull : PV_MMAP_TOP);
    return room ? (int64_t)room : -ENOMEM;
}

static bool too_much(const struct pv_space *s, const struct pv_mapping *w, uint64_t len)
{
    return (w->prot & PROT_WRITE) && !(w->flags & MAP_NORESERVE) &&
           len > s->memory->n_frames * PV_PAGE;
}

int64_t pv_space_map(struct pv_space *s, const struct pv_mapping *w)
{
    if (w->len == 0)
        return -EINVAL;
    if (w->len > PV_USER_MAX)
        return -ENOMEM;
    uint64_t len = pv_page_up(w->len);
    int64_t at = choose_place(s, w, len);
    if (at < 0)
        return at;
    uint64_t start = (uint64_t)at;
    if (too_much(s, w, len) || pv_areas_cut(s, start, start + len) < 0)
        return -ENOMEM;
    drop_pages(s, start, start + len);
    struct pv_area area = {.start = start,
                           .end = start + len,
                           .offset = w->offset,
                           .dev = w->dev,
                           .ino = w->ino,
                           .name = pv_areas_name(s, w->name),
                           .prot = (uint8_t)w->prot,
                           .shared = (w->flags & MAP_TYPE) != MAP_PRIVATE,
                           .file = w->file};
    if (pv_areas_add(s, &area) < 0)
        return -ENOMEM;
    if (w->file || w->prot == PROT_NONE || len > EAGER_BYTES)
        return at;
    if (give_pages(s, start, start + len, w->prot, true) < 0) {
        (void)pv_space_unmap(s, start, len);
        return -ENOMEM;
    }
    return at;
}

/* Whether every page of the range has a frame that is never written. */
static bool is_pristine(const struct pv_space *s, uint64_t start, uint64_t end)
{
    for (uint64_t va = start; va < end;) {
        const uint64_t *entry = pv_tables_find(s->memory, va);
        uint64_t stop = until(s, va, end);

        for (; entry && va < stop; va += PV_PAGE, entry++)
            if (!(*entry & PV_PTE_FRAME) ||
                !pv_memory_is_high(s->memory, *entry & PV_PTE_ADDRESS))
                return false;
        if (va < stop)
            return false;
    }
    return true;
}

bool pv_space_holds(const struct pv_space *s, const struct pv_mapping *w)
{
    const struct pv_area *a = pv_space_area(s, w->at);
    bool asked = w->ino && (w->flags & MAP_FIXED) && !(w->flags & MAP_FIXED_NOREPLACE) &&
                 (w->flags & MAP_TYPE) == MAP_PRIVATE && !(w->prot & PROT_WRITE) &&
                 w->at % PV_PAGE == 0;

    if (!asked || !a || w->len > a->end - w->at)
        return false;
    uint64_t end = w->at + pv_page_up(w->len);
    return a->dev == w->dev && a->ino == w->ino && !a->shared && !(a->prot & PROT_WRITE) &&
           a->offset + (w->at - a->start) == w->offset && is_pristine(s, w->at, end);
}

/* 0 when a range of pages makes sense. */
static int check_range(uint64_t at, uint64_t len)
{
    if (at % PV_PAGE)
        return -EINVAL;
    if (at > PV_USER_MAX || len > PV_USER_MAX - at)
        return -ENOMEM;
    return 0;
}

int64_t pv_space_unmap(struct pv_space *s, uint64_t at, uint64_t len)
{
    if (len == 0 || check_range(at, len) < 0)
        return -EINVAL;
    uint64_t end = at + pv_page_up(len);
    if (pv_areas_cut(s, at, end) < 0)
        return -ENOMEM;
    drop_pages(s, at, end);
    return 0;
}

/* Gives the pages of an area what its new protection allows. */
static int protect_area(struct pv_space *s, struct pv_area *a, int prot)
{
    if (a->prot == prot)
        return 0;
    s->changed = true;
    a->prot = (uint8_t)prot;
    if (protect_pages(s, a->start, a->end, prot) < 0)
        return -ENOMEM;
    bool fresh = prot != PROT_NONE && a->end - a->start <= EAGER_BYTES;
    return fresh ? give_pages(s, a->start, a->end, prot, true) : 0;
}

/* An area that has this protection already may reach over the edge of what gets it. */
static int split_unlike(struct pv_space *s, uint64_t at, int prot)
{
    const struct pv_area *a = pv_space_area(s, at);

    return a && a->prot != prot ? pv_areas_split(s, at) : 0;
}

/* The list is gone through once, however many areas there are. */
static int protect_run(struct pv_space *s, uint64_t start, uint64_t end, int prot)
{
    unsigned first = pv_areas_from(s, start);
    unsigned i = first;
    int rc = split_unlike(s, start, prot);

    if (rc == 0)
        rc = split_unlike(s, end, prot);
    for (i = pv_areas_from(s, start); rc == 0 && i < s->n_areas && s->areas[i].start < end; i++)
        rc = protect_area(s, &s->areas[i], prot);
    pv_areas_join(s, first, i);
    return rc;
}

int64_t pv_space_protect(struct pv_space *s, uint64_t at, uint64_t len, int prot)
{
    if (prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC) || at % PV_PAGE)
        return -EINVAL;
    if (check_range(at, len) < 0)
        return -ENOMEM;
    uint64_t end = at + pv_page_up(len);
    uint64_t run = pv_areas_covered(s, at, end);
    if (run > at && protect_run(s, at, run, prot) < 0)
        return -ENOMEM;
    return run == end ? 0 : -ENOMEM;
}

static bool is_anonymous(const struct pv_space *s, uint64_t va)
{
    const struct pv_area *a = pv_space_area(s, va);

    return a && !a->file;
}

int64_t pv_space_discard(struct pv_space *s, uint64_t at, uint64_t len)
{
    if (at % PV_PAGE)
        return -EINVAL;
    if (check_range(at, len) < 0)
        return -ENOMEM;
    uint64_t end = at + pv_page_up(len);
    for (uint64_t va = at; va < end;) {
        uint64_t *entry = pv_tables_find(s->memory, va);
        uint64_t stop = until(s, va, end);

        for (; entry && va < stop; va += PV_PAGE, entry++) {
            uint64_t frame = *entry & PV_PTE_ADDRESS;

            /* what no reset looks at must not be written, whatever it is */
            if ((*entry & PV_PTE_FRAME) && !pv_memory_is_high(s->memory, frame) &&
                is_anonymous(s, va))
                memset(pv_memory_at(s->memory, frame), 0, PV_PAGE);
        }
        va = stop;
    }
    return pv_space_covers(s, at, end - at) ? 0 : -ENOMEM;
}

/* ---- mremap ---- */

static int move_page(struct pv_space *s, uint64_t *old, uint64_t to)
{
    uint64_t *entry = pv_tables_make(s->memory, to);
    uint64_t value = *old;

    if (!entry)
        return -ENOMEM;
    pv_tables_set(s->memory, old, 0);
    pv_tables_set(s->memory, entry, value);
    return 0;
}

static int move_pages(struct pv_space *s, uint64_t from, uint64_t len, uint64_t to)
{
    uint64_t end = from + len;

    for (uint64_t va = from; va < end;) {
        uint64_t *old = pv_tables_find(s->memory, va);
        uint64_t stop = until(s, va, end);

        for (; old && va < stop; va += PV_PAGE, old++)
            if ((*old & PV_PTE_FRAME) && move_page(s, old, to + (va - from)) < 0)
                return -ENOMEM;
        va = stop;
    }
    return 0;
}

static int64_t grow_or_move(struct pv_space *s, const struct pv_area *a, uint64_t at, uint64_t old,
                            uint64_t len, int flags, uint64_t to)
{
    struct pv_mapping w = {.len = len - old,
                           .prot = a->prot,
                           .file = a->file,
                           .name = s->names[a->name],
                           .dev = a->dev,
                           .ino = a->ino};
    uint64_t offset = pv_areas_counts(a) ? a->offset + (at - a->start) : 0;

    w.flags = (a->shared ? MAP_SHARED : MAP_PRIVATE) | MAP_NORESERVE;
    bool in_place = at + old == a->end && len <= PV_USER_MAX - at &&
                    pv_areas_free(s, at + old, at + len) && !(flags & MREMAP_FIXED);
    if (in_place) {
        w.at = at + old;
        w.flags |= MAP_FIXED;
        w.offset = offset + old;
        int64_t rc = pv_space_map(s, &w);
        return rc < 0 ? rc : (int64_t)at;
    }
    if (!(flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    char name[PV_AREA_NAME_BYTES];
    (void)snprintf(name, sizeof name, "%s", w.name);
    int prot = w.prot;
    w = (struct pv_mapping){.at = to,
                            .len = len,
                            .prot = PROT_NONE,
                            .flags = w.flags | (flags & MREMAP_FIXED ? MAP_FIXED : 0),
                            .file = w.file,
                            .name = name,
                            .offset = offset,
                            .dev = w.dev,
                            .ino = w.ino};
    int64_t place = pv_space_map(s, &w);
    if (place < 0)
        return place;
    if (move_pages(s, at, old, (uint64_t)place) < 0 ||
        pv_space_protect(s, (uint64_t)place, len, prot) < 0)
        return -ENOMEM;
    (void)pv_space_unmap(s, at, old);
    return place;
}

int64_t pv_space_remap(struct pv_space *s, uint64_t at, uint64_t old_len, uint64_t new_len,
                       int flags, uint64_t to)
{
    bool fixed = flags & MREMAP_FIXED;

    if (flags & ~(MREMAP_FIXED | MREMAP_MAYMOVE) || at % PV_PAGE || new_len == 0)
        return -EINVAL;
    if (fixed && (!(flags & MREMAP_MAYMOVE) || to % PV_PAGE))
        return -EINVAL;
    if (check_range(at, old_len) < 0 || check_range(fixed ? to : 0, new_len) < 0)
        return -EINVAL;
    uint64_t old = pv_page_up(old_len);
    uint64_t len = pv_page_up(new_len);
    const struct pv_area *a = pv_space_area(s, at);
    if (!a || old > a->end - at)
        return -EFAULT;
    if (old == 0)
        return -EINVAL; /* doubling a shared mapping */
    if (fixed && to < at + old && at < to + len)
        return -EINVAL;
    if (len < old || (len == old && !fixed)) {
        if (len < old && pv_space_unmap(s, at + len, old - len) < 0)
            return -ENOMEM;
        if (!fixed)
            return (int64_t)at;
        old = len;
        a = pv_space_area(s, at);
    }
    return a ? grow_or_move(s, a, at, old, len, flags, to) : -EFAULT;
}

static int map_heap(struct pv_space *s, uint64_t from, uint64_t to)
{
    struct pv_mapping w = {.at = from,
                           .len = to - from,
                           .prot = PROT_READ | PROT_WRITE,
                           .flags = MAP_PRIVATE | MAP_FIXED_NOREPLACE,
                           .name = "[heap]",
                           .offset = from - pv_page_up(s->brk_start)};

    return pv_space_map(s, &w) < 0 ? -ENOMEM : 0;
}

int64_t pv_space_brk(struct pv_space *s, uint64_t to)
{
    uint64_t mapped = pv_page_up(s->brk_mapped > s->brk ? s->brk_mapped : s->brk);
    uint64_t end = pv_page_up(to);

    if (to < s->brk_start || to > s->brk_start + PV_BRK_ROOM)
        return (int64_t)s->brk;
    if (end > mapped) {
        if (map_heap(s, mapped, end) < 0)
            return (int64_t)s->brk;
        s->brk_mapped = end;
    } else if (to < s->brk && end < mapped) {
        if (pv_space_unmap(s, end, mapped - end) < 0)
            return (int64_t)s->brk;
        s->brk_mapped = end;
    }
    s->brk = to;
    s->changed = true;
    return (int64_t)to;
}

void pv_space_brk_ahead(struct pv_space *s, uint64_t len)
{
    uint64_t mapped = pv_page_up(s->brk_mapped > s->brk ? s->brk_mapped : s->brk);

    if (map_heap(s, mapped, mapped + len) == 0)
        s->brk_mapped = mapped + len;
}
