/* Arms an interval timer and a POSIX timer of 300 ms before it reads; says whether they had rung
 * right after, and waits for them. */
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t rung[2];

static void ring(int n)
{
    rung[n == SIGUSR1] = 1;
}

int main(void)
{
    const struct itimerval it = {{0, 0}, {0, 300000}};
    const struct itimerspec its = {{0, 0}, {0, 300000000}};
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    timer_t timer;
    char byte;

    signal(SIGALRM, ring);
    signal(SIGUSR1, ring);
    if (timer_create(CLOCK_MONOTONIC, &e, &timer) < 0 || timer_settime(timer, 0, &its, NULL) < 0)
        return 1;
    setitimer(ITIMER_REAL, &it, NULL);
    while (read(0, &byte, 1) == 1)
        ;
    printf("%s", rung[0] || rung[1] ? "too early, " : "not yet, ");
    while (!rung[0] || !rung[1])
        usleep(1000);
    printf("then rang\n");
    return 0;
}
