/* Forks until it may not; the children spin. Prints how many it got. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    char c;
    int n = 0;

    (void)!read(0, &c, 1);
    for (; n < 100000; n++) {
        pid_t pid = fork();

        if (pid < 0)
            break;
        if (pid == 0)
            for (;;)
                pause();
    }
    printf("%d\n", n);
    return 0;
}
