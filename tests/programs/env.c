/* Reads stdin, then prints the variables it is asked for: the first words of its input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    char name[256];

    while (scanf("%255s", name) == 1) {
        const char *v = getenv(name);

        printf("%s=%s\n", name, v ? v : "(none)");
    }
    return 0;
}
