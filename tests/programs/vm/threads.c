/* Threads: a mutex under contention, condition variables, a spinning thread that has to be
 * preempted, signals to a thread, thread-local storage. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { THREADS = 6, ROUNDS = 3000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t change = PTHREAD_COND_INITIALIZER;
static long sum;
static int turn;
static _Thread_local long mine;
static atomic_int go, hits;

static void *adder(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        sum++;
        mine++;
        pthread_mutex_unlock(&lock);
    }
    return mine == ROUNDS ? arg : NULL;
}

static void *player(void *arg)
{
    int me = *(int *)arg;

    for (int i = 0; i < 50; i++) {
        pthread_mutex_lock(&lock);
        while (turn % 2 != me)
            pthread_cond_wait(&change, &lock);
        turn++;
        pthread_cond_broadcast(&change);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void *spinner(void *arg)
{
    while (!atomic_load(&go))
        ;
    return arg;
}

static void *waiter(void *arg)
{
    while (!atomic_load(&hits))
        pause();
    return arg;
}

static void on_signal(int n)
{
    atomic_fetch_add(&hits, n);
}

int main(void)
{
    pthread_t t[THREADS];
    int ids[2] = {0, 1};
    int same = 0;
    void *end;
    char byte;

    while (read(0, &byte, 1) == 1)
        ;
    for (int i = 0; i < THREADS; i++)
        pthread_create(&t[i], NULL, adder, &ids[1]);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(t[i], &end);
        same += end == &ids[1];
    }
    printf("sum %ld, own counts right in %d\n", sum, same);
    pthread_create(&t[0], NULL, player, &ids[0]);
    pthread_create(&t[1], NULL, player, &ids[1]);
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    printf("turns %d\n", turn);
    pthread_create(&t[0], NULL, spinner, NULL);
    usleep(1000);
    atomic_store(&go, 1);
    pthread_join(t[0], NULL);
    puts("spinner stopped");
    signal(SIGUSR1, on_signal);
    pthread_create(&t[0], NULL, waiter, NULL);
    while (pthread_tryjoin_np(t[0], &end) != 0) {
        pthread_kill(t[0], SIGUSR1);
        usleep(1000);
    }
    printf("hit: %d\n", atomic_load(&hits) > 0);
    return 0;
}
