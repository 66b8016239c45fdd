#include "function_logs.h"

#include "function.h"

#include "pv/io.h"
#include "pv/own.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TAIL_MAX = 10000, READ_MAX = 1 << 20 };

struct log_query {
    char name[PV_NAME_MAX + 1];
    char since[40]; /* RFC 3339, or "" */
    long tail;      /* lines from the end; -1: all that is read */
};

static int unhex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The decoded value of key in the query; false when absent or too long. */
static bool query_value(const char *query, const char *key, char *out, size_t cap)
{
    size_t key_len = strlen(key);
    for (const char *p = query; *p; p += strcspn(p, "&"), p += *p == '&') {
        if (strncmp(p, key, key_len) != 0 || p[key_len] != '=')
            continue;
        size_t n = 0;
        for (p += key_len + 1; *p && *p != '&'; p++) {
            char c = *p;
            if (c == '%' && unhex_digit(p[1]) >= 0 && unhex_digit(p[2]) >= 0) {
                c = (char)(unhex_digit(p[1]) << 4 | unhex_digit(p[2]));
                p += 2;
            }
            if (n + 1 >= cap || c == 0)
                return false;
            out[n++] = c;
        }
        out[n] = 0;
        return true;
    }
    return false;
}

static bool parse_query(const char *target, struct log_query *q)
{
    char tail[12] = "";
    const char *query = strchr(target, '?');
    query = query ? query + 1 : "";
    *q = (struct log_query){.tail = 100};
    if (!query_value(query, "name", q->name, sizeof q->name) || !pv_name_ok(q->name))
        return false;
    (void)query_value(query, "since", q->since, sizeof q->since);
    if (query_value(query, "tail", tail, sizeof tail)) {
        char *end;
        q->tail = strtol(tail, &end, 10);
        if (*end || q->tail < -1)
            return false;
    }
    if (q->tail > TAIL_MAX || q->tail == -1)
        q->tail = TAIL_MAX;
    return true;
}

/* The last READ_MAX bytes of the log, from a line's start. */
static int read_tail(int dir_fd, const char *name, struct pv_buf *b, struct pv_err *err)
{
    char file[PV_NAME_MAX + 8];
    struct stat st;
    snprintf(file, sizeof file, "%s.log", name);
    pv_autoclose int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return pv_fail(err, errno, "open the log of %s", name);
    off_t off = st.st_size > READ_MAX ? st.st_size - READ_MAX : 0;
    bool cut = off > 0;
    uint8_t chunk[16384];
    ssize_t n;
    while ((n = pread(fd, chunk, sizeof chunk, off)) > 0 && b->len < READ_MAX) {
        pv_buf_raw(b, chunk, (size_t)n);
        off += n;
    }
    if (n < 0)
        return pv_fail(err, errno, "read the log of %s", name);
    const uint8_t *line = cut && b->len ? memchr(b->data, '\n', b->len) : NULL;
    if (line) {
        size_t skip = (size_t)(line - b->data) + 1;
        memmove(b->data, line + 1, b->len - skip);
        b->len -= skip;
    }
    return pv_buf_check(b, "log", err);
}

/* One line "TIME CALL TEXT" as OpenFaaS's log message. */
static void put_message(struct pv_buf *out, const struct log_query *q, const char *line, size_t len)
{
    const char *space = memchr(line, ' ', len);
    size_t time_len = space ? (size_t)(space - line) : 0;
    const char *call = space ? space + 1 : line;
    const char *end = memchr(call, ' ', len - (size_t)(call - line));
    size_t call_len = space && end ? (size_t)(end - call) : 0;
    const char *text = call_len ? end + 1 : call;
    size_t text_len = len - (size_t)(text - line);
    if (q->since[0] && strncmp(line, q->since, time_len) < 0)
        return;
    json_t *value = json_stringn(text, text_len);
    if (!value) /* not UTF-8 */
        value = json_sprintf("(%zu bytes that are not UTF-8)", text_len);
    json_t *o = json_pack("{s:s, s:s, s:s%, s:s%, s:o}", "name", q->name, "namespace", GW_NAMESPACE,
                          "instance", call, call_len, "timestamp", line, time_len, "text", value);
    pv_autofree char *json = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    if (json)
        pv_buf_printf(out, "%s\n", json);
}

static const char *last_lines(const struct pv_buf *b, long lines)
{
    const char *start = (const char *)b->data;
    const char *p = start + b->len;
    while (p > start && lines >= 0) {
        if (p[-1] == '\n' && lines-- == 0)
            break;
        p--;
    }
    return p;
}

void gw_logs_get(struct gw_conn *c)
{
    struct log_query q;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf in;
    pv_autobuf struct pv_buf out;
    pv_buf_init(&in, (size_t)2 * READ_MAX);
    pv_buf_init(&out, PV_HTTP_REPLY_MAX);
    if (!parse_query(c->head->target, &q)) {
        gw_conn_text(c, 400, "logs need ?name=FUNCTION, and take tail=N and since=TIME");
        return;
    }
    if (read_tail(c->gw->logs_fd, q.name, &in, &err) < 0) {
        gw_conn_text(c, 500, "%s", err.text);
        return;
    }
    const char *end = (const char *)in.data + in.len;
    for (const char *p = in.len ? last_lines(&in, q.tail) : end; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        const char *stop = newline ? newline : end;
        put_message(&out, &q, p, (size_t)(stop - p));
        p = stop + 1;
    }
    gw_conn_reply(c, 200, "application/x-ndjson", out.data, out.len);
}
