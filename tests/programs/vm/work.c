/* An ordinary function: parses its request (numbers), allocates, sorts, prints, uses variables and
 * floating point. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_value(const void *a, const void *b)
{
    long x = *(const long *)a;
    long y = *(const long *)b;

    return (x > y) - (x < y);
}

int main(void)
{
    size_t cap = 16;
    size_t n = 0;
    long *v = malloc(cap * sizeof *v);
    double sum = 0;
    char line[64];

    while (v && fgets(line, sizeof line, stdin)) {
        if (n == cap)
            v = realloc(v, (cap *= 2) * sizeof *v);
        if (v)
            v[n++] = strtol(line, NULL, 10);
    }
    if (!v)
        return 1;
    qsort(v, n, sizeof *v, by_value);
    for (size_t i = 0; i < n; i++)
        sum += sqrt((double)labs(v[i]));
    printf("%zu numbers, median %ld, roots %.9f, by %s\n", n, n ? v[n / 2] : 0, sum,
           getenv("Http_Method") ? getenv("Http_Method") : "nobody");
    free(v);
    return n % 7 == 0 ? 3 : 0;
}
