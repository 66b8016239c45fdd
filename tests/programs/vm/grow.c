/* Reads how many pages it is to take ('0' + n) and what to fill them with; says how many of those
 * it was given were not empty. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

int main(void)
{
    char request[64] = {0}, answer[64];

    if (read(0, request, sizeof request - 1) < 1)
        return 1;
    size_t bytes = (size_t)(request[0] - '0') * PAGE;
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int dirty = 0;

    if (p == MAP_FAILED)
        return 1;
    for (size_t i = 0; i < bytes; i += PAGE) {
        for (size_t k = 0; k < PAGE; k++)
            if (p[i + k]) {
                dirty++;
                break;
            }
        memcpy(p + i, request, sizeof request);
    }
    int len = snprintf(answer, sizeof answer, "%d dirty\n", dirty);
    return write(1, answer, (size_t)len) == len ? 0 : 1;
}
