#include "graph_fixture.h"

#include "pv/stitch.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

char graph_dir[] = "/tmp/pv-graph-XXXXXX";

void must(int rc, const struct pv_err *err)
{
    if (rc < 0)
        fail_msg("%s", err->text);
}

int graph_dir_make(void **state)
{
    (void)state;
    return mkdtemp(graph_dir) ? 0 : -1;
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(name);
}

int graph_dir_remove(void **state)
{
    (void)state;
    return nftw(graph_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

struct pv_graph *graph_told(struct story *s, enum story_order order)
{
    static unsigned number;
    struct pv_err err = PV_ERR_INIT;
    struct pv_stitch *stitch = NULL;
    struct pv_graph *g = NULL;
    char db[64];
    (void)snprintf(db, sizeof db, "%s/told%u.db", graph_dir, number++);
    story_tell(s, order);
    must(pv_stitch_open(&stitch, db, &err), &err);
    for (size_t i = 0; i < s->n; i++)
        must(pv_stitch_entry(stitch, i, s->v[i].bytes, s->v[i].len, &err), &err);
    must(pv_stitch_commit(stitch, &err), &err);
    pv_stitch_close(stitch);
    must(pv_graph_open(&g, db, &err), &err);
    return g;
}
