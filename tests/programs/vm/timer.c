/* Arms a timer of 300 ms before it reads; says whether it had rung right after, and waits for it.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t rung;

static void ring(int n)
{
    rung = n;
}

int main(void)
{
    const struct itimerval it = {{0, 0}, {0, 300000}};
    char byte;

    signal(SIGALRM, ring);
    setitimer(ITIMER_REAL, &it, NULL);
    while (read(0, &byte, 1) == 1)
        ;
    printf("%s", rung ? "too early, " : "not yet, ");
    while (!rung)
        usleep(1000);
    printf("then rang\n");
    return 0;
}
