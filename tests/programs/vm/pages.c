/* Rights to pages, each tried: prints which accesses were faults. The same on the host and in a
 * micro-VM, or a translation was kept that should have been forgotten. */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 16 };

static sigjmp_buf back;
static volatile sig_atomic_t code;

static void on_fault(int n, siginfo_t *info, void *context)
{
    (void)n;
    (void)context;
    code = info->si_code;
    siglongjmp(back, 1);
}

static void outcome(const char *what, int faulted)
{
    if (faulted)
        printf("%s: fault %s\n", what, code == SEGV_MAPERR ? "unmapped" : "denied");
    else
        printf("%s: done\n", what);
}

static void try_read(const char *what, const volatile char *p)
{
    if (sigsetjmp(back, 1)) {
        outcome(what, 1);
        return;
    }
    printf("%s: %d\n", what, *p);
}

static void try_write(const char *what, volatile char *p)
{
    if (sigsetjmp(back, 1)) {
        outcome(what, 1);
        return;
    }
    *p = 42;
    outcome(what, 0);
}

static void try_call(const char *what, char *p)
{
    if (sigsetjmp(back, 1)) {
        outcome(what, 1);
        return;
    }
    ((void (*)(void))(void *)p)();
    outcome(what, 0);
}

static char *fresh(int prot)
{
    return mmap(NULL, PAGES * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void protections(void)
{
    char *p = fresh(PROT_READ | PROT_WRITE);

    try_write("write", p);
    mprotect(p, PAGE, PROT_READ);
    try_write("write to what became read-only", p);
    try_read("read it", p);
    mprotect(p, PAGE, PROT_NONE);
    try_read("read what became PROT_NONE", p);
    mprotect(p, PAGE, PROT_READ | PROT_WRITE);
    try_read("read it again", p);
    try_write("write it again", p);
    try_write("write its neighbour", p + PAGE);
    munmap(p + PAGE, PAGE);
    try_read("read what was unmapped", p + PAGE);
    try_write("write what was unmapped", p + PAGE);
    mmap(p + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    try_read("read what was mapped anew", p + PAGE);
    try_write("write what was mapped anew", p + PAGE);
    p = fresh(PROT_NONE);
    try_read("read PROT_NONE", p);
    mprotect(p, PAGE, PROT_READ | PROT_WRITE);
    try_write("write the first page", p);
    try_write("write the guard behind", p + PAGE);
}

static void execution(void)
{
    char *p = fresh(PROT_READ | PROT_WRITE);
    char on_stack[16];

    memset(on_stack, 0xc3, sizeof on_stack);
    *p = (char)0xc3; /* ret */
    try_call("call data", p);
    mprotect(p, PAGE, PROT_READ | PROT_EXEC);
    try_call("call code", p);
    try_write("write code", p);
    mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    *p = (char)0x90;
    p[1] = (char)0xc3;
    try_call("call changed code", p);
    mprotect(p, PAGE, PROT_READ);
    try_call("call what is code no more", p);
    try_call("call the stack", on_stack);
    try_write("write the text", (char *)(void *)protections);
}

static void moves(void)
{
    char *p = fresh(PROT_READ | PROT_WRITE);
    char *q;

    memset(p, 9, PAGES * PAGE);
    q = mremap(p, PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    try_read("read what moved", q);
    try_read("read where it was", p);
    try_read("read the rest that stayed", p + PAGE);
    try_read("read the new part", q + 60 * PAGE);
    mremap(q, 64 * PAGE, PAGE, 0);
    try_read("read past the shrunk part", q + PAGE);
    p = sbrk(0);
    sbrk(5 * PAGE);
    try_write("write the heap", p + PAGE);
    sbrk(-5 * PAGE);
    p = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    try_read("read a large area", p + (40 << 20));
    try_write("write a large area", p + (50 << 20));
    madvise(p, 64 << 20, MADV_DONTNEED);
    try_read("read it after DONTNEED", p + (50 << 20));
}

int main(void)
{
    struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    char byte;

    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
    while (read(0, &byte, 1) == 1)
        ;
    try_read("read null", NULL);
    try_read("read the kernel's half", (char *)0xffff800000000000ul);
    protections();
    execution();
    moves();
    return 0;
}
