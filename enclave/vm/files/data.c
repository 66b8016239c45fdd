#include "files/data.h"

#include <assert.h>
#include <string.h>

enum { FANOUT = PV_PAGE / sizeof(pv_ref), FANOUT_BITS = 10, HEIGHT_MAX = 6 };

/* Pages below one entry of an index page of that height. */
static uint64_t span(unsigned height)
{
    return 1ull << (FANOUT_BITS * (height - 1));
}

static bool fits(uint64_t index, unsigned height)
{
    return FANOUT_BITS * height >= 64 || index >> (FANOUT_BITS * height) == 0;
}

static pv_ref child(const struct pv_files *f, pv_ref table, uint64_t n)
{
    return ((const pv_ref *)pv_at(&f->arena, table))[n];
}

static void child_set(struct pv_files *f, pv_ref table, uint64_t n, pv_ref ref)
{
    *(pv_ref *)pv_edit(&f->arena, table, n * sizeof ref, sizeof ref) = ref;
}

static pv_ref page_at(const struct pv_files *f, pv_ref node, uint64_t index)
{
    pv_ref at = pv_node(f, node)->data;
    unsigned height = pv_node(f, node)->height;

    if (!fits(index, height))
        return 0;
    for (; height > 0 && at; height--)
        at = child(f, at, index / span(height) % FANOUT);
    return at;
}

static pv_ref page_take(struct pv_files *f)
{
    struct pv_state *state = pv_state_edit(f);
    pv_ref ref;

    if (state->tmp_pages >= state->tmp_pages_max)
        return 0;
    ref = pv_arena_new(&f->arena, PV_PAGE);
    state->tmp_pages += ref != 0;
    return ref;
}

static void page_give(struct pv_files *f, pv_ref ref)
{
    pv_arena_drop(&f->arena, ref, PV_PAGE);
    pv_state_edit(f)->tmp_pages--;
}

/* Makes the tree high enough for the page. */
static int heighten(struct pv_files *f, pv_ref node, uint64_t index)
{
    while (!fits(index, pv_node(f, node)->height)) {
        pv_ref old = pv_node(f, node)->data;
        pv_ref table = 0;

        if (old) {
            table = page_take(f);
            if (!table)
                return -ENOSPC;
            child_set(f, table, 0, old);
        }
        pv_node_edit(f, node)->data = table;
        pv_node_edit(f, node)->height++;
    }
    return 0;
}

/* The page, made where it is missing; 0 without room. */
static pv_ref page_make(struct pv_files *f, pv_ref node, uint64_t index)
{
    pv_ref table = 0;
    uint64_t slot = 0;
    pv_ref at;
    unsigned height;

    if (heighten(f, node, index) < 0)
        return 0;
    at = pv_node(f, node)->data;
    for (height = pv_node(f, node)->height;; height--) {
        if (!at) {
            at = page_take(f);
            if (!at)
                return 0;
            if (table)
                child_set(f, table, slot, at);
            else
                pv_node_edit(f, node)->data = at;
            pv_node_edit(f, node)->pages += height == 0;
        }
        if (height == 0)
            return at;
        table = at;
        slot = index / span(height) % FANOUT;
        at = child(f, table, slot);
    }
}

void pv_data_read(const struct pv_files *f, pv_ref node, uint64_t off, void *dst, size_t len)
{
    uint8_t *out = dst;

    while (len > 0) {
        size_t in = off % PV_PAGE;
        size_t part = len < PV_PAGE - in ? len : PV_PAGE - in;
        pv_ref page = page_at(f, node, off / PV_PAGE);

        if (page)
            memcpy(out, (const uint8_t *)pv_at(&f->arena, page) + in, part);
        else
            memset(out, 0, part);
        out += part;
        off += part;
        len -= part;
    }
}

int64_t pv_data_write(struct pv_files *f, pv_ref node, uint64_t off, const void *src, size_t len)
{
    const uint8_t *in = src;
    size_t done = 0;

    while (done < len) {
        size_t at = (off + done) % PV_PAGE;
        size_t part = len - done < PV_PAGE - at ? len - done : PV_PAGE - at;
        pv_ref page = page_make(f, node, (off + done) / PV_PAGE);

        if (!page)
            return done ? (int64_t)done : -ENOSPC;
        memcpy(pv_edit(&f->arena, page, at, part), in + done, part);
        done += part;
    }
    return (int64_t)done;
}

int pv_data_reserve(struct pv_files *f, pv_ref node, uint64_t off, uint64_t len)
{
    for (uint64_t index = off / PV_PAGE; index <= (off + len - 1) / PV_PAGE; index++)
        if (!page_make(f, node, index))
            return -ENOSPC;
    return 0;
}

/* Frees pages [from, to) of the subtree that begins at page base; true when it is now empty and was
 * freed itself. */
static bool prune(struct pv_files *f, pv_ref node, pv_ref at, unsigned height, uint64_t base,
                  uint64_t from, uint64_t to)
{
    bool empty = true;

    if (height == 0) {
        page_give(f, at);
        pv_node_edit(f, node)->pages--;
        return true;
    }
    for (uint64_t n = 0; n < FANOUT; n++) {
        uint64_t first = base + n * span(height);
        pv_ref below = child(f, at, n);

        if (!below)
            continue;
        if (first < to && first + span(height) > from &&
            prune(f, node, below, height - 1, first, from, to))
            child_set(f, at, n, 0);
        else
            empty = false;
    }
    if (empty)
        page_give(f, at);
    return empty;
}

static void drop_pages(struct pv_files *f, pv_ref node, uint64_t from, uint64_t to)
{
    const struct pv_node *look = pv_node(f, node);

    if (look->data && from < to && fits(from, look->height) &&
        prune(f, node, look->data, look->height, 0, from, to))
        pv_node_edit(f, node)->data = 0;
}

static void clear(struct pv_files *f, pv_ref node, uint64_t off, uint64_t len)
{
    pv_ref page = page_at(f, node, off / PV_PAGE);

    if (page && len > 0)
        memset(pv_edit(&f->arena, page, off % PV_PAGE, len), 0, len);
}

void pv_data_punch(struct pv_files *f, pv_ref node, uint64_t from, uint64_t to)
{
    uint64_t first = from / PV_PAGE + (from % PV_PAGE != 0);
    uint64_t last = to / PV_PAGE;

    if (from >= to)
        return;
    if (first > last) {
        clear(f, node, from, to - from);
        return;
    }
    clear(f, node, from, first * PV_PAGE - from);
    clear(f, node, to - to % PV_PAGE, to % PV_PAGE);
    drop_pages(f, node, first, last);
}

void pv_data_truncate(struct pv_files *f, pv_ref node, uint64_t size)
{
    uint64_t first = size / PV_PAGE + (size % PV_PAGE != 0);

    clear(f, node, size, first * PV_PAGE - size);
    drop_pages(f, node, first, UINT64_MAX);
    if (!pv_node(f, node)->data && pv_node(f, node)->height)
        pv_node_edit(f, node)->height = 0;
}

uint64_t pv_data_seek(const struct pv_files *f, pv_ref node, uint64_t off, uint64_t end, bool data)
{
    const struct pv_node *look = pv_node(f, node);

    while (off < end) {
        pv_ref at = look->data;
        unsigned height = look->height;
        uint64_t index = off / PV_PAGE;

        if (!fits(index, height))
            at = 0;
        else
            for (; height > 0 && at; height--)
                at = child(f, at, index / span(height) % FANOUT);
        if ((at != 0) == data)
            return off;
        if (!at && !fits(index, look->height))
            return end;
        /* nothing under this entry: go on behind it */
        off = (index / (at ? 1 : 1ull << (FANOUT_BITS * height)) + 1) *
              (at ? 1 : 1ull << (FANOUT_BITS * height)) * PV_PAGE;
    }
    return end;
}
