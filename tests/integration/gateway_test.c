/* The gateway alone: this test plays the supervisor and the enclave hosts over the real sockets and
 * messages, and speaks HTTP to it. Needs root, because the gateway gives up its privileges.
 * With the argument "serve PORT" it serves until killed, for measurements by hand. */
#include "pv/host.h"
#include "pv/io.h"
#include "pv/own.h"
#include "pv/ring.h"
#include "pv/role.h"
#include "pv/spec.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { GATEWAY_UID = 1879100901, HOSTS_MAX = 16, SKIPPED = 77, ANSWER_MAX = 1 << 21 };
#define TOKEN "0123456789abcdef"

struct host {
    char name[64];
    uint64_t version;
    int fd;
};
static struct {
    char dir[64];
    int control;
    int port;
    pid_t pid;
    int ring_fd;
    struct host hosts[HOSTS_MAX];
    unsigned n_hosts;
    pthread_t thread;
    _Atomic unsigned cancels;
    _Atomic bool holds; /* a call that is never answered has come */
} t;

/* --- the supervisor's and the hosts' side --- */

static void must(int rc)
{
    if (rc < 0) {
        perror("gateway_test");
        abort();
    }
}

static void send_result(struct host *h, const uint8_t *id, unsigned outcome, const void *p,
                        size_t len)
{
    pv_automsg struct pv_msg m;
    pv_msg_init(&m, PV_HOST_RESULT);
    pv_buf_raw(&m.body, id, PV_CALL_ID_BYTES);
    pv_buf_u16(&m.body, (uint16_t)outcome);
    pv_buf_u32(&m.body, outcome == PV_OUT_EXIT ? 3 : 0);
    pv_buf_u32(&m.body, 0);
    for (int i = 0; i < 3; i++)
        pv_buf_u64(&m.body, 1);
    pv_buf_str(&m.body, "");
    must(pv_msg_put_payload(&m, p, len, NULL));
    must(pv_msg_send(h->fd, &m, NULL));
}

/* The instance asks a broker: its end of the connection is written and read here. */
static void ask_broker(struct host *h, const uint8_t *id, enum pv_broker broker, const char *ask)
{
    char reply[65536];
    int pair[2];
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
    pv_automsg struct pv_msg m;
    pv_msg_init(&m, PV_HOST_CONNECTION);
    pv_buf_raw(&m.body, id, PV_CALL_ID_BYTES);
    pv_buf_u64(&m.body, 7);
    pv_buf_u8(&m.body, (uint8_t)broker);
    pv_buf_u16(&m.body, 40000);
    pv_msg_put_fd(&m, pair[1]);
    must(pv_msg_send(h->fd, &m, NULL));
    pv_msg_done(&m);
    must(pv_write_all(pair[0], ask, strlen(ask), NULL));
    ssize_t n = read(pair[0], reply, sizeof reply);
    send_result(h, id, PV_OUT_OK, reply, n > 0 ? (size_t)n : 0);
    (void)close(pair[0]);
}

static bool starts(const struct pv_payload *p, const char *word)
{
    return p->len >= strlen(word) && memcmp(p->data, word, strlen(word)) == 0;
}

/* A broker's answer may itself need this host thread: ask from a thread of its own. */
struct ask {
    struct host *h;
    uint8_t id[PV_CALL_ID_BYTES];
    enum pv_broker broker;
    char text[1024];
};
static void *ask_thread(void *arg)
{
    struct ask *a = arg;
    ask_broker(a->h, a->id, a->broker, a->text);
    free(a);
    return NULL;
}

static void serve_ask(struct host *h, const uint8_t *id, const struct pv_payload *body)
{
    struct ask *a = calloc(1, sizeof *a);
    pthread_t thread;
    a->h = h;
    memcpy(a->id, id, sizeof a->id);
    a->broker = starts(body, "proxy ") ? PV_BROKER_PROXY : PV_BROKER_GATEWAY;
    size_t skip = starts(body, "proxy ") ? 6 : 5;
    memcpy(a->text, body->data + skip, body->len - skip);
    must(-pthread_create(&thread, NULL, ask_thread, a));
    (void)pthread_detach(thread);
}

static void serve_invoke(struct host *h, struct pv_msg *m)
{
    struct pv_reader r = pv_msg_reader(m);
    struct pv_payload body;
    unsigned fd_index = 0;
    size_t env_len;
    const uint8_t *id = pv_read_raw(&r, PV_CALL_ID_BYTES);
    (void)pv_read_u64(&r);
    const uint8_t *env = pv_read_bytes(&r, PV_REQUEST_ENV_MAX, &env_len);
    must(pv_msg_get_payload(m, &r, &fd_index, PV_HTTP_BODY_MAX, &body, NULL));
    must(pv_reader_end(&r, "invoke", NULL));
    static const uint8_t big[300000];
    if (starts(&body, "exit"))
        send_result(h, id, PV_OUT_EXIT, "", 0);
    else if (starts(&body, "env"))
        send_result(h, id, PV_OUT_OK, env, env_len);
    else if (starts(&body, "big"))
        send_result(h, id, PV_OUT_OK, big, sizeof big);
    else if (starts(&body, "hold"))
        t.holds = true;
    else if (starts(&body, "die"))
        (void)shutdown(h->fd, SHUT_RDWR);
    else if (starts(&body, "call ") || starts(&body, "proxy "))
        serve_ask(h, id, &body);
    else
        send_result(h, id, PV_OUT_OK, body.data, body.len);
    pv_payload_done(&body);
}

static void serve_host(struct host *h)
{
    pv_automsg struct pv_msg m;
    int rc = pv_msg_recv(h->fd, &m, NULL);
    if (rc <= 0) {
        (void)close(h->fd);
        h->fd = -1;
        return;
    }
    if (m.type == PV_HOST_INVOKE)
        serve_invoke(h, &m);
    if (m.type == PV_HOST_CANCEL) {
        send_result(h, m.body.data, PV_OUT_CANCELLED, "", 0);
        t.cancels++;
    }
}

static void host_says(int fd, unsigned type, const char *a, const char *b)
{
    pv_automsg struct pv_msg m;
    pv_msg_init(&m, (uint16_t)type);
    pv_buf_str(&m.body, a);
    if (b)
        pv_buf_str(&m.body, b);
    if (type == PV_HOST_READY)
        pv_buf_str(&m.body, "");
    must(pv_msg_send(fd, &m, NULL));
}

/* fd: the gateway's end of the data socket; -1 with rc, an errno. */
static void say_started(const struct pv_spec *spec, uint64_t tag, int rc, const char *text, int fd)
{
    pv_automsg struct pv_msg m;
    pv_msg_init(&m, PV_SUP_HOST_STARTED);
    pv_buf_u64(&m.body, tag);
    pv_buf_u32(&m.body, (uint32_t)rc);
    pv_buf_str(&m.body, text);
    pv_buf_str(&m.body, spec->name);
    pv_buf_u64(&m.body, spec->version);
    pv_buf_u64(&m.body, (uint64_t)getpid());
    if (fd >= 0)
        pv_msg_put_fd(&m, fd);
    must(pv_msg_send(t.control, &m, NULL));
}

/* The notice of its death may be read before its last words. */
static void end_host(struct host *h)
{
    pv_automsg struct pv_msg m;
    host_says(h->fd, PV_HOST_FAULT, "secret 's' is over 64 KiB", NULL);
    (void)close(h->fd);
    h->fd = -1;
    pv_msg_init(&m, PV_SUP_HOST_EXITED);
    pv_buf_str(&m.body, h->name);
    pv_buf_u64(&m.body, h->version);
    pv_buf_u64(&m.body, 1);
    must(pv_msg_send(t.control, &m, NULL));
}

static void start_host(struct pv_reader *r, uint64_t tag)
{
    struct pv_spec spec;
    int pair[2];
    size_t len;
    const uint8_t *p = pv_read_bytes(r, PV_SPEC_MAX, &len);
    must(pv_spec_decode(p, len, &spec, NULL));
    if (strcmp(spec.name, "unlucky") == 0) {
        say_started(&spec, tag, EIO, "create the cgroup '/gone': No such file or directory", -1);
        pv_spec_done(&spec);
        return;
    }
    must(pv_msg_pair(pair, NULL));
    struct host *h = &t.hosts[t.n_hosts++ % HOSTS_MAX];
    snprintf(h->name, sizeof h->name, "%s", spec.name);
    h->version = spec.version;
    h->fd = pair[0];
    say_started(&spec, tag, 0, "", pair[1]);
    if (strcmp(spec.name, "faulty") == 0)
        end_host(h);
    else if (strstr(spec.argv.v[0], "broken"))
        host_says(h->fd, PV_HOST_FAILED, "cannot execute '/function/broken'", NULL);
    else
        host_says(h->fd, PV_HOST_READY, "first-read", "because");
    pv_spec_done(&spec);
}

static void imported(uint64_t tag, struct pv_reader *r)
{
    char path[PV_PATH_MAX];
    uint8_t measurement[32] = {9};
    pv_read_str(r, path, sizeof path);
    pv_automsg struct pv_msg m;
    bool missing = strstr(path, "missing") != NULL;
    bool full = strstr(path, "full") != NULL;
    pv_msg_init(&m, PV_SUP_IMPORTED);
    pv_buf_u64(&m.body, tag);
    pv_buf_u32(&m.body, missing ? ENOENT : full ? ENOSPC : 0);
    pv_buf_str(&m.body, missing ? "open package '/missing': No such file or directory" : "");
    pv_buf_raw(&m.body, measurement, sizeof measurement);
    pv_buf_str(&m.body, strstr(path, "broken") ? "/function/broken" : "/function/echo");
    pv_buf_str(&m.body, "file");
    must(pv_msg_send(t.control, &m, NULL));
}

static void done(uint64_t tag)
{
    pv_automsg struct pv_msg m;
    pv_msg_init(&m, PV_SUP_DONE);
    pv_buf_u64(&m.body, tag);
    pv_buf_u32(&m.body, 0);
    pv_buf_str(&m.body, "");
    must(pv_msg_send(t.control, &m, NULL));
}

static bool serve_control(void)
{
    pv_automsg struct pv_msg m;
    if (pv_msg_recv(t.control, &m, NULL) <= 0)
        return false;
    struct pv_reader r = pv_msg_reader(&m);
    uint64_t tag = m.type == PV_ROLE_READY ? 0 : pv_read_u64(&r);
    if (m.type == PV_SUP_IMPORT)
        imported(tag, &r);
    else if (m.type == PV_SUP_HOST_START)
        start_host(&r, tag);
    else if (m.type != PV_ROLE_READY)
        done(tag);
    return true;
}

static void *supervise(void *arg)
{
    for (;;) {
        struct pollfd fds[HOSTS_MAX + 1] = {{.fd = t.control, .events = POLLIN}};
        for (unsigned i = 0; i < HOSTS_MAX; i++)
            fds[i + 1] =
                (struct pollfd){.fd = t.hosts[i].fd ? t.hosts[i].fd : -1, .events = POLLIN};
        if (poll(fds, HOSTS_MAX + 1, -1) < 0 || (fds[0].revents && !serve_control()))
            return arg;
        for (unsigned i = 0; i < HOSTS_MAX; i++)
            if (fds[i + 1].revents && t.hosts[i].fd == fds[i + 1].fd)
                serve_host(&t.hosts[i]);
    }
}

static int listen_on(int port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    must(bind(fd, (struct sockaddr *)&a, sizeof a));
    must(listen(fd, 512));
    must(getsockname(fd, (struct sockaddr *)&a, &len));
    t.port = ntohs(a.sin_port);
    return fd;
}

static int open_dir(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", t.dir, name);
    (void)mkdir(path, 0700);
    must(chown(path, GATEWAY_UID, GATEWAY_UID));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(fd);
    return fd;
}

static void exec_gateway(int control, int bell)
{
    must(dup2(control, 20));
    must(dup2(bell, 21));
    must(dup2(20, PV_ROLE_CONTROL_FD));
    must(dup2(21, PV_ROLE_BELL_FD));
    (void)execl(PV_GATEWAY_PATH, "provost-gateway", (char *)NULL);
    _exit(127);
}

static void start_gateway(int port)
{
    int pair[2];
    struct pv_role_start start = {.k0 = {1}, .name = "gateway"};
    start.domain = pv_domain_id_new();
    must(pv_crypto_init(NULL));
    must(pv_msg_pair(pair, NULL));
    int bell = eventfd(0, EFD_CLOEXEC);
    t.pid = fork();
    if (t.pid == 0)
        exec_gateway(pair[1], bell);
    (void)close(pair[1]);
    t.control = pair[0];
    int root = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ring = pv_ring_create(root, "ring", &start.domain, NULL);
    must(ring);
    t.ring_fd = dup(ring);
    pv_automsg struct pv_msg m;
    char listen_text[32];
    int listener = listen_on(port);
    snprintf(listen_text, sizeof listen_text, "127.0.0.1:%d", t.port);
    pv_msg_init(&m, PV_ROLE_START);
    pv_role_start_put(&m, &start);
    pv_buf_str(&m.body, TOKEN);
    pv_buf_u8(&m.body, port ? 0 : 1);
    pv_buf_str(&m.body, listen_text);
    pv_buf_str(&m.body, t.dir);
    pv_buf_u32(&m.body, GATEWAY_UID);
    pv_buf_u32(&m.body, GATEWAY_UID);
    pv_msg_put_fd(&m, ring);
    pv_msg_put_fd(&m, listener);
    pv_msg_put_fd(&m, open_dir("registry"));
    pv_msg_put_fd(&m, open_dir("functions"));
    must(pv_msg_send(t.control, &m, NULL));
    must(-pthread_create(&t.thread, NULL, supervise, NULL));
    (void)close(root);
}

static int group_setup(void **state)
{
    (void)state;
    snprintf(t.dir, sizeof t.dir, "/tmp/gateway-test-XXXXXX");
    if (!mkdtemp(t.dir))
        return -1;
    must(chmod(t.dir, 0755));
    start_gateway(0);
    return 0;
}

/* --- the client's side --- */

static char answer[ANSWER_MAX];

static int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)t.port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval tv = {10, 0};
    must(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    must(connect(fd, (struct sockaddr *)&a, sizeof a));
    return fd;
}

/* Sends text, reads to the end of the connection; the first status. */
static unsigned exchange(const char *text)
{
    pv_autoclose int fd = dial();
    size_t len = 0;
    must(pv_write_all(fd, text, strlen(text), NULL));
    ssize_t n;
    while (len + 1 < sizeof answer && (n = read(fd, answer + len, sizeof answer - 1 - len)) > 0)
        len += (size_t)n;
    answer[len] = 0;
    return len > 12 ? (unsigned)strtoul(answer + 9, NULL, 10) : 0;
}

static unsigned request(const char *method, const char *path, const char *fields, const char *body)
{
    static char text[8192];
    snprintf(text, sizeof text,
             "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s",
             method, path, fields, strlen(body), body);
    return exchange(text);
}

#define AUTH "Authorization: Bearer " TOKEN "\r\n"

static const char *body_of(void)
{
    const char *p = strstr(answer, "\r\n\r\n");
    return p ? p + 4 : "";
}

static void test_control_plane_needs_token(void **state)
{
    (void)state;
    assert_int_equal(request("GET", "/system/functions", "", ""), 401);
    assert_non_null(strstr(answer, "WWW-Authenticate: Basic"));
    assert_int_equal(request("GET", "/system/functions", "Authorization: Bearer 0123\r\n", ""),
                     401);
    assert_int_equal(request("GET", "/system/functions", AUTH, ""), 200);
    /* admin:0123456789abcdef */
    assert_int_equal(request("GET", "/system/functions",
                             "Authorization: Basic YWRtaW46MDEyMzQ1Njc4OWFiY2RlZg==\r\n", ""),
                     200);
    assert_int_equal(request("GET", "/healthz", "", ""), 200);
    assert_int_equal(request("GET", "/nothing", "", ""), 404);
    assert_int_equal(request("PATCH", "/healthz", "", ""), 405);
}

static void test_deploy(void **state)
{
    (void)state;
    assert_int_equal(
        request("PUT", "/system/functions", AUTH, "{\"service\":\"echo\",\"image\":\"/bin/echo\"}"),
        404);
    assert_int_equal(request("POST", "/system/functions", AUTH,
                             "{\"service\":\"echo\",\"image\":\"/bin/echo\",\"labels\":{\"a\":"
                             "\"b\"},\"limits\":{\"memory\":\"32Mi\",\"cpu\":\"500m\"},"
                             "\"provost\":{\"calls\":[\"other\"],\"egress\":[\"127.0.0.1:1\"]}}"),
                     202);
    assert_int_equal(request("POST", "/system/functions", AUTH,
                             "{\"service\":\"other\",\"image\":\"/bin/echo\"}"),
                     202);
    assert_int_equal(request("GET", "/system/function/echo", AUTH, ""), 200);
    assert_non_null(strstr(body_of(), "\"memory\":\"32Mi\""));
    assert_non_null(strstr(body_of(), "\"mode\":\"first-read\""));
    assert_non_null(strstr(body_of(), "\"availableReplicas\":4"));
    assert_int_equal(
        request("POST", "/system/functions", AUTH, "{\"service\":\"b\",\"image\":\"/broken\"}"),
        400);
    assert_non_null(strstr(body_of(), "cannot execute"));
    assert_int_equal(
        request("POST", "/system/functions", AUTH, "{\"service\":\"m\",\"image\":\"/missing\"}"),
        400);
    assert_int_equal(request("POST", "/system/functions", AUTH,
                             "{\"service\":\"m\",\"image\":\"/x\",\"provost\":{\"colour\":1}}"),
                     400);
    assert_non_null(strstr(body_of(), "'colour'"));
    assert_int_equal(request("PUT", "/system/functions", AUTH,
                             "{\"service\":\"echo\",\"image\":\"/bin/echo\",\"provost\":{"
                             "\"calls\":[\"other\"],\"egress\":[\"127.0.0.1:1\"]}}"),
                     202);
    assert_non_null(strstr(body_of(), "\"version\":2"));
}

static void test_invoke(void **state)
{
    (void)state;
    assert_int_equal(request("POST", "/function/echo", "Content-Type: a/b\r\n", "hello"), 200);
    assert_string_equal(body_of(), "hello");
    assert_non_null(strstr(answer, "X-Call-Id: "));
    assert_non_null(strstr(answer, "X-Start-Time: "));
    assert_non_null(strstr(answer, "Content-Type: a/b"));
    assert_int_equal(request("POST", "/function/echo.openfaas-fn/p?q=1", "", "hello"), 200);
    assert_int_equal(request("POST", "/function/nobody", "", "hello"), 404);
    assert_int_equal(request("POST", "/function/echo", "", "exit"), 500);
    assert_non_null(strstr(body_of(), "exited with status 3"));
    assert_int_equal(request("POST", "/async-function/echo", "", "x"), 501);
    assert_int_equal(request("POST", "/function/echo", "", "big"), 200);
    assert_non_null(strstr(answer, "Content-Length: 300000"));
}

/* True when the NUL-separated variables in the answer have that entry. */
static bool env_has(const char *entry)
{
    const char *end = answer + sizeof answer;
    for (const char *p = body_of(); p < end && *p; p += strlen(p) + 1)
        if (strcmp(p, entry) == 0)
            return true;
    return false;
}

static void test_variables(void **state)
{
    (void)state;
    assert_int_equal(request("PUT", "/function/echo/a%20b?k=v",
                             AUTH "x-my-HEADER: 1\r\nX_My_Header: 2\r\nX-Call-Id: forged\r\n"
                                  "Proxy: evil\r\n",
                             "env"),
                     200);
    assert_true(env_has("REQUEST_METHOD=PUT"));
    assert_true(env_has("PATH_INFO=/a b"));
    assert_true(env_has("Http_Path=/a%20b"));
    assert_true(env_has("Http_Query=k=v"));
    assert_true(env_has("Http_X_My_Header=1"));
    assert_true(env_has("REMOTE_ADDR=127.0.0.1"));
    assert_false(env_has("Http_X_Call_Id=forged"));
    assert_false(env_has("Http_Proxy=evil"));
    assert_false(env_has("Http_Authorization=Bearer " TOKEN));
    assert_int_equal(request("GET", "/function/echo/%00", "", "env"), 400);
}

static void test_pipelining(void **state)
{
    (void)state;
    assert_int_equal(exchange("POST /function/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
                              "oneGET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                              "POST /function/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                              "Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"),
                     200);
    const char *one = strstr(answer, "one");
    const char *none = one ? strstr(one, "404 Not Found") : NULL;
    assert_non_null(none);
    assert_non_null(strstr(none, "two"));
}

static void test_broker(void **state)
{
    (void)state;
    assert_int_equal(request("POST", "/function/echo", "",
                             "call POST /function/other HTTP/1.1\r\nHost: x\r\n"
                             "Content-Length: 5\r\n\r\ninner"),
                     200);
    assert_non_null(strstr(body_of(), "200 OK"));
    assert_non_null(strstr(body_of(), "inner"));
    (void)request("POST", "/function/other", "",
                  "call POST /function/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    assert_non_null(strstr(body_of(), "403 Forbidden"));
    (void)request("POST", "/function/echo", "",
                  "call GET /system/functions HTTP/1.1\r\nHost: x\r\n" AUTH "\r\n");
    assert_non_null(strstr(body_of(), "403 Forbidden"));
}

static void *play_outside(void *arg)
{
    int listener = *(int *)arg;
    char buf[2048];
    int fd = accept(listener, NULL, NULL);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);
    if (n > 0) {
        static const char reply[] = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\noutside";
        must(pv_write_all(fd, reply, sizeof reply - 1, NULL));
        (void)close(fd);
    }
    return NULL;
}

static void test_proxy(void **state)
{
    (void)state;
    int keep = t.port;
    int listener = listen_on(0);
    int outside = t.port;
    t.port = keep;
    char text[512];
    snprintf(text, sizeof text,
             "{\"service\":\"net\",\"image\":\"/bin/echo\",\"provost\":{\"egress\":"
             "[\"127.0.0.1:%d\"]}}",
             outside);
    assert_int_equal(request("POST", "/system/functions", AUTH, text), 202);
    pthread_t thread;
    must(-pthread_create(&thread, NULL, play_outside, &listener));
    snprintf(text, sizeof text,
             "proxy GET http://127.0.0.1:%d/x HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", outside,
             outside);
    assert_int_equal(request("POST", "/function/net", "", text), 200);
    assert_non_null(strstr(body_of(), "outside"));
    (void)pthread_join(thread, NULL);
    (void)close(listener);
    (void)request("POST", "/function/net", "",
                  "proxy GET http://127.0.0.1:9/x HTTP/1.1\r\nHost: y\r\n\r\n");
    assert_non_null(strstr(body_of(), "403 Forbidden"));
    (void)request("POST", "/function/echo", "",
                  "proxy CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: y\r\n\r\n");
    assert_non_null(strstr(body_of(), "502 Bad Gateway"));
}

static void test_client_gone(void **state)
{
    (void)state;
    unsigned before = t.cancels;
    int fd = dial();
    static const char text[] =
        "POST /function/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nhold";
    must(pv_write_all(fd, text, sizeof text - 1, NULL));
    for (int i = 0; i < 200 && !t.holds; i++)
        (void)usleep(10000);
    /* A close alone could be a half-closed client that still reads. */
    struct linger at_once = {1, 0};
    must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once));
    (void)close(fd);
    for (int i = 0; i < 200 && t.cancels == before; i++)
        (void)usleep(10000);
    assert_int_equal(t.cancels, before + 1);
}

static void test_last_words_of_a_host(void **state)
{
    (void)state;
    assert_int_equal(request("POST", "/system/functions", AUTH,
                             "{\"service\":\"faulty\",\"image\":\"/bin/echo\"}"),
                     400);
    assert_string_equal(body_of(), "secret 's' is over 64 KiB\n");
    assert_int_equal(request("GET", "/system/function/faulty", AUTH, ""), 404);
}

/* What no change of the request could mend is not the request's fault. */
static void test_failures_of_the_machine(void **state)
{
    (void)state;
    assert_int_equal(request("POST", "/system/functions", AUTH,
                             "{\"service\":\"unlucky\",\"image\":\"/bin/echo\"}"),
                     500);
    assert_non_null(strstr(body_of(), "create the cgroup"));
    assert_int_equal(
        request("POST", "/system/functions", AUTH, "{\"service\":\"unlucky\",\"image\":\"/full\"}"),
        507);
    assert_int_equal(request("POST", "/system/functions", AUTH,
                             "{\"service\":\"unlucky\",\"image\":\"/missing\"}"),
                     400);
}

static void test_host_dies(void **state)
{
    (void)state;
    assert_int_equal(request("POST", "/system/functions", AUTH,
                             "{\"service\":\"mortal\",\"image\":\"/bin/echo\"}"),
                     202);
    assert_int_equal(request("POST", "/function/mortal", "", "die"), 502);
    assert_non_null(strstr(body_of(), "host died"));
}

static void test_remove_and_metrics(void **state)
{
    (void)state;
    assert_int_equal(request("GET", "/metrics", "", ""), 200);
    assert_non_null(strstr(answer, "gateway_function_invocation_total{function_name=\"echo"));
    assert_non_null(strstr(answer, "gateway_functions_seconds_bucket"));
    assert_int_equal(request("DELETE", "/system/functions", AUTH, "{\"functionName\":\"net\"}"),
                     202);
    assert_int_equal(request("POST", "/function/net", "", "x"), 404);
    assert_int_equal(request("POST", "/system/secrets", AUTH, "{\"name\":\"key\",\"value\":\"v\"}"),
                     201);
    assert_int_equal(request("GET", "/system/logs?name=echo", AUTH, ""), 200);
}

/* Every event of the run, by kind. */
static void test_events(void **state)
{
    (void)state;
    struct pv_ring_reader *reader;
    struct pv_ring_record record;
    unsigned seen[128] = {0}, denied_calls = 0, denied_egress = 0;
    must(pv_ring_reader_open(&reader, dup(t.ring_fd), NULL));
    while (pv_ring_reader_next(reader, &record, NULL) == 1) {
        struct pv_event e;
        must(pv_event_decode(record.event, record.event_len, &e, NULL));
        seen[e.kind]++;
        denied_calls += e.kind == PV_K_CALL && !pv_event_get_u64(&e, "allowed");
        denied_egress += e.kind == PV_K_EGRESS && !pv_event_get_u64(&e, "allowed");
    }
    pv_ring_reader_free(reader);
    assert_int_equal(seen[PV_K_DOMAIN_OPEN], 1);
    assert_int_equal(seen[PV_K_DEPLOYMENT], 5);
    assert_int_equal(seen[PV_K_REMOVAL], 1);
    assert_true(seen[PV_K_REQUEST] > 10);
    assert_int_equal(seen[PV_K_REQUEST], seen[PV_K_RESPONSE]);
    assert_int_equal(seen[PV_K_CALL], 2);
    assert_int_equal(denied_calls, 1);
    assert_int_equal(seen[PV_K_CALL_RETURN], 1);
    assert_int_equal(seen[PV_K_EGRESS], 3);
    assert_int_equal(denied_egress, 1);
    assert_int_equal(seen[PV_K_EGRESS_END], 2);
    assert_true(seen[PV_K_DENIED] >= 3);
}

static void test_drain(void **state)
{
    (void)state;
    pv_automsg struct pv_msg m;
    int status = -1;
    pv_msg_init(&m, PV_ROLE_DRAIN);
    must(pv_msg_send(t.control, &m, NULL));
    assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
    assert_int_equal(status, 0);
    (void)pthread_join(t.thread, NULL);
}

int main(int argc, char **argv)
{
    if (geteuid() != 0) {
        printf("skipped: the gateway gives up root, so it must be started with it\n");
        return SKIPPED;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && strcmp(argv[1], "serve") == 0) {
        snprintf(t.dir, sizeof t.dir, "/tmp/gateway-serve-XXXXXX");
        if (!mkdtemp(t.dir))
            return 1;
        start_gateway((int)strtol(argv[2], NULL, 10));
        return pthread_join(t.thread, NULL);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control_plane_needs_token),
        cmocka_unit_test(test_deploy),
        cmocka_unit_test(test_invoke),
        cmocka_unit_test(test_variables),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_broker),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_client_gone),
        cmocka_unit_test(test_last_words_of_a_host),
        cmocka_unit_test(test_failures_of_the_machine),
        cmocka_unit_test(test_host_dies),
        cmocka_unit_test(test_remove_and_metrics),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_drain),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
