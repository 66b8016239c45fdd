/* Touches memory without end. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    char c;

    (void)!read(0, &c, 1);
    for (;;) {
        char *p = malloc(1 << 20);

        if (!p)
            return 3;
        memset(p, 1, 1 << 20);
        __asm__ volatile("" : : "r"(p) : "memory");
    }
}
