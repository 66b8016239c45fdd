/* Answers with its request: the smallest function, and what the benchmarks measure. */
#include <errno.h>
#include <unistd.h>

int main(void)
{
    char chunk[16384];

    for (;;) {
        ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0;
        for (ssize_t off = 0; off < n;) {
            ssize_t written = write(STDOUT_FILENO, chunk + off, (size_t)(n - off));

            if (written < 0 && errno != EINTR)
                return 1;
            off += written > 0 ? written : 0;
        }
    }
}
