/* Looks at its environment before it reads stdin: it cannot be prepared up to its first read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    const char *length = getenv("CONTENT_LENGTH");
    size_t n = length ? (size_t)strtoul(length, NULL, 10) : 0;
    char *buf = malloc(n + 1);

    if (!buf)
        return 1;
    n = fread(buf, 1, n, stdin);
    printf("%zu", n);
    free(buf);
    return 0;
}
