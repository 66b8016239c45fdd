/* The function under load: a CGI program that answers with the body of its request. The header block
 * makes it the same program for lighttpd and for the gateway (deployed with cgi). */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static int write_all(const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, p, len);
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int main(void)
{
    static const char head[] = "Content-Type: text/plain\r\n\r\n";
    char piece[65536];
    size_t len = sizeof head - 1;
    memcpy(piece, head, len);
    /* head and first piece leave in one write */
    for (;;) {
        ssize_t n = read(STDIN_FILENO, piece + len, sizeof piece - len);
        if (n < 0)
            return 1;
        if (n == 0)
            return write_all(piece, len) < 0;
        len += (size_t)n;
        if (len == sizeof piece) {
            if (write_all(piece, len) < 0)
                return 1;
            len = 0;
        }
    }
}
