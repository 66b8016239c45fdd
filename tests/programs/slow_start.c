/* Works for 0.1 s before it reads, as a large interpreter does; then prints the file that it is
 * told. */
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double cpu_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(void)
{
    char buf[4096];
    ssize_t n;
    int fd;

    while (cpu_seconds() < 0.1)
        ;
    n = read(0, buf, sizeof buf - 1);
    if (n <= 0)
        return 1;
    buf[n] = 0;
    fd = open(buf, O_RDONLY);
    if (fd < 0)
        return 1;
    while ((n = read(fd, buf, sizeof buf)) > 0)
        if (write(1, buf, (size_t)n) != n)
            return 1;
    return 0;
}
