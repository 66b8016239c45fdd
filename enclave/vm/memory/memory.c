#include "memory/memory.h"

#include "pv/own.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

enum {
    POPULATE_WRITE = 23, /* MADV_POPULATE_WRITE, Linux 5.14 */
    POPULATED = 64,      /* frames */
};
enum { TABLES_MIN = 1 << 20, TABLES_SHARE = 64 /* one byte of tables for so many of memory */ };

void pv_ranges_add(struct pv_ranges *r, uint64_t start, uint64_t end)
{
    for (unsigned i = r->n; i-- > 0 && r->n - i <= 4;) {
        if (start > r->v[i].end || end < r->v[i].start)
            continue;
        if (start < r->v[i].start)
            r->v[i].start = start;
        if (end > r->v[i].end)
            r->v[i].end = end;
        return;
    }
    if (r->n == PV_RANGES_MAX)
        r->all = true;
    else
        r->v[r->n++] = (struct pv_range){start, end};
}

static size_t bitmap_bytes(uint64_t frames)
{
    return (size_t)((frames + 63) / 64) * sizeof(uint64_t);
}

static int bitmaps_new(struct pv_memory *m, struct pv_err *err)
{
    m->used = calloc(1, bitmap_bytes(m->n_frames));
    m->stale = calloc(1, bitmap_bytes(m->n_frames));
    m->touched_lo = UINT64_MAX;
    if (!m->used || !m->stale)
        return pv_fail(err, ENOMEM, "keep account of guest memory");
    return 0;
}

static int map(struct pv_memory *m, int flags, struct pv_err *err)
{
    void *p = mmap(NULL, m->bytes, PROT_READ | PROT_WRITE, flags | MAP_NORESERVE, m->fd, 0);
    if (p == MAP_FAILED)
        return pv_fail(err, errno, "map %zu bytes of guest memory", m->bytes);
    m->base = p;
    return 0;
}

int pv_memory_new(struct pv_memory *m, uint64_t frame_bytes, struct pv_err *err)
{
    uint64_t tables = pv_page_up(frame_bytes / TABLES_SHARE);

    *m = (struct pv_memory){.fd = -1};
    if (tables < TABLES_MIN)
        tables = TABLES_MIN;
    m->tables_next = PV_PT_BASE;
    m->tables_end = m->frames_at = PV_PT_BASE + tables;
    m->n_frames = frame_bytes / PV_PAGE;
    m->high_hint = m->high_floor = m->high_populated = m->n_frames;
    m->bytes = m->frames_at + m->n_frames * PV_PAGE;
    PV_TRY(bitmaps_new(m, err));
    m->fd = memfd_create("provost-vm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (m->fd < 0)
        return pv_fail(err, errno, "make a file of guest memory");
    if (ftruncate(m->fd, (off_t)m->bytes) < 0)
        return pv_fail(err, errno, "make %zu bytes of guest memory", m->bytes);
    return map(m, MAP_SHARED, err);
}

int pv_memory_clone(struct pv_memory *m, int fd, const struct pv_memory_state *state,
                    struct pv_err *err)
{
    *m = (struct pv_memory){.fd = fd,
                            .clone = true,
                            .bytes = state->bytes,
                            .tables_next = state->tables_next,
                            .tables_end = state->tables_end,
                            .frames_at = state->frames_at,
                            .n_frames = state->n_frames,
                            .n_used = state->n_used,
                            .low_hint = state->low_hint,
                            .high_hint = state->high_hint,
                            .low_end = state->low_end,
                            .high_floor = state->high_floor,
                            .origin = state};
    PV_TRY(bitmaps_new(m, err));
    memcpy(m->used, state->used, bitmap_bytes(m->n_frames));
    return map(m, MAP_PRIVATE, err);
}

void pv_memory_done(struct pv_memory *m)
{
    if (m->base)
        (void)munmap(m->base, m->bytes);
    if (!m->clone && m->fd > 0)
        (void)close(m->fd);
    free(m->used);
    free(m->stale);
    free(m->late);
    *m = (struct pv_memory){.fd = -1};
}

int pv_memory_state_take(const struct pv_memory *m, struct pv_memory_state *ret, struct pv_err *err)
{
    struct pv_memory_state s = {m->bytes,    m->tables_next, m->tables_end, m->frames_at,
                                m->n_frames, m->n_used,      m->low_hint,   m->high_hint,
                                m->low_end,  m->high_floor,  NULL};

    s.used = malloc(bitmap_bytes(m->n_frames));
    if (!s.used)
        return pv_fail(err, ENOMEM, "keep the account of guest memory");
    memcpy(s.used, m->used, bitmap_bytes(m->n_frames));
    *ret = s;
    return 0;
}

void pv_memory_state_done(struct pv_memory_state *s)
{
    free(s->used);
    *s = (struct pv_memory_state){0};
}

bool pv_memory_can_rewind(const struct pv_memory *m)
{
    return m->n_late <= PV_LATE_TABLES_KEPT;
}

void pv_memory_rewind(struct pv_memory *m)
{
    const struct pv_memory_state *o = m->origin;

    if (m->touched_lo <= m->touched_hi) {
        size_t n = (size_t)(m->touched_hi - m->touched_lo + 1) * sizeof *m->used;
        memcpy(m->used + m->touched_lo, o->used + m->touched_lo, n);
        memset(m->stale + m->touched_lo, 0, n);
    }
    m->touched_lo = UINT64_MAX;
    m->touched_hi = 0;
    m->run_tables = 0;
    m->n_used = o->n_used;
    m->low_hint = o->low_hint;
    m->high_hint = o->high_hint;
    /* tables made since then keep their places, and low_end stays: those pages exist */
}

static void touch(struct pv_memory *m, uint64_t word)
{
    if (word < m->touched_lo)
        m->touched_lo = word;
    if (word > m->touched_hi)
        m->touched_hi = word;
}

static bool get(const uint64_t *bits, uint64_t i)
{
    return bits[i / 64] >> (i % 64) & 1;
}

/* The first free frame at or after from, n_frames when there is none. */
static uint64_t find_up(const struct pv_memory *m, uint64_t from)
{
    for (uint64_t i = from; i < m->n_frames; i++) {
        if (i % 64 == 0 && m->used[i / 64] == UINT64_MAX)
            i += 63;
        else if (!get(m->used, i))
            return i;
    }
    return m->n_frames;
}

/* The last free frame below before, n_frames when there is none. */
static uint64_t find_down(const struct pv_memory *m, uint64_t before)
{
    for (uint64_t i = before; i-- > 0;) {
        if (i % 64 == 63 && m->used[i / 64] == UINT64_MAX)
            i -= 63;
        else if (!get(m->used, i))
            return i;
    }
    return m->n_frames;
}

/* The host's pages of the next frames are made in one go while a program starts: a page that is
 * there costs a fraction of the fault of one that is not. */
static void populate(const struct pv_memory *m, uint64_t first, uint64_t n)
{
    (void)madvise(m->base + m->frames_at + first * PV_PAGE, n * PV_PAGE, POPULATE_WRITE);
}

static void populate_up(struct pv_memory *m, uint64_t i)
{
    uint64_t n = m->n_frames - i < POPULATED ? m->n_frames - i : POPULATED;

    if (m->clone || m->complete || i < m->populated)
        return;
    populate(m, i, n);
    m->populated = i + n;
}

static void populate_down(struct pv_memory *m, uint64_t i)
{
    uint64_t first = i < POPULATED ? 0 : i + 1 - POPULATED;

    if (m->complete || i >= m->high_populated)
        return;
    if (first < m->populated)
        first = m->populated < i ? m->populated : i;
    populate(m, first, i + 1 - first);
    m->high_populated = first;
}

static uint64_t find_low(struct pv_memory *m)
{
    uint64_t i = find_up(m, m->low_hint);

    if (i >= m->high_floor) {
        m->low_hint = i;
        return m->n_frames;
    }
    m->low_hint = i + 1;
    if (i + 1 > m->low_end) {
        m->low_end = i + 1;
        populate_up(m, i);
    }
    return i;
}

static uint64_t find_high(struct pv_memory *m)
{
    uint64_t i = find_down(m, m->high_hint);

    if (i >= m->n_frames || i < m->low_end)
        return m->n_frames; /* the two meet: what is never written does not lie among the rest */
    m->high_hint = i;
    if (i < m->high_floor) {
        m->high_floor = i;
        populate_down(m, i);
    }
    return i;
}

uint64_t pv_memory_frame(struct pv_memory *m, bool written)
{
    uint64_t i = m->n_frames;

    if (!written && !m->clone)
        i = find_high(m);
    if (i == m->n_frames)
        i = find_low(m);
    if (i == m->n_frames)
        return 0;
    m->used[i / 64] |= 1ull << (i % 64);
    m->n_used++;
    touch(m, i / 64);
    uint64_t at = m->frames_at + i * PV_PAGE;
    if (get(m->stale, i)) {
        m->stale[i / 64] &= ~(1ull << (i % 64));
        memset(m->base + at, 0, PV_PAGE);
    }
    return at;
}

void pv_memory_release(struct pv_memory *m, uint64_t frame)
{
    uint64_t i = (frame - m->frames_at) / PV_PAGE;

    m->used[i / 64] &= ~(1ull << (i % 64));
    m->stale[i / 64] |= 1ull << (i % 64);
    m->n_used--;
    touch(m, i / 64);
    if (i >= m->high_floor && i >= m->high_hint)
        m->high_hint = i + 1;
    else if (i < m->high_floor && i < m->low_hint)
        m->low_hint = i;
}

bool pv_memory_is_high(const struct pv_memory *m, uint64_t frame)
{
    return (frame - m->frames_at) / PV_PAGE >= m->high_floor;
}

uint64_t pv_memory_left(const struct pv_memory *m)
{
    return m->n_frames - m->n_used;
}

/* What a run may make: the same for each, however many places earlier ones have taken. */
static unsigned run_tables_max(const struct pv_memory *m)
{
    uint64_t places = (m->tables_end - m->origin->tables_next) / PV_PAGE;

    if (places > PV_LATE_TABLES_MAX)
        places = PV_LATE_TABLES_MAX;
    return places > PV_LATE_TABLES_KEPT ? (unsigned)places - PV_LATE_TABLES_KEPT : 0;
}

static uint64_t late_place(struct pv_memory *m, uint64_t key)
{
    for (unsigned i = 0; i < m->n_late; i++)
        if (m->late[i].key == key)
            return m->late[i].at;
    if (m->n_late == PV_LATE_TABLES_MAX || m->tables_next == m->tables_end)
        return 0;
    if (!m->late)
        m->late = calloc(PV_LATE_TABLES_MAX, sizeof *m->late);
    if (!m->late)
        return 0;
    m->late[m->n_late] = (struct pv_late_table){key, m->tables_next};
    m->tables_next += PV_PAGE;
    return m->late[m->n_late++].at;
}

static uint64_t late_table(struct pv_memory *m, uint64_t key)
{
    if (m->run_tables >= run_tables_max(m))
        return 0;
    m->run_tables++;
    return late_place(m, key);
}

uint64_t pv_memory_table(struct pv_memory *m, uint64_t key)
{
    if (m->clone)
        return late_table(m, key);
    if (m->tables_next == m->tables_end)
        return 0;
    m->tables_next += PV_PAGE;
    return m->tables_next - PV_PAGE;
}

/* A pair of changes of protection: KVM's notifier drops every translation to these pages. */
static int forget_range(struct pv_memory *m, uint64_t start, uint64_t end, struct pv_err *err)
{
    if (mprotect(m->base + start, end - start, PROT_READ) < 0 ||
        mprotect(m->base + start, end - start, PROT_READ | PROT_WRITE) < 0)
        return pv_fail(err, errno, "make the machine forget a mapping");
    return 0;
}

int pv_memory_forget(struct pv_memory *m, struct pv_ranges *what, struct pv_err *err)
{
    if (what->all) {
        PV_TRY(forget_range(m, 0, m->bytes, err));
        what->n = 0;
        what->all = false;
    }
    while (what->n) {
        PV_TRY(forget_range(m, what->v[what->n - 1].start, what->v[what->n - 1].end, err));
        what->n--;
    }
    return 0;
}
