#include "pv/buf.h"
#include "pv/err.h"
#include "pv/id.h"
#include "pv/io.h"
#include "pv/own.h"
#include "pv/size.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void error_reads_as_a_sentence(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    assert_int_equal(pv_fail(&err, ENOENT, "open '%s'", "x"), -ENOENT);
    assert_int_equal(pv_wrap(&err, err.code, "check graph"), -ENOENT);
    assert_string_equal(err.text, "check graph: open 'x': No such file or directory");
    assert_int_equal(pv_fail(NULL, -EIO, "ignored"), -EIO);
}

static void long_error_is_cut_not_overrun(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    char big[2048];
    memset(big, 'a', sizeof big - 1);
    big[sizeof big - 1] = 0;
    pv_refuse(&err, EINVAL, "%s", big);
    for (int i = 0; i < 5; i++)
        pv_wrap(&err, -EINVAL, "%s", big);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
}

static void writer_never_passes_its_ceiling(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf b;
    struct pv_err err = PV_ERR_INIT;
    pv_buf_init(&b, 10);
    pv_buf_u64(&b, 1);
    assert_int_equal(pv_buf_check(&b, "x", &err), 0);
    pv_buf_u32(&b, 1);
    assert_int_equal(b.len, 8);
    assert_int_equal(pv_buf_check(&b, "x", &err), -EMSGSIZE);
    pv_buf_u8(&b, 1); /* the error is sticky, though one byte would fit */
    assert_int_equal(b.len, 8);
}

static void reader_wants_every_byte(void **state)
{
    (void)state;
    pv_autobuf struct pv_buf b;
    struct pv_err err = PV_ERR_INIT;
    pv_buf_init(&b, 100);
    pv_buf_str(&b, "hello");
    pv_buf_u16(&b, 0x1234);
    struct pv_reader r = pv_reader_of(b.data, b.len);
    char text[6];
    pv_read_str(&r, text, sizeof text);
    assert_string_equal(text, "hello");
    assert_int_equal(pv_reader_end(&r, "x", &err), -EBADMSG);
    assert_int_equal(pv_read_u16(&r), 0x1234);
    assert_int_equal(pv_reader_end(&r, "x", &err), 0);
    pv_read_u8(&r);
    assert_int_equal(pv_reader_end(&r, "x", &err), -EBADMSG);
}

static void reader_refuses_lengths_out_of_bounds(void **state)
{
    (void)state;
    const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 'a'};
    const uint8_t nul[] = {0, 0, 0, 2, 'a', 0};
    struct pv_reader r = pv_reader_of(huge, sizeof huge);
    size_t len = 1;
    assert_null(pv_read_bytes(&r, SIZE_MAX, &len));
    assert_int_equal(len, 0);
    assert_true(r.failed);
    char text[8] = "x";
    r = pv_reader_of(nul, sizeof nul);
    pv_read_str(&r, text, sizeof text);
    assert_true(r.failed);
    assert_string_equal(text, "");
    const uint8_t long_text[] = {0, 0, 0, 3, 'a', 'b', 'c'};
    r = pv_reader_of(long_text, sizeof long_text);
    pv_read_str(&r, text, 3);
    assert_true(r.failed);
}

static void call_ids_print_and_parse(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct pv_call_id id = pv_call_id_new(), back;
        char text[PV_CALL_ID_CHARS + 1];
        pv_call_id_print(&id, text);
        assert_true(pv_call_id_parse(text, &back));
        assert_true(pv_call_id_equal(&id, &back));
    }
    struct pv_call_id id;
    assert_false(pv_call_id_parse("short", &id));
    assert_false(pv_call_id_parse("0123456789abcdeu", &id)); /* u is not in the alphabet */
    assert_false(pv_call_id_parse("0123456789abcdefg", &id));
}

static void hex_refuses_what_is_not_hex(void **state)
{
    (void)state;
    uint8_t out[2];
    assert_true(pv_unhex("a0ff", out, 2));
    assert_int_equal(out[0], 0xa0);
    assert_false(pv_unhex("a0f", out, 2));
    assert_false(pv_unhex("a0fg", out, 2));
    assert_false(pv_unhex("A0FF", out, 2));
}

static void replaced_file_is_whole_or_old(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    char dir[] = "/tmp/pv-base-XXXXXX";
    assert_non_null(mkdtemp(dir));
    pv_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pv_replace_file_at(fd, "f", "one", 3, 0600, &err), 0);
    assert_int_equal(pv_replace_file_at(fd, "f", "second", 6, 0600, &err), 0);
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, 100);
    assert_int_equal(pv_read_file_at(fd, "f", &b, &err), 0);
    assert_int_equal(b.len, 6);
    assert_memory_equal(b.data, "second", 6);
    pv_buf_done(&b);
    pv_buf_init(&b, 3);
    assert_int_equal(pv_read_file_at(fd, "f", &b, &err), -EMSGSIZE);
    assert_int_equal(unlinkat(fd, "f", 0), 0);
    assert_int_equal(rmdir(dir), 0); /* and no temporary file was left */
}

static void endless_file_is_refused(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, 100000);
    assert_int_equal(pv_read_file_at(AT_FDCWD, "/dev/zero", &b, &err), -EMSGSIZE);
}

static void success_is_not_wrapped(void **state)
{
    (void)state;
    struct pv_err err = PV_ERR_INIT;
    assert_int_equal(pv_wrap(&err, 0, "secret"), 0);
    assert_string_equal(err.text, "");
}

static void sizes_are_exact_in_words(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {{0, "0 bytes"},
                 {1, "1 byte"},
                 {1000, "1000 bytes"},
                 {4100ull << 10, "4100 KiB"},
                 {16 << 20, "16 MiB"},
                 {1ull << 50, "1024 TiB"},
                 {UINT64_MAX, "18446744073709551615 bytes"}};
    char text[PV_SIZE_TEXT];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(pv_size_text(cases[i].bytes, text), cases[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_reads_as_a_sentence),
        cmocka_unit_test(long_error_is_cut_not_overrun),
        cmocka_unit_test(writer_never_passes_its_ceiling),
        cmocka_unit_test(reader_wants_every_byte),
        cmocka_unit_test(reader_refuses_lengths_out_of_bounds),
        cmocka_unit_test(call_ids_print_and_parse),
        cmocka_unit_test(hex_refuses_what_is_not_hex),
        cmocka_unit_test(replaced_file_is_whole_or_old),
        cmocka_unit_test(endless_file_is_refused),
        cmocka_unit_test(success_is_not_wrapped),
        cmocka_unit_test(sizes_are_exact_in_words),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
