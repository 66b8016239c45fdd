/* One run gives itself rights to pages, the next finds out whether it still has them. Request "g":
 * give; "t": try. Prints what it could reach. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096 };

static sigjmp_buf back;
static char *const far_away = (char *)0x200000000;
static char *guard, *constant, *data;

static void on_fault(int n)
{
    (void)n;
    siglongjmp(back, 1);
}

static void reach(const char *what, volatile char *p, int write)
{
    if (sigsetjmp(back, 1))
        return;
    if (write)
        *p = 1;
    else
        (void)*p;
    printf("reached %s\n", what);
}

static void give(void)
{
    mmap(far_away, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
         0);
    memset(far_away, 7, 64 * PAGE);
    mprotect(guard, PAGE, PROT_READ | PROT_WRITE);
    mprotect(constant, PAGE, PROT_READ | PROT_WRITE);
    mprotect((void *)((unsigned long)give & ~4095ul), PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    mprotect(data, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    reach("guard", guard, 1);
    reach("constant", constant, 1);
    data[1] = (char)0xc3;
    ((void (*)(void))(void *)(data + 1))();
    munmap(data + PAGE, PAGE);
}

static void try(void)
{
    reach("a mapping of the last run", far_away + 3 * PAGE, 0);
    reach("a guard page", guard, 0);
    reach("a guard page", guard, 1);
    reach("a read-only page", constant, 1);
    reach("code", (char *)(void *)try, 1);
    data[1] = (char)0xc3;
    if (!sigsetjmp(back, 1)) {
        ((void (*)(void))(void *)(data + 1))();
        puts("executed data");
    }
    reach("what the last run had unmapped", data + PAGE, 0);
}

int main(void)
{
    struct sigaction sa = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    char request = 0;

    sigaction(SIGSEGV, &sa, NULL);
    guard = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(guard, 1, PAGE);
    mprotect(guard, PAGE, PROT_NONE);
    constant = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(constant, 1, PAGE);
    mprotect(constant, PAGE, PROT_READ);
    data = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(data, 1, 2 * PAGE);
    if (read(0, &request, 1) < 0)
        return 1;
    if (request == 'g')
        give();
    else
        try();
    puts("end");
    return 0;
}
