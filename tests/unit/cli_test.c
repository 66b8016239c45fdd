/* The command line's escaping, units and tables. */
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/table.h"
#include "pv/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_cut(const char *in, size_t max, const char *want)
{
    static const char *const titles[] = {"A"};
    char out[1024] = "";
    FILE *f = fmemopen(out, sizeof out, "w");
    struct cli_table *t = cli_table_new(titles, 1);
    cli_table_cell_cut(t, in, max);
    cli_table_print(t, f, false);
    (void)fclose(f);
    cli_table_free(t);
    assert_true(strncmp(out, "A\n", 2) == 0);
    out[strcspn(out + 2, "\n") + 2] = '\0';
    assert_string_equal(out + 2, want);
}

static void cuts_a_cell_in_its_middle(void **state)
{
    (void)state;
    expect_cut("12345678", 8, "12345678");
    expect_cut("123456789", 8,
               "1234\xe2\x80\xa6"
               "789");
    expect_cut("/a/long/path/to/some.file", 12, "/a/lon\xe2\x80\xa6.file");
    /* characters, not bytes */
    expect_cut("\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc", 5,
               "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc");
    expect_cut("\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc", 4,
               "\xc3\xbc\xc3\xbc\xe2\x80\xa6\xc3\xbc");
    /* as much as a cell takes, and one character too wide */
    char wide[400];
    memset(wide, 'x', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    char cut[410];
    (void)snprintf(cut, sizeof cut, "%.199s\xe2\x80\xa6%.198s", wide, wide);
    expect_cut(wide, 398, cut);
}

static void expect_escaped(const char *in, size_t len, enum cli_escape how, const char *want)
{
    struct pv_buf b;
    pv_buf_init(&b, 4096);
    cli_escape_append(&b, in, len, how);
    pv_buf_u8(&b, 0);
    assert_string_equal((const char *)b.data, want);
    pv_buf_done(&b);
}

static void escapes_what_steers_a_terminal(void **state)
{
    (void)state;
    expect_escaped("\033[2J\r", 5, CLI_ESCAPE_TEXT, "\\x1b[2J\\x0d");
    expect_escaped("a\nb\tc\\", 6, CLI_ESCAPE_TEXT, "a\nb\tc\\");
    expect_escaped("a\nb\tc\\", 6, CLI_ESCAPE_LINE, "a\\nb\\tc\\\\");
    expect_escaped("\0\x7f", 2, CLI_ESCAPE_LINE, "\\x00\\x7f");
    /* C1 control, right-to-left override, zero-width space */
    expect_escaped("\xc2\x9b", 2, CLI_ESCAPE_LINE, "\\xc2\\x9b");
    expect_escaped("\xe2\x80\xae", 3, CLI_ESCAPE_LINE, "\\xe2\\x80\\xae");
    expect_escaped("\xe2\x80\x8b", 3, CLI_ESCAPE_TEXT, "\\xe2\\x80\\x8b");
}

static void keeps_text_and_marks_bad_utf8(void **state)
{
    (void)state;
    expect_escaped("gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x88", 11, CLI_ESCAPE_LINE,
                   "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x88");
    expect_escaped("\xff", 1, CLI_ESCAPE_LINE, "\\xff");
    expect_escaped("\xc0\xaf", 2, CLI_ESCAPE_LINE, "\\xc0\\xaf");          /* overlong */
    expect_escaped("\xed\xa0\x80", 3, CLI_ESCAPE_LINE, "\\xed\\xa0\\x80"); /* surrogate */
    expect_escaped("\xe2\x82", 2, CLI_ESCAPE_LINE, "\\xe2\\x82");          /* cut */
}

static void cuts_long_text_within_the_buffer(void **state)
{
    (void)state;
    char out[8];
    assert_string_equal(cli_escape_str("1234567", out, sizeof out), "1234567");
    assert_string_equal(cli_escape_str("12345678", out, sizeof out), "1234\xe2\x80\xa6");
    for (size_t cap = 1; cap < 24; cap++) {
        char *guarded = malloc(cap); /* exact size: a sanitizer sees one byte too many */
        assert_non_null(guarded);
        cli_escape_str("a\x01\x02\x03 much longer than this", guarded, cap);
        assert_true(strlen(guarded) < cap);
        free(guarded);
    }
}

static void reads_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"4096", 4096},
                {"64M", 64ull << 20},
                {"64Mi", 64ull << 20},
                {"64MiB", 64ull << 20},
                {"1g", 1ull << 30},
                {"512k", 512 << 10},
                {"10B", 10}};
    static const char *const bad[] = {"",
                                      "M",
                                      "64 M",
                                      "-1",
                                      "64X",
                                      "64MM",
                                      "1.5G",
                                      "64Mix",
                                      "99999999999999999999",
                                      "18014398509481984G"};
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    uint64_t v = 0;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(cli_parse_size(good[i].text, &v, &err), 0);
        assert_true(v == good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(cli_parse_size(bad[i], &v, &err), -EINVAL);
}

static void reads_durations_and_shares(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    uint64_t ms = 0;
    uint32_t millis = 0;
    assert_int_equal(cli_parse_duration("10s", &ms, &err), 0);
    assert_int_equal(ms, 10000);
    assert_int_equal(cli_parse_duration("500ms", &ms, &err), 0);
    assert_int_equal(ms, 500);
    assert_int_equal(cli_parse_duration("1h30m", &ms, &err), 0);
    assert_int_equal(ms, 5400000);
    assert_int_equal(cli_parse_duration("7", &ms, &err), 0);
    assert_int_equal(ms, 7000);
    assert_int_equal(cli_parse_duration("", &ms, &err), -EINVAL);
    assert_int_equal(cli_parse_duration("1h30", &ms, &err), -EINVAL);
    assert_int_equal(cli_parse_duration("10 s", &ms, &err), -EINVAL);
    assert_int_equal(cli_parse_duration("-1s", &ms, &err), -EINVAL);
    assert_int_equal(cli_parse_cpu("0.5", &millis, &err), 0);
    assert_int_equal(millis, 500);
    assert_int_equal(cli_parse_cpu("2", &millis, &err), 0);
    assert_int_equal(millis, 2000);
    assert_int_equal(cli_parse_cpu("250m", &millis, &err), 0);
    assert_int_equal(millis, 250);
    assert_int_equal(cli_parse_cpu("0", &millis, &err), -EINVAL);
    assert_int_equal(cli_parse_cpu("0.5x", &millis, &err), -EINVAL);
}

static void reads_moments(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    uint64_t ns = 0;
    char shown[64];
    uint64_t now = 1800000000 * PV_NS_PER_S;
    assert_int_equal(cli_parse_moment("10m", now, &ns, &err), 0);
    assert_true(ns == now - 600 * PV_NS_PER_S);
    assert_int_equal(cli_parse_moment("2026-11-21T10:00:00.25Z", now, &ns, &err), 0);
    assert_string_equal(cli_format_time(ns, shown, sizeof shown), "2026-11-21T10:00:00.250000Z");
    assert_int_equal(cli_parse_moment("2026-11-21", now, &ns, &err), 0);
    assert_string_equal(cli_format_time(ns, shown, sizeof shown), "2026-11-21T00:00:00.000000Z");
    assert_int_equal(cli_parse_moment("yesterday", now, &ns, &err), -EINVAL);
    assert_int_equal(cli_parse_moment("2026-11-21T10:00:00+02:00", now, &ns, &err), -EINVAL);
}

static void tables_are_aligned_and_escaped(void **state)
{
    static const char *const titles[] = {"NAME", "N"};
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *f = open_memstream(&text, &len);
    struct cli_table *t = cli_table_new(titles, 2);
    assert_non_null(f);
    assert_non_null(t);
    cli_table_cell(t, "\xc3\xbc\033x");
    cli_table_cellf(t, "%d", 7);
    cli_table_cell(t, "b");
    cli_table_cell(t, NULL);
    cli_table_print(t, f, false);
    fclose(f);
    assert_string_equal(text, "NAME    N\n\xc3\xbc\\x1bx  7\nb       -\n");
    free(text);
    cli_table_free(t);
    cli_table_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_a_cell_in_its_middle),
        cmocka_unit_test(escapes_what_steers_a_terminal),
        cmocka_unit_test(keeps_text_and_marks_bad_utf8),
        cmocka_unit_test(cuts_long_text_within_the_buffer),
        cmocka_unit_test(reads_sizes),
        cmocka_unit_test(reads_durations_and_shares),
        cmocka_unit_test(reads_moments),
        cmocka_unit_test(tables_are_aligned_and_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
