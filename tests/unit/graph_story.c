#include "graph_story.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { GATEWAY = 1, HOST = 2, AUDITOR = 9 };

struct told {
    uint64_t time_ns;
    size_t order;
    bool outside;
    struct story_entry entry;
};
struct teller {
    struct told v[STORY_MAX];
    size_t n;
    uint64_t now, dseq[16];
    bool overreaches;
};

static void add(struct teller *t, unsigned domain, struct pv_event *e)
{
    struct pv_buf b;
    struct pv_err err = PV_ERR_INIT;
    uint8_t tag[PV_TAG_BYTES] = {7};
    assert(t->n < STORY_MAX);
    memset(e->domain.bytes, (int)domain, sizeof e->domain.bytes);
    e->dseq = t->dseq[domain]++;
    t->now += 100000;
    e->time_ns = t->now;
    pv_buf_init(&b, sizeof t->v[0].entry.bytes);
    if (pv_event_encode(e, &b, &err) < 0)
        abort();
    pv_buf_raw(&b, tag, sizeof tag);
    assert(!b.failed);
    struct told *to = &t->v[t->n];
    *to = (struct told){.time_ns = e->time_ns, .order = t->n, .outside = domain == AUDITOR};
    memcpy(to->entry.bytes, b.data, b.len);
    to->entry.len = b.len;
    t->n++;
    pv_buf_done(&b);
}

static const struct pv_call_id none;
static const uint8_t hash[PV_HASH_BYTES] = {0xab, 0xcd, 0xef, 1};

/* format: u number, t text, h hash, c call id, b bytes of a text */
static void emit(struct teller *t, unsigned domain, enum pv_kind kind,
                 const struct pv_call_id *call, const char *format, ...)
{
    struct pv_event e;
    va_list ap;
    pv_event_init(&e, kind, call);
    va_start(ap, format);
    for (const char *f = format; *f; f++) {
        if (*f == 'u')
            pv_event_u64(&e, va_arg(ap, uint64_t));
        else if (*f == 't')
            pv_event_text(&e, va_arg(ap, const char *));
        else if (*f == 'h')
            pv_event_bytes(&e, hash, sizeof hash);
        else if (*f == 'c')
            pv_event_bytes(&e, va_arg(ap, const struct pv_call_id *)->bytes, PV_CALL_ID_BYTES);
    }
    va_end(ap);
    add(t, domain, &e);
}

#define U(x) ((uint64_t)(x))

struct run {
    const char *function, *program;
    struct pv_call_id call;
    uint64_t n; /* distinct number: instance, process, pipes, ports */
};

static void out_event(struct teller *t, enum pv_kind k, uint64_t proc, uint64_t object)
{
    emit(t, AUDITOR, k, &none, "uuu", proc, object, U(10));
}

static void object(struct teller *t, uint64_t id, const char *type, uint64_t ino, const char *path)
{
    emit(t, AUDITOR, PV_K_OBJECT, &none, "utuuut", id, type, U(5), ino, U(0), path);
}

static void prepare(struct teller *t, const struct run *r)
{
    uint64_t n = r->n;
    emit(t, AUDITOR, PV_K_PROC_FORK, &none, "uuuuuu", n, U(0), 5000 + n, U(1), 900 + n, U(1));
    object(t, 7000, "file", 70, "/usr/lib/x86_64-linux-gnu/libc.so.6");
    object(t, 7100 + n % 10, "file", 71 + n % 10, r->program);
    emit(t, AUDITOR, PV_K_PROC_EXEC, &none, "uuth", n, 7100 + n % 10, r->program);
    emit(t, AUDITOR, PV_K_READ, &none, "uuu", n, U(7000), U(832));
    emit(t, HOST, PV_K_INSTANCE_PREPARED, &none, "uuutuuu", n, 5000 + n, 900 + n, "first-read",
         100 * n, 100 * n + 1, 100 * n + 2);
}

static void begin(struct teller *t, const struct run *r, const struct pv_call_id *caller,
                  const char *remote, uint64_t len)
{
    emit(t, GATEWAY, PV_K_REQUEST, &r->call, "tutthuct", r->function, U(1), "POST", "/", len,
         caller, remote);
    emit(t, HOST, PV_K_INVOCATION_BEGIN, &r->call, "utuhuh", r->n, r->function, U(1), len);
    object(t, 100 * r->n, "pipe", 100 * r->n, "pipe");
    out_event(t, PV_K_READ, r->n, 100 * r->n);
}

static void finish(struct teller *t, const struct run *r, uint64_t len)
{
    object(t, 100 * r->n + 1, "pipe", 100 * r->n + 1, "pipe");
    out_event(t, PV_K_WRITE, r->n, 100 * r->n + 1);
    emit(t, AUDITOR, PV_K_PROC_EXIT, &none, "uuu", r->n, U(0), U(0));
    emit(t, HOST, PV_K_INVOCATION_END, &r->call, "utuuhuuuuu", r->n, "ok", U(0), U(0), len, U(0),
         U(1000), U(1000), U(4096));
    emit(t, GATEWAY, PV_K_RESPONSE, &r->call, "uhuut", U(200), len, U(1000), "ok");
}

static void open_socket(struct teller *t, const struct run *r, uint64_t conn, const char *broker)
{
    uint64_t s = 100 * r->n + 10 + conn;
    emit(t, AUDITOR, PV_K_SOCKET, &none, "uututu", s, U(2), "127.0.0.1", 40000 + s, "127.0.0.1",
         U(8080));
    emit(t, AUDITOR, PV_K_CONNECT, &none, "uuutuu", r->n, s, U(2), "127.0.0.1", U(8080), U(0));
    emit(t, HOST, PV_K_CONNECTION, &r->call, "uutu", r->n, conn, broker, 40000 + s);
    out_event(t, PV_K_WRITE, r->n, s);
}

static void call(struct teller *t, const struct run *from, uint64_t conn, const struct run *to,
                 uint64_t len)
{
    prepare(t, to);
    open_socket(t, from, conn, "gateway");
    emit(t, GATEWAY, PV_K_CALL, &from->call, "utcuthu", conn, to->function, &to->call, U(1), "",
         len);
    begin(t, to, &from->call, "", len);
}

static void returned(struct teller *t, const struct run *from, uint64_t conn, const struct run *to,
                     uint64_t len)
{
    finish(t, to, len);
    emit(t, GATEWAY, PV_K_CALL_RETURN, &from->call, "ucuhu", conn, &to->call, U(200), len);
    out_event(t, PV_K_READ, from->n, 100 * from->n + 10 + conn);
}

static void egress(struct teller *t, const struct run *r, uint64_t conn, uint64_t port,
                   const char *method, const char *target, uint64_t sent, uint64_t got)
{
    open_socket(t, r, conn, "proxy");
    emit(t, GATEWAY, PV_K_EGRESS, &r->call, "ututtut", conn, "127.0.0.1", port, method, target,
         U(1), "");
    out_event(t, PV_K_READ, r->n, 100 * r->n + 10 + conn);
    emit(t, GATEWAY, PV_K_EGRESS_END, &r->call, "uuhuhu", conn, U(200), sent, got);
}

/* What a function tries that its deployment does not grant. */
static void overreach(struct teller *t, const struct run *r)
{
    open_socket(t, r, 2, "gateway");
    emit(t, GATEWAY, PV_K_CALL, &r->call, "utcuthu", U(2), "vault", &none, U(0), "not granted",
         U(0));
    open_socket(t, r, 3, "proxy");
    emit(t, AUDITOR, PV_K_CONNECT, &none, "uuutuu", r->n, 100 * r->n + 13, U(2), "127.0.0.1",
         U(8080), U(EINPROGRESS));
    emit(t, GATEWAY, PV_K_EGRESS, &r->call, "ututtut", U(3), "evil.example", U(80), "CONNECT", "",
         U(0), "not granted");
}

static void workflow(struct teller *t, uint64_t base, const struct pv_call_id ids[4],
                     const char *remote, bool attack)
{
    const struct run upload = {"upload", "/function/upload.py", ids[0], base + 1};
    const struct run fetch = {"fetch-image", "/function/fetch-image", ids[1], base + 2};
    const struct run caption = {"make-caption", "/function/caption.sh", ids[2], base + 3};
    const struct run publish = {"publish", "/function/publish.py", ids[3], base + 4};
    uint64_t got = attack ? 113 : 5120;

    prepare(t, &upload);
    begin(t, &upload, &none, remote, 97);
    call(t, &upload, 1, &fetch, 44);
    if (attack) {
        object(t, 8000, "file", 80, "/function/credentials.json");
        out_event(t, PV_K_READ, fetch.n, 8000);
        if (t->overreaches)
            overreach(t, &fetch);
    } else {
        egress(t, &fetch, 1, 9000, "GET", "http://127.0.0.1:9000/cat.ppm", 0, got);
    }
    returned(t, &upload, 1, &fetch, got);
    call(t, &upload, 2, &caption, got);
    returned(t, &upload, 2, &caption, got + 20);
    call(t, &upload, 3, &publish, got + 60);
    egress(t, &publish, 1, 9000, "POST", "http://127.0.0.1:9000/posts", got + 60, 15);
    returned(t, &upload, 3, &publish, 30);
    finish(t, &upload, 30);
}

static bool outside_before;
static int by_witness(const void *a, const void *b)
{
    const struct told *x = a, *y = b;
    if (x->outside != y->outside)
        return x->outside == outside_before ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

void story_tell(struct story *s, enum story_order order)
{
    struct teller *t = calloc(1, sizeof *t);
    struct pv_err err = PV_ERR_INIT;
    assert(t);
    if (pv_crypto_init(&err) < 0)
        abort();
    memset(s, 0, sizeof *s);
    for (unsigned i = 0; i < 4; i++) {
        memset(s->attack[i].bytes, (int)(0xa0 + i), PV_CALL_ID_BYTES);
        memset(s->good[i].bytes, (int)(0x10 + 8 * i), PV_CALL_ID_BYTES);
    }
    t->overreaches = order == STORY_OVERREACH;
    t->now = 1700000000ull * 1000000000;
    emit(t, AUDITOR, PV_K_LOG_OPEN, &none, "uht", U(0),
         order == STORY_NO_WITNESS ? "missing: no BTF" : "ebpf");
    t->v[0].outside = false;
    workflow(t, 10, s->good, "192.0.2.1:4000", false);
    workflow(t, 20, s->attack, "203.0.113.66:31337", true);
    if (order == STORY_OUTSIDE_FIRST || order == STORY_OUTSIDE_LAST) {
        outside_before = order == STORY_OUTSIDE_FIRST;
        qsort(t->v, t->n, sizeof *t->v, by_witness);
    }
    for (size_t i = 0; i < t->n; i++)
        if (order != STORY_NO_WITNESS || !t->v[i].outside)
            s->v[s->n++] = t->v[i].entry;
    free(t);
}
