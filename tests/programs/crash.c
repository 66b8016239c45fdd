/* Dies by a signal of its own. */
#include <unistd.h>

int main(void)
{
    volatile int *nowhere = 0;
    char c;

    (void)!read(0, &c, 1);
    *nowhere = 1;
    return 0;
}
