/* Writes without end. */
#include <string.h>
#include <unistd.h>

int main(void)
{
    char buf[65536];

    memset(buf, 'x', sizeof buf);
    (void)!read(0, buf, 1);
    while (write(1, buf, sizeof buf) > 0)
        ;
    return 0;
}
