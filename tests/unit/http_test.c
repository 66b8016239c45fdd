/* The HTTP request parser, the CGI header block, and the gateway's small parsers. */
#include "auth.h"
#include "base64.h"
#include "deploy_json.h"

#include "pv/http_response.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { BODY_LIMIT = 64 };

struct outcome {
    unsigned requests; /* complete ones */
    unsigned status;   /* of the refusal, or 0 */
    char body[256];
    size_t body_len;
    bool keep_alive;
};

/* Feeds text in ranges of `range` bytes, several requests one after the other. */
static struct outcome parse_ranges(const char *text, size_t range, unsigned forms)
{
    pv_autofree_http struct pv_http_parser *p = NULL;
    struct outcome o = {0};
    assert_int_equal(pv_http_parser_new(&p, forms, BODY_LIMIT, NULL), 0);
    size_t len = strlen(text);
    for (size_t off = 0; off < len && !o.status;) {
        size_t left = len - off < range ? len - off : range;
        const uint8_t *in = (const uint8_t *)text + off;
        off += left;
        for (;;) {
            size_t used;
            struct pv_http_span span;
            enum pv_http_step s = pv_http_parse(p, in, left, &used, &span);
            assert_true(used <= left);
            in += used;
            left -= used;
            if (s == PV_HTTP_BODY) {
                memcpy(o.body + o.body_len, span.data, span.len);
                o.body_len += span.len;
            } else if (s == PV_HTTP_DONE) {
                o.keep_alive = pv_http_parser_head(p)->keep_alive;
                o.requests++;
                pv_http_parser_reset(p);
            } else if (s == PV_HTTP_ERROR) {
                o.status = pv_http_parser_status(p);
                break;
            } else if (s == PV_HTTP_MORE) {
                break;
            }
        }
    }
    return o;
}

static void accepts(const char *text, unsigned requests, const char *body)
{
    for (size_t range = 1; range <= strlen(text); range += range < 8 ? 1 : 29) {
        struct outcome o = parse_ranges(text, range, PV_HTTP_ORIGIN);
        assert_int_equal(o.status, 0);
        assert_int_equal(o.requests, requests);
        assert_int_equal(o.body_len, strlen(body));
        assert_memory_equal(o.body, body, o.body_len);
    }
}

static void refuses(const char *text, unsigned status)
{
    for (size_t range = 1; range <= strlen(text); range += range < 8 ? 1 : 29) {
        struct outcome o = parse_ranges(text, range, PV_HTTP_ORIGIN);
        if (o.status != status)
            print_error("answered %u instead of %u to: %s\n", o.status, status, text);
        assert_int_equal(o.status, status);
        assert_int_equal(o.requests, 0);
    }
}

#define GET "GET / HTTP/1.1\r\nHost: x\r\n"
#define POST "POST / HTTP/1.1\r\nHost: x\r\n"

static void test_accepted(void **state)
{
    (void)state;
    accepts(GET "\r\n", 1, "");
    accepts("\r\n" GET "\r\n", 1, "");
    accepts("GET / HTTP/1.0\r\n\r\n", 1, "");
    accepts(POST "Content-Length: 3\r\n\r\nabc", 1, "abc");
    accepts(POST "Content-Length: 3\r\n\r\nabc" GET "\r\n" POST "Content-Length:1\r\n\r\nd", 3,
            "abcd");
    accepts(POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n002;x=\"y\"\r\nde\r\n0\r\n\r\n", 1,
            "abcde");
    accepts(POST "Transfer-Encoding: CHUNKED\r\n\r\n1\r\na\r\n0\r\nA: b\r\nC:\r\n\r\n" GET "\r\n",
            2, "a");
    accepts(GET "Empty:\r\nSpace: \t a b \t\r\n\r\n", 1, "");
}

static void test_smuggling(void **state)
{
    (void)state;
    refuses(POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    refuses(POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n", 400);
    refuses(POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400);
    refuses(POST "Content-Length: 3, 3\r\n\r\n", 400);
    refuses(POST "Content-Length: +3\r\n\r\n", 400);
    refuses(POST "Content-Length: 0x3\r\n\r\n", 400);
    refuses(POST "Content-Length:\r\n\r\n", 400);
    refuses(POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501);
    refuses(POST "Transfer-Encoding: xchunked\r\n\r\n", 501);
    refuses(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    refuses(POST "Transfer-Encoding : chunked\r\n\r\n", 400);
    refuses("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    refuses(GET "A: b\r\n c\r\n\r\n", 400);
    refuses(GET "A: b\n\r\n", 400);
    refuses("GET / HTTP/1.1\nHost: x\n\n", 400);
    refuses(GET "A: b\rc: d\r\n\r\n", 400);
    refuses(GET "A: \x01\r\n\r\n", 400);
    refuses(GET "A: \x7f\r\n\r\n", 400);
    refuses(GET ": b\r\n\r\n", 400);
    refuses(GET "no colon\r\n\r\n", 400);
    refuses("\r\n\r\n" GET "\r\n", 400);
}

static void test_request_lines(void **state)
{
    (void)state;
    refuses("GET / HTTP/1.1\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    refuses("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400);
    refuses("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    refuses("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    refuses("GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    refuses("GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400);
    refuses("GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    refuses("G@T / HTTP/1.1\r\nHost: x\r\n\r\n", 400);
    refuses("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505);
    refuses("GET / ICY/1.1\r\nHost: x\r\n\r\n", 400);
    refuses("GET /\r\nHost: x\r\n\r\n", 400);
    refuses(GET "Expect: more\r\n\r\n", 417);
    refuses("\x16\x03\x01", 400);
}

static void test_chunks(void **state)
{
    (void)state;
    refuses(POST "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", 400);
    refuses(POST "Transfer-Encoding: chunked\r\n\r\n3\nabc", 400);
    refuses(POST "Transfer-Encoding: chunked\r\n\r\n 3\r\n", 400);
    refuses(POST "Transfer-Encoding: chunked\r\n\r\n\r\n", 400);
    refuses(POST "Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400);
    refuses(POST "Transfer-Encoding: chunked\r\n\r\n41\r\n", 413);
    refuses(POST "Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n", 413);
    refuses(POST "Transfer-Encoding: chunked\r\n\r\n0\r\nA b\r\n\r\n", 400);
    refuses(POST "Transfer-Encoding: chunked\r\n\r\n0\r\n a: b\r\n\r\n", 400);
}

static void test_limits(void **state)
{
    (void)state;
    static char text[2 * PV_HTTP_HEAD_MAX];
    refuses(POST "Content-Length: 65\r\n\r\n", 413);
    refuses(POST "Content-Length: 99999999999999999999\r\n\r\n", 413);
    size_t n = (size_t)snprintf(text, sizeof text, "GET /");
    memset(text + n, 'a', PV_HTTP_TARGET_MAX);
    snprintf(text + n + PV_HTTP_TARGET_MAX, 64, " HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(parse_ranges(text, 1000, PV_HTTP_ORIGIN).status, 414);
    n = (size_t)snprintf(text, sizeof text, GET "A: ");
    memset(text + n, 'a', PV_HTTP_HEAD_MAX);
    text[n + PV_HTTP_HEAD_MAX] = 0;
    assert_int_equal(parse_ranges(text, 1000, PV_HTTP_ORIGIN).status, 431);
    n = (size_t)snprintf(text, sizeof text, GET);
    for (int i = 0; i < PV_HTTP_HEADERS_MAX; i++)
        n += (size_t)snprintf(text + n, 16, "A: b\r\n");
    snprintf(text + n, 8, "\r\n");
    assert_int_equal(parse_ranges(text, 1000, PV_HTTP_ORIGIN).status, 431);
}

static void test_connection(void **state)
{
    (void)state;
    assert_true(parse_ranges(GET "\r\n", 9, PV_HTTP_ORIGIN).keep_alive);
    assert_false(parse_ranges(GET "Connection: x, Close\r\n\r\n", 9, PV_HTTP_ORIGIN).keep_alive);
    assert_false(parse_ranges("GET / HTTP/1.0\r\n\r\n", 9, PV_HTTP_ORIGIN).keep_alive);
    assert_true(parse_ranges("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 9, PV_HTTP_ORIGIN)
                    .keep_alive);
}

static void test_proxy_forms(void **state)
{
    (void)state;
    unsigned forms = PV_HTTP_ABSOLUTE | PV_HTTP_AUTHORITY;
    char host[64];
    uint16_t port;
    assert_int_equal(parse_ranges("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", 9, forms).requests,
                     1);
    assert_int_equal(parse_ranges("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", 9, forms).requests, 1);
    assert_int_equal(parse_ranges(GET "\r\n", 9, forms).status, 400);
    assert_true(pv_http_split_authority("ExAmple.com", 11, 80, host, sizeof host, &port));
    assert_string_equal(host, "example.com");
    assert_int_equal(port, 80);
    assert_true(pv_http_split_authority("[::1]:443", 9, 0, host, sizeof host, &port));
    assert_string_equal(host, "::1");
    assert_int_equal(port, 443);
    assert_false(pv_http_split_authority("x", 1, 0, host, sizeof host, &port));
    assert_false(pv_http_split_authority("x:0", 3, 0, host, sizeof host, &port));
    assert_false(pv_http_split_authority("x:65536", 7, 0, host, sizeof host, &port));
    assert_false(pv_http_split_authority("u@x:1", 5, 0, host, sizeof host, &port));
    assert_false(pv_http_split_authority("x:1:2", 5, 0, host, sizeof host, &port));
}

static int cgi(const char *text, struct pv_cgi_response *ret)
{
    return pv_cgi_parse((const uint8_t *)text, strlen(text), ret, NULL);
}

static void test_cgi(void **state)
{
    (void)state;
    struct pv_cgi_response r;
    const char *text = "Status: 404 Gone\nContent-Type: a/b\r\nContent-Length: 9\nX: y\n\nbody";
    assert_int_equal(cgi(text, &r), 0);
    assert_int_equal(r.status, 404);
    assert_string_equal(r.content_type, "a/b");
    assert_int_equal(r.n_fields, 2);
    assert_string_equal(text + r.body_off, "body");
    pv_cgi_done(&r);
    assert_int_equal(cgi("Location: /x\n\n", &r), 0);
    assert_int_equal(r.status, 302);
    pv_cgi_done(&r);
    assert_int_equal(cgi("plain text", &r), -EBADMSG);
    assert_int_equal(cgi("no field\n\n", &r), -EBADMSG);
    assert_int_equal(cgi("Status: 99\n\n", &r), -EBADMSG);
    assert_int_equal(cgi("Status: 700\n\n", &r), -EBADMSG);
    assert_int_equal(cgi("X: a\rb\n\n", &r), -EBADMSG);
}

static void test_status_scan(void **state)
{
    (void)state;
    struct pv_http_status_scan s = {0};
    const char *text = "HTTP/1.1 204 No Content\r\n";
    for (const char *p = text; *p; p++)
        pv_http_status_feed(&s, (const uint8_t *)p, 1);
    assert_int_equal(s.status, 204);
    s = (struct pv_http_status_scan){0};
    pv_http_status_feed(&s, (const uint8_t *)"SSH-2.0-OpenSSH", 15);
    assert_int_equal(s.status, 0);
}

static void test_auth(void **state)
{
    (void)state;
    assert_true(gw_auth_ok("Bearer secret", "secret"));
    assert_true(gw_auth_ok("Basic YWRtaW46c2VjcmV0", "secret"));
    assert_false(gw_auth_ok("Bearer secre", "secret"));
    assert_false(gw_auth_ok("Bearer secrets", "secret"));
    assert_false(gw_auth_ok("Bearer secretsecret", "secret"));
    assert_false(gw_auth_ok("Bearer ", "secret"));
    assert_false(gw_auth_ok("Basic cm9vdDpzZWNyZXQ=", "secret"));
    assert_false(gw_auth_ok("Basic !", "secret"));
    assert_false(gw_auth_ok(NULL, "secret"));
    assert_false(gw_auth_ok("Bearer ", ""));
    uint8_t out[8];
    size_t len;
    assert_true(gw_base64_decode("YQ==", 4, out, sizeof out, &len));
    assert_int_equal(len, 1);
    assert_false(gw_base64_decode("YR==", 4, out, sizeof out, &len));
    assert_false(gw_base64_decode("=AAA", 4, out, sizeof out, &len));
    assert_false(gw_base64_decode("YWFhYWFhYWFhYWFh", 16, out, sizeof out, &len));
}

static int deploy(const char *json)
{
    struct gw_deploy_request r;
    struct pv_err err = PV_ERR_INIT;
    int rc = gw_deploy_parse(json, strlen(json), &r, &err);
    gw_deploy_request_done(&r);
    return rc;
}

static void test_deploy_json(void **state)
{
    (void)state;
    uint64_t bytes;
    uint32_t millis;
    assert_int_equal(deploy("{\"service\":\"a\",\"image\":\"/a\"}"), 0);
    assert_int_equal(deploy("{\"service\":\"a\",\"image\":\"/a\",\"envProcess\":\"/a  b\","
                            "\"constraints\":[],\"requests\":{},\"namespace\":\"\"}"),
                     0);
    assert_int_equal(deploy("{\"service\":\"a\"}"), -EINVAL);
    assert_int_equal(deploy("{\"service\":\"a\",\"image\":\"docker.io/x\"}"), -EINVAL);
    assert_int_equal(deploy("{\"service\":\"a\",\"image\":\"/a\",\"namespace\":\"x\"}"), -EINVAL);
    assert_int_equal(deploy("{\"service\":\"a\",\"image\":\"/a\",\"colour\":1}"), -EINVAL);
    assert_int_equal(deploy("{\"service\":\"a\",\"service\":\"b\",\"image\":\"/a\"}"), -EINVAL);
    assert_int_equal(deploy("{\"service\":\"a\",\"image\":\"/a\",\"provost\":{\"x\":1}}"), -EINVAL);
    assert_int_equal(deploy("{\"service\":\"a\",\"image\":\"/a\",\"provost\":{\"processes\":-1}}"),
                     -EINVAL);
    assert_int_equal(deploy("[]"), -EINVAL);
    assert_int_equal(deploy(""), -EINVAL);
    assert_int_equal(gw_parse_memory("64Mi", &bytes, NULL), 0);
    assert_int_equal(bytes, 64 << 20);
    assert_int_equal(gw_parse_memory("1.5k", &bytes, NULL), 0);
    assert_int_equal(bytes, 1500);
    assert_int_equal(gw_parse_memory("64Mb", &bytes, NULL), -EINVAL);
    assert_int_equal(gw_parse_memory("-1", &bytes, NULL), -EINVAL);
    assert_int_equal(gw_parse_cpu("500m", &millis, NULL), 0);
    assert_int_equal(millis, 500);
    assert_int_equal(gw_parse_cpu("0.25", &millis, NULL), 0);
    assert_int_equal(millis, 250);
    assert_int_equal(gw_parse_cpu("x", &millis, NULL), -EINVAL);
}

static void test_what_is_granted_twice_counts_once(void **state)
{
    static const char json[] =
        "{\"service\":\"a\",\"image\":\"/a\",\"secrets\":[\"s\",\"t\",\"s\"],\"provost\":{"
        "\"argv\":[\"/a\",\"/a\"],\"calls\":[\"b\",\"b\"],\"egress\":[\"h:1\",\"h:1\"]}}";
    struct gw_deploy_request r;
    (void)state;
    assert_int_equal(gw_deploy_parse(json, strlen(json), &r, NULL), 0);
    assert_int_equal(r.spec.secrets.n, 2);
    assert_string_equal(r.spec.secrets.v[1], "t");
    assert_int_equal(r.spec.calls.n, 1);
    assert_int_equal(r.spec.egress.n, 1);
    assert_int_equal(r.spec.argv.n, 2);
    gw_deploy_request_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_smuggling),
        cmocka_unit_test(test_request_lines),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_connection),
        cmocka_unit_test(test_proxy_forms),
        cmocka_unit_test(test_cgi),
        cmocka_unit_test(test_status_scan),
        cmocka_unit_test(test_auth),
        cmocka_unit_test(test_deploy_json),
        cmocka_unit_test(test_what_is_granted_twice_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
