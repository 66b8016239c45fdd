/* Prints what should differ between clones of one image: the kernel's randomness, AT_RANDOM. And
 * what should go on: the time, as whole seconds. */
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
    unsigned char drawn[16];
    unsigned long at = getauxval(AT_RANDOM);
    char byte;

    while (read(0, &byte, 1) == 1)
        ;
    if (getrandom(drawn, sizeof drawn, 0) != sizeof drawn)
        return 1;
    for (unsigned i = 0; i < sizeof drawn; i++)
        printf("%02x", drawn[i]);
    printf(" ");
    for (unsigned i = 0; i < 16; i++)
        printf("%02x", ((unsigned char *)at)[i]);
    printf(" %ld\n", (long)time(NULL));
    return 0;
}
