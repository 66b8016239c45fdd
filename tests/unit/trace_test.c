#include "graph_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct story story;

static bool has(const struct pv_graph_result *r, enum pv_node_type type, const char *name,
                const struct pv_call_id *call)
{
    char id[PV_CALL_ID_CHARS + 1] = "";
    if (call)
        pv_call_id_print(call, id);
    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].type == type && (!name || strcmp(r->nodes[i].name, name) == 0) &&
            (!call || strcmp(r->nodes[i].call, id) == 0))
            return true;
    return false;
}

static void trace(struct pv_graph *g, const char *from, enum pv_graph_side side,
                  enum pv_graph_direction direction, struct pv_graph_result *r)
{
    struct pv_err err = PV_ERR_INIT;
    const struct pv_graph_limits limits = {0};
    pv_auto_graph_ids struct pv_graph_ids ids = {0};
    must(pv_graph_resolve(g, from, side, &ids, &err), &err);
    must(pv_graph_trace(g, &ids, direction, &limits, r, &err), &err);
}

/* Whatever the interleaving, the secret is traced to the endpoint and to no innocent call. */
static void secret_is_traced_forward(void **state)
{
    (void)state;
    for (int order = STORY_BY_TIME; order <= STORY_OUTSIDE_LAST; order++) {
        struct pv_graph *g = graph_told(&story, (enum story_order)order);
        pv_auto_graph_result struct pv_graph_result r = {0};
        trace(g, "/function/credentials.json", PV_SIDE_FROM, PV_FORWARD, &r);
        assert_true(has(&r, PV_N_ENDPOINT, "127.0.0.1:9000", NULL));
        for (unsigned i = 0; i < 4; i++) {
            assert_true(has(&r, PV_N_PROCESS, NULL, &story.attack[i]));
            assert_false(has(&r, PV_N_UNIT, NULL, &story.good[i]));
            assert_false(has(&r, PV_N_PROCESS, NULL, &story.good[i]));
        }
        assert_false(has(&r, PV_N_REQUEST, NULL, &story.attack[0]));
        assert_false(has(&r, PV_N_REQUEST, NULL, &story.attack[1]));
        assert_true(has(&r, PV_N_REQUEST, NULL, &story.attack[3]));
        pv_graph_close(g);
    }
}

static void response_is_traced_back_to_the_client(void **state)
{
    (void)state;
    char call[PV_CALL_ID_CHARS + 1];
    for (int order = STORY_BY_TIME; order <= STORY_NO_WITNESS; order++) {
        struct pv_graph *g = graph_told(&story, (enum story_order)order);
        pv_auto_graph_result struct pv_graph_result r = {0};
        pv_call_id_print(&story.attack[3], call);
        trace(g, call, PV_SIDE_TO, PV_BACKWARD, &r);
        assert_true(has(&r, PV_N_CLIENT, "203.0.113.66:31337", NULL));
        assert_false(has(&r, PV_N_CLIENT, "192.0.2.1:4000", NULL));
        assert_int_equal(has(&r, PV_N_FILE, "/function/credentials.json", NULL),
                         order != STORY_NO_WITNESS);
        assert_false(has(&r, PV_N_FILE, "/usr/lib/x86_64-linux-gnu/libc.so.6", NULL));
        assert_int_equal(r.basis.witness_missing, order == STORY_NO_WITNESS);
        assert_int_equal(r.basis.log_size, story.n);
        pv_graph_close(g);
    }
}

static void path_holds_the_chain_without_a_witness(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_NO_WITNESS);
    const struct pv_graph_limits limits = {0};
    pv_auto_graph_result struct pv_graph_result r = {0};
    pv_auto_graph_ids struct pv_graph_ids from = {0};
    pv_auto_graph_ids struct pv_graph_ids to = {0};
    char call[PV_CALL_ID_CHARS + 1];
    pv_call_id_print(&story.attack[0], call);
    must(pv_graph_resolve(g, call, PV_SIDE_FROM, &from, &err), &err);
    must(pv_graph_resolve(g, "127.0.0.1:9000", PV_SIDE_TO, &to, &err), &err);
    must(pv_graph_path(g, &from, &to, &limits, &r, &err), &err);
    for (unsigned i = 0; i < 4; i++)
        assert_true(has(&r, PV_N_UNIT, NULL, &story.attack[i]));
    assert_true(has(&r, PV_N_CLIENT, "203.0.113.66:31337", NULL));
    assert_false(has(&r, PV_N_UNIT, NULL, &story.good[0]));
    pv_graph_close(g);
}

/* What flows to a function flows to its calls, and to no other function's. */
static void path_to_a_function_ends_in_its_calls(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_NO_WITNESS);
    const struct pv_graph_limits limits = {0};
    static const char client[] = "203.0.113.66:31337";
    static const char *const names[] = {"publish", "publish@1"};
    for (unsigned i = 0; i < 2; i++) {
        pv_auto_graph_result struct pv_graph_result r = {0};
        pv_auto_graph_ids struct pv_graph_ids from = {0};
        pv_auto_graph_ids struct pv_graph_ids to = {0};
        must(pv_graph_resolve(g, client, PV_SIDE_FROM, &from, &err), &err);
        must(pv_graph_resolve(g, names[i], PV_SIDE_TO, &to, &err), &err);
        must(pv_graph_path(g, &from, &to, &limits, &r, &err), &err);
        assert_true(has(&r, PV_N_UNIT, NULL, &story.attack[3]));
        assert_false(has(&r, PV_N_UNIT, NULL, &story.good[3]));
    }
    pv_graph_close(g);
}

static void ids_are_accepted(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_BY_TIME);
    pv_auto_graph_ids struct pv_graph_ids ids = {0};
    char call[PV_CALL_ID_CHARS + 1], prefix[8], found[PV_CALL_ID_CHARS + 1];
    pv_call_id_print(&story.attack[0], call);
    (void)snprintf(prefix, sizeof prefix, "%.6s", call);
    must(pv_graph_resolve_call(g, prefix, found, &err), &err);
    assert_string_equal(found, call);
    (void)snprintf(prefix, sizeof prefix, "%.3s", call);
    assert_int_equal(pv_graph_resolve_call(g, prefix, found, &err), -EINVAL);
    assert_int_equal(pv_graph_resolve_call(g, "", found, &err), -EINVAL);
    assert_int_equal(pv_graph_resolve_call(g, "../../x", found, &err), -EINVAL);
    assert_int_equal(pv_graph_resolve_call(g, "zzzz", found, &err), -ENOENT);
    /* e0, the log's opening, belongs to no call and has no node */
    assert_int_equal(pv_graph_resolve_call(g, "e0", found, &err), -ENOENT);
    assert_string_equal(err.text, "event e0 belongs to no call");
    assert_int_equal(pv_graph_resolve_call(g, "e999999", found, &err), -ENOENT);
    assert_string_equal(err.text, "the graph has no event e999999");
    assert_int_equal(pv_graph_resolve(g, "e0", PV_SIDE_ANY, &ids, &err), -ENOENT);
    assert_non_null(strstr(err.text, "event e0 has brought about no node"));
    assert_int_equal(pv_graph_resolve(g, "", PV_SIDE_ANY, &ids, &err), -EINVAL);
    must(pv_graph_resolve(g, "n3", PV_SIDE_ANY, &ids, &err), &err);
    assert_int_equal(ids.v[0], 3);
    must(pv_graph_resolve(g, "e5", PV_SIDE_ANY, &ids, &err), &err);
    ids.n = 0;
    must(pv_graph_resolve(g, "fetch-image", PV_SIDE_ANY, &ids, &err), &err);
    assert_int_equal(ids.n, 1);
    assert_int_equal(pv_graph_resolve(g, "fetch-imag", PV_SIDE_ANY, &ids, &err), -ENOENT);
    assert_int_equal(pv_graph_resolve(g, "n999999", PV_SIDE_ANY, &ids, &err), -ENOENT);
    assert_int_equal(pv_graph_resolve(g, "'; DROP TABLE node", PV_SIDE_ANY, &ids, &err), -ENOENT);
    pv_graph_close(g);
}

struct heard {
    size_t n;
    uint64_t last_ns;
    bool credentials, runtime, call_refused, egress_refused, granted, under_way;
    unsigned refusals;
};
static int hear(void *ctx, const struct pv_graph_moment *m)
{
    struct heard *h = ctx;
    h->n++;
    assert_true(m->time_ns >= h->last_ns);
    h->last_ns = m->time_ns;
    h->credentials |= strstr(m->text, "reads /function/credentials.json") != NULL;
    h->runtime |= strstr(m->text, "libc.so") != NULL;
    h->call_refused |= strcmp(m->text, "is refused a call to vault: not granted") == 0;
    h->egress_refused |= strcmp(m->text, "is refused evil.example:80 (CONNECT ): not granted") == 0;
    h->granted |= strstr(m->text, "calls vault") || strstr(m->text, "connects to evil");
    h->under_way |= strstr(m->text, "EINPROGRESS") != NULL;
    h->refusals += pv_event_is_refusal(m->event);
    return 0;
}

static void a_cut_list_says_so(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_BY_TIME);
    pv_auto_graph_result struct pv_graph_result all = {0};
    pv_auto_graph_result struct pv_graph_result cut = {0};
    must(pv_graph_find(g, &(struct pv_graph_find){.type = "file"}, &all, &err), &err);
    assert_true(all.n_nodes > 2);
    assert_int_equal(all.matched, all.n_nodes);
    assert_false(all.basis.truncated);
    must(pv_graph_find(g, &(struct pv_graph_find){.type = "file", .limit = 2}, &cut, &err), &err);
    assert_int_equal(cut.n_nodes, 2);
    assert_int_equal(cut.matched, all.matched);
    assert_true(cut.basis.truncated);
    pv_graph_close(g);
}

static void timeline_tells_in_order(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_OUTSIDE_LAST);
    struct pv_graph_basis basis;
    struct heard one = {0}, all = {0};
    char call[PV_CALL_ID_CHARS + 1];
    pv_call_id_print(&story.attack[1], call);
    must(pv_graph_timeline(g, call, false, false, hear, &one, &basis, &err), &err);
    assert_true(one.credentials && !one.runtime && one.n >= 6);
    must(pv_graph_timeline(g, call, true, true, hear, &all, &basis, &err), &err);
    assert_true(all.runtime && all.n > 3 * one.n);
    assert_int_equal(pv_graph_timeline(g, "zzzz", false, false, hear, &one, &basis, &err), -ENOENT);
    pv_graph_close(g);
}

static void what_was_refused_is_not_told_as_done(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_OVERREACH);
    struct pv_graph_basis basis;
    struct heard h = {0};
    char call[PV_CALL_ID_CHARS + 1];
    pv_call_id_print(&story.attack[1], call);
    must(pv_graph_timeline(g, call, false, false, hear, &h, &basis, &err), &err);
    assert_true(h.call_refused && h.egress_refused && !h.granted);
    assert_int_equal(h.refusals, 2);
    assert_false(h.under_way);
    pv_graph_close(g);
}

static void workflow_holds_its_four_calls(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_BY_TIME);
    pv_auto_graph_result struct pv_graph_result r = {0};
    char call[PV_CALL_ID_CHARS + 1];
    pv_call_id_print(&story.attack[2], call);
    must(pv_graph_workflow(g, call, &r, &err), &err);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(has(&r, PV_N_UNIT, NULL, &story.attack[i]));
        assert_false(has(&r, PV_N_UNIT, NULL, &story.good[i]));
    }
    pv_graph_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secret_is_traced_forward),
        cmocka_unit_test(response_is_traced_back_to_the_client),
        cmocka_unit_test(path_holds_the_chain_without_a_witness),
        cmocka_unit_test(path_to_a_function_ends_in_its_calls),
        cmocka_unit_test(ids_are_accepted),
        cmocka_unit_test(a_cut_list_says_so),
        cmocka_unit_test(timeline_tells_in_order),
        cmocka_unit_test(what_was_refused_is_not_told_as_done),
        cmocka_unit_test(workflow_holds_its_four_calls),
    };
    return cmocka_run_group_tests(tests, graph_dir_make, graph_dir_remove);
}
