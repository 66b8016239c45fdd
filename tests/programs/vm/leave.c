/* Looks for what an earlier run has left behind, and then leaves all it can. Prints "clean" or the
 * name of what it found. */
#include <fcntl.h>
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static int counter;
static char *heap;
static char *far_away;
static int expected_fd;

static void found(const char *what)
{
    printf("found %s\n", what);
    fflush(stdout);
    _exit(1);
}

/* Every register that a program could hide something in and the C library does not use at start. */
static __attribute__((noinline)) int vector_state(void)
{
    static const char zero[32];
    char y[32];

    __asm__ volatile("vmovdqu %%ymm15, %0" : "=m"(y));
    return memcmp(y, zero, sizeof y) != 0 || (_mm_getcsr() & 0xffc0) != 0x1f80;
}

static __attribute__((noinline)) void set_vector_state(void)
{
    char y[32];

    memset(y, 0x5a, sizeof y);
    __asm__ volatile("vmovdqu %0, %%ymm15" : : "m"(y) : "xmm15");
    _mm_setcsr(0x9fc0);
}

static void *sleeper(void *arg)
{
    pause();
    return arg;
}

static void look(int vectors)
{
    struct itimerval it;
    struct stat st;
    sigset_t set;
    int fd = dup(0);
    const char *mark = getenv("MARK");

    if (vectors)
        found("vector registers");
    if (counter)
        found("a global variable");
    if (heap && heap[100])
        found("the heap");
    if (far_away)
        found("a mapping");
    if (stat("/tmp/mark", &st) == 0)
        found("a file");
    if (fd != expected_fd)
        found("a descriptor");
    close(fd);
    getitimer(ITIMER_REAL, &it);
    if (it.it_value.tv_sec || it.it_value.tv_usec)
        found("a timer");
    sigprocmask(SIG_BLOCK, NULL, &set);
    if (sigismember(&set, SIGUSR2))
        found("a signal mask");
    if (umask(022) != 022)
        found("a file mode mask");
    if (mark)
        found("a variable");
}

static void leave(void)
{
    const struct itimerval it = {{5, 0}, {5, 0}};
    pthread_t t;
    sigset_t set;
    int fd = open("/tmp/mark", O_CREAT | O_RDWR, 0600);

    counter++;
    heap[100] = 1;
    far_away = mmap(NULL, 3 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(far_away, 1, 3 << 20);
    if (write(fd, "mark", 4) != 4)
        found("no /tmp");
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    setitimer(ITIMER_REAL, &it, NULL);
    umask(0);
    setenv("MARK", "1", 1);
    if (pthread_create(&t, NULL, sleeper, NULL) != 0)
        found("no thread");
    heap = realloc(heap, 4 << 20);
    memset(heap, 2, 4 << 20);
}

int main(void)
{
    char request[4096];
    ssize_t n;
    int vectors;

    setvbuf(stdout, NULL, _IOFBF, 4096);
    heap = calloc(1, 1 << 20);
    expected_fd = dup(0);
    close(expected_fd);
    /* the read by hand: the C library's would change vector registers around it */
    __asm__ volatile("syscall"
                     : "=a"(n)
                     : "a"(0), "D"(0), "S"(request), "d"(sizeof request)
                     : "rcx", "r11", "memory");
    vectors = vector_state();
    look(vectors);
    if (n < 0)
        return 2;
    for (ssize_t i = 0; i < n; i++)
        counter += request[i];
    counter = counter != 0;
    leave();
    printf("clean %zd\n", n);
    fflush(stdout);
    set_vector_state();
    __asm__ volatile("syscall" : : "a"(231), "D"(0) : "rcx", "r11", "memory");
    return 0;
}
