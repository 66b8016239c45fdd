#include "http.h"

#include "pv/clock.h"
#include "pv/io.h"
#include "pv/own.h"

#include <ctype.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <string.h>

enum { CONNECT_TIMEOUT_MS = 3000, ADMIN_TIMEOUT_MS = 60000, TOKEN_MAX = 512 };

PV_DEFINE_CLEANUP(CURL, curl_easy_cleanup)

struct transfer {
    const struct cli_request *req;
    struct cli_response *ret;
    CURL *curl;
    bool too_long;
    bool stopped;
};

static void free_headers(struct curl_slist **p)
{
    curl_slist_free_all(*p);
}

/* Erased after use: a token has no business in a core dump. */
static void wipe_token(char (*token)[TOKEN_MAX])
{
    explicit_bzero(*token, sizeof *token);
}

static size_t on_header(char *p, size_t size, size_t n, void *arg)
{
    static const char name[] = "x-call-id:";
    struct transfer *t = arg;
    size_t len = size * n;
    /* an interim answer (100) is followed by another head: keep the last */
    if (len > 5 && memcmp(p, "HTTP/", 5) == 0)
        pv_buf_reset(&t->ret->head);
    pv_buf_raw(&t->ret->head, p, len);
    if (t->ret->head.failed) {
        t->too_long = true;
        return 0;
    }
    if (len < sizeof name || strncasecmp(p, name, sizeof name - 1) != 0)
        return len;
    const char *v = p + sizeof name - 1;
    const char *end = p + len;
    while (v < end && *v == ' ')
        v++;
    size_t used = 0;
    for (; v < end && isalnum((unsigned char)*v) && used + 1 < sizeof t->ret->call_id; v++)
        t->ret->call_id[used++] = *v;
    t->ret->call_id[used] = '\0';
    return len;
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    size_t len = size * n;
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->req->on_body && status >= 200 && status < 300) {
        t->stopped = !t->req->on_body(t->req->arg, p, len);
        return t->stopped ? 0 : len;
    }
    pv_buf_raw(&t->ret->body, p, len);
    t->too_long = t->ret->body.failed;
    return t->too_long ? 0 : len;
}

/* Reads the token's file; a missing one is no error here, the gateway's 401 will tell. */
static int read_token(const struct cli *cli, char token[TOKEN_MAX], struct pv_err *err)
{
    token[0] = '\0';
    pv_autoclose int fd = open(cli->token_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return pv_fail(err, errno,
                       "cannot read the admin token '%s'; run as root or set PROVOST_TOKEN_FILE",
                       cli->token_file);
    ssize_t n = read(fd, token, TOKEN_MAX - 1);
    if (n < 0)
        return pv_fail(err, errno, "read the admin token '%s'", cli->token_file);
    token[n] = '\0';
    token[strcspn(token, " \t\r\n")] = '\0';
    if (!*token)
        return pv_refuse(err, EACCES,
                         "the token file '%s' is empty; it should hold the admin token, as "
                         "admin.token in the daemon's state directory does",
                         cli->token_file);
    for (const char *p = token; *p; p++)
        if (!isgraph((unsigned char)*p))
            return pv_refuse(err, EACCES, "'%s' holds no admin token", cli->token_file);
    return 0;
}

static int add_header(struct curl_slist **list, const char *line, struct pv_err *err)
{
    struct curl_slist *grown = curl_slist_append(*list, line);
    if (!grown)
        return pv_fail(err, ENOMEM, "add a header");
    *list = grown;
    return 0;
}

static int build_headers(const struct cli *cli, const struct cli_request *req,
                         struct curl_slist **list, struct pv_err *err)
{
    PV_TRY(add_header(list, "Expect:", err)); /* never wait for a 100 */
    for (unsigned i = 0; i < req->n_headers; i++)
        PV_TRY(add_header(list, req->headers[i], err));
    if (!req->admin)
        return 0;
    __attribute__((cleanup(wipe_token))) char token[TOKEN_MAX];
    __attribute__((cleanup(wipe_token))) char line[TOKEN_MAX];
    PV_TRY(read_token(cli, token, err));
    if (!*token)
        return 0;
    if (snprintf(line, sizeof line, "Authorization: Bearer %s", token) >= (int)sizeof line)
        return pv_refuse(err, EACCES, "'%s' holds no admin token", cli->token_file);
    return add_header(list, line, err);
}

static void set_request(CURL *c, const struct cli_request *req, struct transfer *t)
{
    if (strcmp(req->method, "HEAD") == 0) {
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    } else if (strcmp(req->method, "GET") != 0 || req->body) {
        curl_easy_setopt(c, CURLOPT_POST, 1L);
        curl_easy_setopt(c, CURLOPT_POSTFIELDS, req->body ? req->body : "");
        curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, req->method);
    }
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    /* the control plane is never reached through a proxy named in the environment: it would see
     * the token */
    curl_easy_setopt(c, CURLOPT_PROXY, "");
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)req->timeout_ms);
    curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L); /* a machine that is gone shows all the same */
    curl_easy_setopt(c, CURLOPT_USERAGENT, "provost/" PV_VERSION);
}

static int explain(const struct cli *cli, CURLcode code, const struct transfer *t,
                   const char *detail, struct pv_err *err)
{
    if (t->stopped)
        return pv_refuse(err, EPIPE, "the output is closed");
    if (t->too_long)
        return pv_refuse(err, EMSGSIZE, "the answer of %s is larger than this client takes",
                         cli->url);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return pv_refuse(err, EHOSTUNREACH,
                         "%s did not answer in time; what was asked for may still take place",
                         cli->url);
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return pv_refuse(err, EINVAL, "'%s' is no http or https URL; set PROVOST_URL", cli->url);
    if (code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR || code == CURLE_PARTIAL_FILE)
        return pv_refuse(err, EHOSTUNREACH,
                         "the platform at %s broke off before it had answered (%s); what was asked "
                         "for may have taken place",
                         cli->url, detail[0] ? detail : curl_easy_strerror(code));
    return pv_refuse(
        err, EHOSTUNREACH,
        "cannot reach the platform at %s (%s); is provostd running, and PROVOST_URL right?",
        cli->url, detail[0] ? detail : curl_easy_strerror(code));
}

int cli_http(const struct cli *cli, const struct cli_request *req, struct cli_response *ret,
             struct pv_err *err)
{
    *ret = (struct cli_response){0};
    pv_buf_init(&ret->head, PV_HTTP_HEAD_MAX);
    pv_buf_init(&ret->body, PV_RESPONSE_MAX);
    __attribute__((cleanup(free_headers))) struct curl_slist *headers = NULL;
    CURL *c PV_CLEANUP(curl_easy_cleanup) = curl_easy_init();
    pv_autofree char *url = NULL;
    char detail[CURL_ERROR_SIZE] = "";
    if (!c || asprintf(&url, "%s%s", cli->url, req->target) < 0)
        return pv_fail(err, ENOMEM, "prepare the request");
    PV_TRY(build_headers(cli, req, &headers, err));

    struct transfer t = {.req = req, .ret = ret, .curl = c};
    set_request(c, req, &t);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, detail);
    uint64_t start = pv_now_mono_ns();
    CURLcode code = curl_easy_perform(c);
    ret->duration_ns = pv_now_mono_ns() - start;
    if (code != CURLE_OK)
        return explain(cli, code, &t, detail, err);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &ret->status);
    return 0;
}

void cli_response_done(struct cli_response *r)
{
    pv_buf_done(&r->head);
    pv_buf_done(&r->body);
}

/* The sentence in an error answer: {"error"|"message"|"text": "…"} or the first line of the text.
 */
static void problem_text(const struct cli_response *r, char *out, size_t cap)
{
    static const char *const keys[] = {"error", "message", "text"};
    cli_autojson json_t *v = json_loadb((const char *)r->body.data, r->body.len, 0, NULL);
    for (size_t i = 0; v && i < sizeof keys / sizeof *keys; i++) {
        const char *s = json_string_value(json_object_get(v, keys[i]));
        if (s) {
            snprintf(out, cap, "%s", s);
            return;
        }
    }
    size_t len = r->body.len < cap - 1 ? r->body.len : cap - 1;
    if (len > 0)
        memcpy(out, r->body.data, len);
    out[len] = '\0';
    out[strcspn(out, "\r\n")] = '\0';
    if (!*out)
        snprintf(out, cap, "the gateway answered %ld without a reason", r->status);
}

/* The gateway may begin with the name that what ends with, in quotes: once is enough. */
static const char *without_name(const char *text, const char *what)
{
    const char *name = strchr(what, '\'');
    size_t len = name ? strcspn(++name, "'") : 0;
    if (len > 0 && strncmp(text, name, len) == 0 && strncmp(text + len, ": ", 2) == 0)
        return text + len + 2;
    return text;
}

int cli_http_problem(const struct cli *cli, const struct cli_response *r, const char *what)
{
    char sentence[600];
    problem_text(r, sentence, sizeof sentence);
    const char *text = without_name(sentence, what);
    switch (r->status) {
    case 401:
        if (access(cli->token_file, R_OK) != 0)
            return cli_error(CLI_DENIED,
                             "%s: no admin token could be read from '%s'; run as root, or set "
                             "PROVOST_STATE or PROVOST_TOKEN_FILE",
                             what, cli->token_file);
        return cli_error(CLI_DENIED,
                         "%s: the gateway does not accept the token in '%s'; is it this daemon's?",
                         what, cli->token_file);
    case 403:
        return cli_error(CLI_DENIED, "%s: %s", what, text);
    case 404:
        return cli_error(CLI_NOT_FOUND, "%s: %s", what, text);
    case 429:
    case 503:
        /* unless it says what to do: "try again soon", "deploy it again" */
        return cli_error(CLI_BUSY, "%s: %s%s", what, text,
                         strstr(text, "again") ? "" : "; try again");
    case 507:
        return cli_error(CLI_LOCAL, "%s: %s", what, text);
    default:
        if (r->status == 409 && strstr(text, "try again"))
            return cli_error(CLI_BUSY, "%s: %s", what, text);
        return cli_error(r->status >= 500 ? CLI_FAILED : CLI_REFUSED, "%s: %s", what, text);
    }
}

static int admin_within(const struct cli *cli, uint64_t timeout_ms, const char *method,
                        const char *target, json_t *body, const char *what, json_t **ret)
{
    static const char *const json_type[] = {"Content-Type: application/json"};
    struct pv_err err = PV_ERR_INIT;
    pv_autofree char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body && !text)
        return cli_error(CLI_LOCAL, "%s: cannot encode the request", what);
    struct cli_request req = {
        .method = method,
        .target = target,
        .body = text,
        .body_len = text ? strlen(text) : 0,
        .headers = json_type,
        .n_headers = text ? 1 : 0,
        .admin = true,
        .timeout_ms = timeout_ms,
    };
    cli_autoresponse struct cli_response r;
    if (cli_http(cli, &req, &r, &err) < 0)
        return cli_report(&err);
    if (r.status < 200 || r.status >= 300)
        return cli_http_problem(cli, &r, what);
    if (!ret)
        return CLI_OK;
    *ret = json_loadb((const char *)r.body.data, r.body.len,
                      JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (!*ret)
        return cli_error(CLI_LOCAL, "%s: the answer of %s is no JSON; is that the gateway?", what,
                         cli->url);
    return CLI_OK;
}

int cli_admin(const struct cli *cli, const char *method, const char *target, json_t *body,
              const char *what, json_t **ret)
{
    return admin_within(cli, ADMIN_TIMEOUT_MS, method, target, body, what, ret);
}

int cli_admin_patient(const struct cli *cli, const char *method, const char *target, json_t *body,
                      const char *what, json_t **ret)
{
    return admin_within(cli, 0, method, target, body, what, ret);
}

int cli_target(char *out, size_t cap, const char *prefix, const char *name, struct pv_err *err)
{
    CURL *c PV_CLEANUP(curl_easy_cleanup) = curl_easy_init();
    char *escaped = c && *name ? curl_easy_escape(c, name, 0) : NULL;
    int n = escaped ? snprintf(out, cap, "%s%s", prefix, escaped) : -1;
    curl_free(escaped);
    if (!*name)
        return pv_refuse(err, EINVAL, "the name is empty");
    if (n < 0 || (size_t)n >= cap)
        return pv_refuse(err, EINVAL, "the name is too long");
    return 0;
}
