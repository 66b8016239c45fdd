/* Reads the file whose path it is given and tells another function what is in it. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int call(const char *body, size_t len)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(8080)};
    char head[200], answer[4096];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int n = snprintf(head, sizeof head,
                     "POST /function/echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     len);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        write(fd, head, (size_t)n) != n || write(fd, body, len) != (ssize_t)len)
        return 1;
    while (read(fd, answer, sizeof answer) > 0)
        ;
    return write(1, "done\n", 5) != 5;
}

int main(void)
{
    char path[4096], body[4096];
    ssize_t n = read(0, path, sizeof path - 1);

    if (n <= 0)
        return 1;
    path[n] = 0;
    int fd = open(path, O_RDONLY);
    n = fd < 0 ? -1 : read(fd, body, sizeof body);
    return n < 0 ? 1 : call(body, (size_t)n);
}
