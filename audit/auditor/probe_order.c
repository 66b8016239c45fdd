#include "probe_order.h"

#include <string.h>

/* Between reserving its space and taking its time a program may be interrupted, but not for long.
 */
enum { SLACK_NS = 1000000 };

void pv_probe_order_init(struct pv_probe_order *o)
{
    for (unsigned i = 0; i < PV_PROBE_RINGS; i++)
        o->line[i].free_pos = o->ring[i].pos;
}

static bool line_is_full(const struct pv_probe_line *l)
{
    return l->next - l->first >= PV_PROBE_WINDOW;
}

static bool comes_before(const struct pv_bpf_head *a, const struct pv_bpf_head *b)
{
    if (a->time_ns != b->time_ns)
        return a->time_ns < b->time_ns;
    return a->cpu != b->cpu ? a->cpu < b->cpu : a->seq < b->seq;
}

/* No more than a window's records wait: their places are that near to each other. */
static void insert(struct pv_probe_line *l, const struct pv_probe_item *item)
{
    uint64_t at = l->tail++;

    for (; at > l->head; at--) {
        const struct pv_probe_item *before = &l->sorted[(at - 1) % PV_PROBE_WINDOW];

        if (!comes_before(item->head, before->head))
            break;
        l->sorted[at % PV_PROBE_WINDOW] = *before;
    }
    l->sorted[at % PV_PROBE_WINDOW] = *item;
}

/* The line whose first record comes first; NULL: nothing waits. */
static const struct pv_probe_line *first_line(const struct pv_probe_order *o)
{
    const struct pv_probe_line *first = NULL;

    for (unsigned i = 0; i < PV_PROBE_RINGS; i++) {
        const struct pv_probe_line *l = &o->line[i];

        if (l->head != l->tail &&
            (!first || comes_before(l->sorted[l->head % PV_PROBE_WINDOW].head,
                                    first->sorted[first->head % PV_PROBE_WINDOW].head)))
            first = l;
    }
    return first;
}

static void finish(struct pv_probe_line *l, uint64_t place)
{
    l->done[place % PV_PROBE_WINDOW] = true;
    while (l->first < l->next && l->done[l->first % PV_PROBE_WINDOW])
        l->free_pos = l->end[l->first++ % PV_PROBE_WINDOW];
}

/* Reads one ring as far as it goes; *ret_bound: no record of it is to come that is older. */
static int read_ring(struct pv_probe_order *o, uint32_t which, uint32_t n_cpus, uint64_t *ret_bound,
                     struct pv_err *err)
{
    struct pv_probe_ring *r = &o->ring[which];
    struct pv_probe_line *l = &o->line[which];
    const struct pv_bpf_head *h = NULL;
    size_t len = 0;

    while (!line_is_full(l) && (h = pv_probe_ring_next(r, &len))) {
        uint64_t place = l->next++;
        struct pv_probe_item item = {h, (uint32_t)len, which, place};

        l->end[place % PV_PROBE_WINDOW] = r->pos;
        l->done[place % PV_PROBE_WINDOW] = false;
        if (len < sizeof *h || h->cpu >= n_cpus) {
            finish(l, place);
            return pv_refuse(err, EBADMSG, "probe record of %zu bytes names no CPU", len);
        }
        l->last_ns = h->time_ns;
        insert(l, &item);
    }
    bool at_end = pv_probe_ring_is_empty(r);
    o->all_read &= at_end;
    o->is_full |= line_is_full(l);
    *ret_bound = at_end ? o->now_ns : l->last_ns > SLACK_NS ? l->last_ns - SLACK_NS : 0;
    return 0;
}

int pv_probe_order_fill(struct pv_probe_order *o, uint64_t now_ns, uint32_t n_cpus,
                        struct pv_err *err)
{
    uint64_t bound = UINT64_MAX;

    o->now_ns = now_ns;
    o->is_full = false;
    o->all_read = true;
    o->bound_ns = 0;
    for (uint32_t i = 0; i < PV_PROBE_RINGS; i++) {
        uint64_t b = 0;

        if (!o->ring[i].size)
            continue;
        PV_TRY(read_ring(o, i, n_cpus, &b, err));
        bound = b < bound ? b : bound;
    }
    o->bound_ns = bound;
    return 0;
}

const struct pv_probe_item *pv_probe_order_peek(const struct pv_probe_order *o)
{
    const struct pv_probe_line *l = first_line(o);

    if (!l)
        return NULL;
    const struct pv_probe_item *item = &l->sorted[l->head % PV_PROBE_WINDOW];
    return o->is_full || item->head->time_ns <= o->bound_ns ? item : NULL;
}

void pv_probe_order_take(struct pv_probe_order *o, const struct pv_probe_item *item)
{
    struct pv_probe_line *l = &o->line[item->ring];

    l->head++;
    finish(l, item->place);
    /* one place at least is free again: the rings are looked at before more goes out unproven */
    o->is_full = false;
}

void pv_probe_order_release(struct pv_probe_order *o)
{
    for (unsigned i = 0; i < PV_PROBE_RINGS; i++)
        if (o->ring[i].size)
            pv_probe_ring_release(&o->ring[i], o->line[i].free_pos);
}

bool pv_probe_order_is_empty(const struct pv_probe_order *o)
{
    for (unsigned i = 0; i < PV_PROBE_RINGS; i++)
        if (o->ring[i].size && !pv_probe_ring_is_empty(&o->ring[i]))
            return false;
    return !first_line(o);
}
