/* fetch-image: reads a URL on stdin and answers with the picture there.
 *
 * Deliberately vulnerable: file:// URLs were let in for trying it out with local pictures and were
 * never taken out again, so a caller can have any file the function may read, among them the
 * credentials of the picture CDN that lie in its own package. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { URL_MAX = 2048, TOKEN_MAX = 256, HEAD_MAX = 16384, CHUNK = 16384 };

static const char cdn_host[] = "cdn.photos.example";
static const char credentials_path[] = "/function/credentials.json";

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fputs("fetch-image: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(1);
}

static void write_out(const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, p, len);

        if (n < 0 && errno != EINTR)
            die("cannot answer: %s", strerror(errno));
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

static void copy_out(int fd)
{
    char chunk[CHUNK];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno != EINTR)
            die("cannot read the picture: %s", strerror(errno));
        if (n > 0)
            write_out(chunk, (size_t)n);
    }
}

static void read_url(char url[URL_MAX])
{
    size_t len = 0;
    ssize_t n;

    while (len < URL_MAX - 1 && (n = read(STDIN_FILENO, url + len, URL_MAX - 1 - len)) != 0) {
        if (n < 0 && errno != EINTR)
            die("cannot read the request: %s", strerror(errno));
        len += n > 0 ? (size_t)n : 0;
    }
    url[len] = '\0';
    url[strcspn(url, " \t\r\n")] = '\0';
}

/* The value of "token" in the credentials. */
static void read_token(char token[TOKEN_MAX])
{
    char text[1024] = "";
    int fd = open(credentials_path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    const char *p = n > 0 ? strstr(text, "\"token\": \"") : NULL;

    if (!p || sscanf(p, "\"token\": \"%255[^\"]", token) != 1)
        die("no token in %s", credentials_path);
    (void)close(fd);
}

static int connect_to_proxy(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    const char *proxy = getenv("http_proxy");
    char host[64] = "127.0.0.1";
    unsigned port = 3128;
    int fd;

    if (proxy)
        (void)sscanf(proxy, "http://%63[0-9.]:%5u", host, &port);
    a.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &a.sin_addr) != 1)
        die("the proxy '%s' is no address", proxy ? proxy : host);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&a, sizeof a) != 0)
        die("cannot reach the proxy: %s", strerror(errno));
    return fd;
}

static void send_request(int fd, const char *url, const char *host)
{
    char token[TOKEN_MAX] = "";
    char request[URL_MAX + 1024];
    int len;

    if (strcmp(host, cdn_host) == 0)
        read_token(token);
    len = snprintf(request, sizeof request,
                   "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n%s%s%s\r\n", url, host,
                   token[0] ? "Authorization: Bearer " : "", token, token[0] ? "\r\n" : "");
    for (int off = 0; off < len;) {
        ssize_t n = write(fd, request + off, (size_t)(len - off));

        if (n < 0 && errno != EINTR)
            die("cannot ask the proxy: %s", strerror(errno));
        off += n > 0 ? (int)n : 0;
    }
}

/* Answers with what follows the head, if the status is 200. */
static void relay_answer(int fd, const char *url)
{
    char head[HEAD_MAX + 1] = "";
    size_t len = 0;
    char *body = NULL;
    unsigned status = 0;

    while (!body && len < HEAD_MAX) {
        ssize_t n = read(fd, head + len, HEAD_MAX - len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
        head[len] = '\0';
        body = strstr(head, "\r\n\r\n");
    }
    if (!body || sscanf(head, "HTTP/%*u.%*u %3u", &status) != 1)
        die("no sensible answer for '%s'", url);
    if (status != 200)
        die("'%s' answered %u", url, status);
    body += 4;
    write_out(body, len - (size_t)(body - head));
    copy_out(fd);
}

static void fetch_http(const char *url)
{
    char host[256];
    int fd;

    if (sscanf(url, "http://%255[^/?#]", host) != 1)
        die("'%s' has no host", url);
    fd = connect_to_proxy();
    send_request(fd, url, host);
    relay_answer(fd, url);
    (void)close(fd);
}

static void fetch_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        die("cannot open '%s': %s", path, strerror(errno));
    copy_out(fd);
    (void)close(fd);
}

int main(void)
{
    char url[URL_MAX];

    read_url(url);
    if (strncmp(url, "file://", 7) == 0)
        fetch_file(url + 7);
    else if (strncmp(url, "http://", 7) == 0)
        fetch_http(url);
    else
        die("'%s' is no http:// URL", url);
    return 0;
}
