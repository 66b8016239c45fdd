#include "graph_fixture.h"

#include "pv/graph_export.h"
#include "pv/graph_follow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct story story;

static void attack_path(struct pv_graph *g, bool with_file, struct pv_graph_result *r)
{
    struct pv_err err = PV_ERR_INIT;
    pv_auto_graph_ids struct pv_graph_ids from = {0};
    pv_auto_graph_ids struct pv_graph_ids to = {0};
    const struct pv_graph_limits limits = {0};
    char call[PV_CALL_ID_CHARS + 1];
    pv_call_id_print(&story.attack[0], call);
    must(pv_graph_resolve(g, call, PV_SIDE_FROM, &from, &err), &err);
    if (with_file)
        must(pv_graph_resolve(g, "/function/credentials.json", PV_SIDE_FROM, &from, &err), &err);
    must(pv_graph_resolve(g, "127.0.0.1:9000", PV_SIDE_TO, &to, &err), &err);
    must(pv_graph_path(g, &from, &to, &limits, r, &err), &err);
}

static void picture_shows_the_chain(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_BY_TIME);
    pv_auto_graph_result struct pv_graph_result r = {0};
    pv_autobuf struct pv_buf dot;
    pv_buf_init(&dot, 1u << 20);
    attack_path(g, true, &r);
    must(pv_graph_write_dot(&r, "How the secret left", &dot, &err), &err);
    pv_buf_u8(&dot, 0);
    const char *text = (const char *)dot.data;
    const char *keep = getenv("PV_KEEP_DOT");
    if (keep) {
        FILE *f = fopen(keep, "w");
        assert_non_null(f);
        (void)fputs(text, f);
        (void)fclose(f);
    }
    const char *const shown[] = {"203.0.113.66:31337",
                                 "upload",
                                 "fetch-image",
                                 "make-caption",
                                 "publish",
                                 "/function/credentials.json",
                                 "127.0.0.1:9000",
                                 "POST /posts",
                                 "style=dashed",
                                 "<B>source</B> · file",
                                 "<B>target</B> · endpoint"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (!strstr(text, shown[i]))
            fail_msg("the picture lacks '%s':\n%s", shown[i], text);
    size_t boxes = 0, frames = 0;
    for (const char *p = text; (p = strstr(p, " [shape=")); p++)
        boxes++;
    for (const char *p = text; (p = strstr(p, "subgraph ")); p++)
        frames++;
    /* client, request, file, endpoint; upload in three steps, three others in one each */
    assert_int_equal(boxes, 10);
    assert_int_equal(frames, 4);
    assert_null(strstr(text, "socket"));
    assert_null(strstr(text, "192.0.2.1"));
    assert_null(strstr(text, "cat.ppm"));
    assert_null(strstr(text, "libc.so"));
    pv_graph_close(g);
}

/* Without the outside witness: what gateway and hosts know, and a warning. */
static void picture_without_witness_says_so(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_NO_WITNESS);
    pv_auto_graph_result struct pv_graph_result r = {0};
    pv_autobuf struct pv_buf dot;
    pv_buf_init(&dot, 1u << 20);
    attack_path(g, false, &r);
    must(pv_graph_write_dot(&r, "", &dot, &err), &err);
    pv_buf_u8(&dot, 0);
    const char *text = (const char *)dot.data;
    const char *const shown[] = {"outside witness is or was missing",
                                 "upload",
                                 "fetch-image",
                                 "make-caption",
                                 "publish",
                                 "POST /posts"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (!strstr(text, shown[i]))
            fail_msg("the picture lacks '%s':\n%s", shown[i], text);
    pv_graph_close(g);
}

struct sentences {
    bool started, ended;
};
static int hear(void *ctx, const struct pv_graph_moment *m)
{
    struct sentences *s = ctx;
    assert_non_null(m->event);
    assert_true(m->base_ns > 0);
    if (*m->text)
        assert_int_not_equal(m->text[strlen(m->text) - 1], ' ');
    s->started |= strncmp(m->text, "the host starts a process (host pid ", 36) == 0;
    s->ended |= strcmp(m->text, "the gateway answers 200, 30 bytes (ok)") == 0;
    return 0;
}

static void sentences_are_whole(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_BY_TIME);
    struct pv_graph_basis basis;
    struct sentences heard = {0};
    char call[PV_CALL_ID_CHARS + 1];
    pv_call_id_print(&story.attack[0], call);
    must(pv_graph_timeline(g, call, true, true, hear, &heard, &basis, &err), &err);
    assert_true(heard.started);
    assert_true(heard.ended);
    pv_graph_close(g);
}

static void hostile_text_is_tamed(void **state)
{
    (void)state;
    char out[64];
    pv_graph_printable("a\"\n\x1b[31m\xff<b>\xe2\x80\xae", 60, out, sizeof out);
    assert_string_equal(out, "a\"\\x0a\\x1b[31m\\xff<b>\\xe2\\x80\\xae");
    pv_graph_printable("0123456789abcdefghijklmnopqrstuvwxyz", 12, out, sizeof out);
    assert_string_equal(out, "0123…tuvwxyz");
    char huge[4000];
    memset(huge, '\n', sizeof huge - 1);
    huge[sizeof huge - 1] = 0;
    pv_graph_printable(huge, 4000, out, sizeof out);
    assert_true(strlen(out) < sizeof out);
}

static void hostile_names_stay_inside_their_label(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    char name[] = "\"]; evil [label=<<B>x</B>>];\n//";
    struct pv_graph_node n = {.id = 1, .type = PV_N_FILE, .name = name};
    struct pv_graph_result r = {.nodes = &n, .n_nodes = 1};
    pv_autobuf struct pv_buf dot;
    pv_buf_init(&dot, 1u << 16);
    must(pv_graph_write_dot(&r, "<&\">", &dot, &err), &err);
    pv_buf_u8(&dot, 0);
    assert_non_null(strstr((const char *)dot.data, "&quot;]; evil [label=&lt;&lt;B&gt;x"));
    assert_non_null(strstr((const char *)dot.data, "&lt;&amp;&quot;&gt;"));
    assert_null(strstr((const char *)dot.data, "<B>x</B>"));
}

static void json_holds_every_node(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    struct pv_graph *g = graph_told(&story, STORY_BY_TIME);
    pv_auto_graph_result struct pv_graph_result r = {0};
    pv_autobuf struct pv_buf json;
    pv_buf_init(&json, 1u << 22);
    attack_path(g, true, &r);
    must(pv_graph_write_json(&r, &json, &err), &err);
    pv_buf_u8(&json, 0);
    size_t ids = 0;
    for (const char *p = (const char *)json.data; (p = strstr(p, "\"id\": \"n")); p++)
        ids++;
    assert_int_equal(ids, r.n_nodes);
    assert_non_null(strstr((const char *)json.data, "\"outside_witness_missing\": false"));
    pv_graph_close(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picture_shows_the_chain),
        cmocka_unit_test(picture_without_witness_says_so),
        cmocka_unit_test(sentences_are_whole),
        cmocka_unit_test(hostile_text_is_tamed),
        cmocka_unit_test(hostile_names_stay_inside_their_label),
        cmocka_unit_test(json_holds_every_node),
    };
    return cmocka_run_group_tests(tests, graph_dir_make, graph_dir_remove);
}
