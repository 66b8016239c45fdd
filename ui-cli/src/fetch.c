#include "fetch.h"

#include "pv/own.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

enum { CONNECT_TIMEOUT_MS = 3000, FILE_TIMEOUT_MS = 10000, URL_MAX = 1024 };

struct cli_fetcher {
    CURL *curl; /* owned */
    char url[URL_MAX];
    char detail[CURL_ERROR_SIZE];
};

void cli_fetcher_free(struct cli_fetcher *f)
{
    if (!f)
        return;
    curl_easy_cleanup(f->curl);
    free(f);
}

static size_t on_data(char *p, size_t size, size_t n, void *arg)
{
    struct pv_buf *out = arg;
    pv_buf_raw(out, p, size * n);
    return out->failed ? 0 : size * n;
}

int cli_fetcher_new(struct cli_fetcher **ret, const char *url, struct pv_err *err)
{
    cli_autofetcher struct cli_fetcher *f = calloc(1, sizeof *f);
    if (!f)
        return pv_fail(err, ENOMEM, "allocate a fetcher");
    f->curl = curl_easy_init();
    if (!f->curl)
        return pv_fail(err, ENOMEM, "prepare libcurl");
    if (snprintf(f->url, sizeof f->url, "%s", url) >= (int)sizeof f->url)
        return pv_refuse(err, EINVAL, "the URL of the log is too long");
    for (size_t n = strlen(f->url); n > 0 && f->url[n - 1] == '/'; n--)
        f->url[n - 1] = 0;
    curl_easy_setopt(f->curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(f->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(f->curl, CURLOPT_PROXY, ""); /* as everywhere in this command */
    curl_easy_setopt(f->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(f->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(f->curl, CURLOPT_TIMEOUT_MS, (long)FILE_TIMEOUT_MS);
    curl_easy_setopt(f->curl, CURLOPT_USERAGENT, "provost/" PV_VERSION);
    curl_easy_setopt(f->curl, CURLOPT_ERRORBUFFER, f->detail);
    *ret = PV_TAKE_PTR(f);
    return 0;
}

static int check_answer(const struct cli_fetcher *f, const char *path, CURLcode code,
                        const struct pv_buf *out, struct pv_err *err)
{
    long status = 0;
    if (out->failed)
        return pv_refuse(err, EMSGSIZE, "'%s/%s' is larger than it can be", f->url, path);
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return pv_refuse(err, EINVAL, "'%s' is no http or https URL", f->url);
    if (code != CURLE_OK)
        return pv_refuse(err, EHOSTUNREACH, "cannot read '%s/%s': %s", f->url, path,
                         f->detail[0] ? f->detail : curl_easy_strerror(code));
    curl_easy_getinfo(f->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status == 404 || status == 410)
        return pv_refuse(err, ENOENT, "'%s' has no '%s'", f->url, path);
    if (status != 200)
        return pv_refuse(err, EHOSTUNREACH, "'%s' answers %ld for '%s'", f->url, status, path);
    return 0;
}

static int fetch(void *ctx, const char *path, struct pv_buf *out, struct pv_err *err)
{
    struct cli_fetcher *f = ctx;
    char url[URL_MAX + 128];
    if (snprintf(url, sizeof url, "%s/%s", f->url, path) >= (int)sizeof url)
        return pv_refuse(err, EINVAL, "the URL of '%s' is too long", path);
    f->detail[0] = 0;
    curl_easy_setopt(f->curl, CURLOPT_URL, url);
    curl_easy_setopt(f->curl, CURLOPT_WRITEDATA, out);
    return check_answer(f, path, curl_easy_perform(f->curl), out, err);
}

struct pv_log_source cli_fetcher_source(struct cli_fetcher *f)
{
    return (struct pv_log_source){fetch, f};
}
