#include "memory/areas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

unsigned pv_areas_from(const struct pv_space *s, uint64_t at)
{
    unsigned lo = 0;
    unsigned hi = s->n_areas;

    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;

        if (s->areas[mid].end <= at)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool pv_areas_free(const struct pv_space *s, uint64_t start, uint64_t end)
{
    unsigned i = pv_areas_from(s, start);

    return i == s->n_areas || s->areas[i].start >= end;
}

uint64_t pv_areas_room(const struct pv_space *s, uint64_t len, uint64_t top)
{
    uint64_t end = top;
    unsigned behind = pv_areas_from(s, top);

    if (behind < s->n_areas && s->areas[behind].start < top)
        behind++; /* it reaches over the top */
    for (unsigned i = behind; i-- > 0;) {
        if (s->areas[i].end <= end && end - s->areas[i].end >= len)
            break;
        if (s->areas[i].start < end)
            end = s->areas[i].start;
    }
    if (end < len || end - len < PV_USER_MIN)
        return 0;
    return pv_areas_free(s, end - len, end) ? end - len : 0;
}

/* Room for one more area. */
static int grow(struct pv_space *s)
{
    if (s->n_areas < s->cap_areas)
        return 0;
    if (s->cap_areas >= PV_AREAS_MAX)
        return -ENOMEM;
    unsigned cap = s->cap_areas ? 2 * s->cap_areas : 64;
    struct pv_area *p = reallocarray(s->areas, cap, sizeof *p);
    if (!p)
        return -ENOMEM;
    s->areas = p;
    s->cap_areas = cap;
    return 0;
}

static void insert(struct pv_space *s, unsigned i, const struct pv_area *a)
{
    memmove(s->areas + i + 1, s->areas + i, (s->n_areas - i) * sizeof *a);
    s->areas[i] = *a;
    s->n_areas++;
}

static void delete (struct pv_space *s, unsigned i, unsigned n)
{
    if (n == 0)
        return;
    memmove(s->areas + i, s->areas + i + n, (s->n_areas - i - n) * sizeof *s->areas);
    s->n_areas -= n;
}

bool pv_areas_counts(const struct pv_area *a)
{
    return a->name || a->file;
}

/* What remains of an area from start on. */
static struct pv_area tail(const struct pv_area *a, uint64_t start)
{
    struct pv_area t = *a;

    t.start = start;
    if (pv_areas_counts(a))
        t.offset += start - a->start;
    return t;
}

int pv_areas_cut(struct pv_space *s, uint64_t start, uint64_t end)
{
    unsigned i = pv_areas_from(s, start);
    unsigned n = 0;

    s->changed = true;
    if (i < s->n_areas && s->areas[i].start < start) {
        struct pv_area rest = tail(&s->areas[i], end);
        bool middle = s->areas[i].end > end;

        if (middle && grow(s) < 0)
            return -ENOMEM;
        s->areas[i].end = start;
        i++;
        if (middle) {
            insert(s, i, &rest);
            return 0;
        }
    }
    while (i + n < s->n_areas && s->areas[i + n].end <= end)
        n++;
    delete (s, i, n);
    if (i < s->n_areas && s->areas[i].start < end)
        s->areas[i] = tail(&s->areas[i], end);
    return 0;
}

static bool alike(const struct pv_area *a, const struct pv_area *b)
{
    return a->end == b->start && a->prot == b->prot && a->shared == b->shared &&
           a->file == b->file && a->dev == b->dev && a->ino == b->ino && a->name == b->name &&
           (!pv_areas_counts(a) || a->offset + (a->end - a->start) == b->offset);
}

int pv_areas_add(struct pv_space *s, const struct pv_area *a)
{
    unsigned i = pv_areas_from(s, a->start);

    s->changed = true;
    if (i > 0 && alike(&s->areas[i - 1], a)) {
        s->areas[i - 1].end = a->end;
        if (i < s->n_areas && alike(&s->areas[i - 1], &s->areas[i])) {
            s->areas[i - 1].end = s->areas[i].end;
            delete (s, i, 1);
        }
        return 0;
    }
    if (i < s->n_areas && alike(a, &s->areas[i])) {
        s->areas[i].start = a->start;
        s->areas[i].offset = a->offset;
        return 0;
    }
    if (grow(s) < 0)
        return -ENOMEM;
    insert(s, i, a);
    return 0;
}

int pv_areas_split(struct pv_space *s, uint64_t at)
{
    unsigned i = pv_areas_from(s, at);

    if (i == s->n_areas || s->areas[i].start >= at)
        return 0;
    struct pv_area rest = tail(&s->areas[i], at);
    if (grow(s) < 0)
        return -ENOMEM;
    s->changed = true;
    s->areas[i].end = at;
    insert(s, i + 1, &rest);
    return 0;
}

void pv_areas_join(struct pv_space *s, unsigned first, unsigned last)
{
    unsigned kept = first > 0 ? first - 1 : 0;
    unsigned at = kept + 1;

    for (; at < s->n_areas && at <= last + 1; at++) {
        if (alike(&s->areas[kept], &s->areas[at]))
            s->areas[kept].end = s->areas[at].end;
        else
            s->areas[++kept] = s->areas[at];
    }
    if (at > kept + 1) {
        s->changed = true;
        delete (s, kept + 1, at - kept - 1);
    }
}

uint16_t pv_areas_name(struct pv_space *s, const char *name)
{
    if (!*name || !s->names)
        return 0;
    for (unsigned i = 1; i < s->n_names; i++)
        if (!strncmp(s->names[i], name, PV_AREA_NAME_BYTES - 1))
            return (uint16_t)i;
    if (s->n_names == PV_AREA_NAMES_MAX)
        return 0;
    (void)snprintf(s->names[s->n_names], PV_AREA_NAME_BYTES, "%s", name);
    return (uint16_t)s->n_names++;
}

size_t pv_space_maps(const struct pv_space *s, char *out, size_t cap)
{
    enum { NAME_COLUMN = 73 };
    size_t used = 0;

    for (unsigned i = 0; i < s->n_areas; i++) {
        const struct pv_area *a = &s->areas[i];
        char line[PV_AREA_NAME_BYTES + 128];
        int n = snprintf(line, sizeof line, "%08lx-%08lx %c%c%c%c %08lx 00:00 0 ",
                         (unsigned long)a->start, (unsigned long)a->end,
                         a->prot & PROT_READ ? 'r' : '-', a->prot & PROT_WRITE ? 'w' : '-',
                         a->prot & PROT_EXEC ? 'x' : '-', a->shared ? 's' : 'p',
                         (unsigned long)a->offset);

        if (a->name)
            n += snprintf(line + n, sizeof line - (size_t)n, "%*s%s",
                          n < NAME_COLUMN ? NAME_COLUMN - n : 0, "", s->names[a->name]);
        line[n++] = '\n';
        for (int k = 0; k < n; k++, used++)
            if (used < cap)
                out[used] = line[k];
    }
    return used;
}

uint64_t pv_space_bytes(const struct pv_space *s)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < s->n_areas; i++)
        sum += s->areas[i].end - s->areas[i].start;
    return sum;
}

const struct pv_area *pv_space_area(const struct pv_space *s, uint64_t at)
{
    unsigned i = pv_areas_from(s, at);

    return i < s->n_areas && s->areas[i].start <= at ? &s->areas[i] : NULL;
}

uint64_t pv_areas_covered(const struct pv_space *s, uint64_t start, uint64_t end)
{
    uint64_t at = start;

    for (unsigned i = pv_areas_from(s, start); i < s->n_areas && at < end; i++) {
        if (s->areas[i].start > at)
            break;
        at = s->areas[i].end;
    }
    return at < end ? at : end;
}

bool pv_space_covers(const struct pv_space *s, uint64_t at, uint64_t len)
{
    return pv_areas_covered(s, at, at + len) == at + len;
}
