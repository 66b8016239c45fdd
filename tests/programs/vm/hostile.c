/* Does the bad thing that its request names. Whatever comes back is printed. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define ENTRY 0x7000ul /* code at the system call entry, as the monitor lays it out */

static void do_hlt(void)
{
    __asm__ volatile("hlt");
}
static void do_cli(void)
{
    __asm__ volatile("cli");
}
static void do_in(void)
{
    __asm__ volatile("in $0x60, %%al" : : : "rax");
}
static void do_out(void)
{
    __asm__ volatile("out %%al, $0x80" : : : "memory");
}
static void do_cr3(void)
{
    __asm__ volatile("mov %%rax, %%cr3" : : "a"(0x1000));
}
static void do_wrmsr(void)
{
    __asm__ volatile("wrmsr" : : "a"(0), "d"(0), "c"(0xc0000082));
}
static void do_lgdt(void)
{
    static char desc[10];
    __asm__ volatile("lgdt %0" : : "m"(desc));
}
static void do_ltr(void)
{
    __asm__ volatile("ltr %%ax" : : "a"(0x30));
}
static void do_swapgs(void)
{
    __asm__ volatile("swapgs");
}
static void do_invd(void)
{
    __asm__ volatile("invd");
}
static void do_sysret(void)
{
    __asm__ volatile("sysretq" : : "c"(0), "r"(0));
}
static void do_iret_kernel(void)
{
    __asm__ volatile("push $0x10; push %%rsp; pushf; push $8; lea 1f(%%rip), %%rax; push %%rax; "
                     "iretq; 1:"
                     :
                     :
                     : "rax", "memory");
}
static void do_sysenter(void)
{
    __asm__ volatile("sysenter" : : "a"(39), "c"(0), "d"(0));
}
static void do_xsetbv(void)
{
    __asm__ volatile("xsetbv" : : "a"(1), "d"(0), "c"(0));
}
static void do_debug_register(void)
{
    __asm__ volatile("mov %%rax, %%dr7" : : "a"(0x400));
}
static void do_cr4(void)
{
    unsigned long v;
    __asm__ volatile("mov %%cr4, %0" : "=r"(v));
}
static void do_far_jump(void)
{
    static struct {
        unsigned at;
        unsigned short selector;
    } __attribute__((packed)) to = {0x5000, 8};
    __asm__ volatile("ljmp *%0" : : "m"(to));
}
static void do_load_segment(void)
{
    __asm__ volatile("mov %%ax, %%ss" : : "a"(0x10));
}
/* What a hypervisor may answer, but not act upon. */
static void do_hypercall(void)
{
    __asm__ volatile("vmmcall" : : "a"(1), "b"(0), "c"(0) : "memory");
}
static void do_ud2(void)
{
    __asm__ volatile("ud2");
}
static void do_int3(void)
{
    __asm__ volatile("int3");
}
static void do_int80(void)
{
    __asm__ volatile("int $0x80" : : "a"(1), "b"(0));
}
static void do_int_gate(void)
{
    __asm__ volatile("int $14");
}
static void do_divide(void)
{
    __asm__ volatile("div %%ecx" : : "a"(1), "d"(0), "c"(0) : "cc");
}
static void do_trap_flag(void)
{
    __asm__ volatile("pushf; orq $0x100, (%%rsp); popf; nop; nop" : : : "memory", "cc");
}
static void do_alignment(void)
{
    __asm__ volatile("pushf; orq $0x40000, (%%rsp); popf; mov 1(%%rsp), %%rax"
                     :
                     :
                     : "rax", "memory");
}
static void do_null(void)
{
    *(volatile int *)0 = 1;
}
static void do_monitor_page(void)
{
    *(volatile long *)0x2000 = 1;
}
static void do_entry_page(void)
{
    *(volatile long *)ENTRY = 1;
}
static void do_gates(void)
{
    ((void (*)(void))0x5000)();
}
static void do_noncanonical(void)
{
    *(volatile int *)0x8000000000000000ul = 1;
}
static void do_wrfsbase(void)
{
    __asm__ volatile("wrfsbase %0" : : "r"(0x8000000000000000ul));
}
/* The stub with a return address that is none, and one that is the monitor's. */
static void do_forged_rcx(void)
{
    __asm__ volatile("mov $0x202, %%r11d; jmp *%%rdx"
                     :
                     : "a"(39), "c"(0xdead000000000000ul), "d"(ENTRY)
                     : "r11");
}
static void do_forged_gate(void)
{
    __asm__ volatile("mov $0x202, %%r11d; jmp *%%rdx"
                     :
                     : "a"(39), "c"(0x5000ul), "d"(ENTRY)
                     : "r11");
}
/* Flags that no program may set: I/O privilege, virtual-8086 mode, nested task. */
static void do_forged_r11(void)
{
    unsigned long flags;
    __asm__ volatile("lea 1f(%%rip), %%rcx; mov $0x3b7000, %%r11d; mov $39, %%eax; jmp *%1; 1: "
                     "pushf; pop %0"
                     : "=&r"(flags)
                     : "d"(ENTRY)
                     : "rax", "rcx", "r11", "memory");
    printf("flags %lx\n", flags & 0x3b7000);
    do_cli();
}
/* A call without the instruction: by the port, from the program's own code. */
static void do_port(void)
{
    long rc;
    __asm__ volatile("lea 1f(%%rip), %%rcx; mov $0x202, %%r11d; out %%al, $0x20; 1:"
                     : "=a"(rc)
                     : "a"(39)
                     : "rcx", "r11", "memory");
    printf("port %ld\n", rc);
}
static void do_fault_port(void)
{
    __asm__ volatile("out %%al, $0x4e" : : : "memory");
}
/* The page that shim and monitor share says nonsense. */
static void do_shared_page(void)
{
    volatile uint64_t *p = (volatile uint64_t *)0x8000;

    for (int i = 1; i < 16; i++)
        p[i] = UINT64_MAX - 5;
    syscall(SYS_write, 2, "x", 1);
    p[0] = 0xff;
    p[2] = UINT64_MAX;
    syscall(SYS_getcwd, NULL, 0);
    syscall(SYS_exit_group, 0);
}
static int depth(int n)
{
    volatile char room[1024];
    room[0] = (char)n;
    return n < 0 ? 0 : depth(n + 1) + room[0];
}
static void do_recursion(void)
{
    printf("%d\n", depth(1));
}
static void do_memory(void)
{
    for (long n = 0;; n++) {
        char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED) {
            printf("no more: %s\n", strerrorname_np(errno));
            return;
        }
        memset(p, 1, 1 << 20);
    }
}
static void do_lazy_memory(void)
{
    for (;;) {
        char *p = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (p == MAP_FAILED)
            return;
        memset(p, 1, 8 << 20);
    }
}
static void do_areas(void)
{
    char *p = mmap(NULL, 1ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    for (unsigned long i = 0; i < (1ul << 30); i += 8192)
        if (mprotect(p + i, 4096, PROT_READ) < 0) {
            printf("no more: %s\n", strerrorname_np(errno));
            return;
        }
}
static void do_descriptors(void)
{
    int n = 0;

    while (open("/dev/null", O_RDONLY) >= 0)
        n++;
    printf("no more: %s, many %d\n", strerrorname_np(errno), n > 50);
}
static void do_output(void)
{
    static char block[65536];

    for (;;)
        if (write(1, block, sizeof block) < 0)
            return;
}
static void *sleep_on(void *arg)
{
    pause();
    return arg;
}
static void do_threads(void)
{
    pthread_attr_t a;
    pthread_t t;
    int n = 0;

    pthread_attr_init(&a);
    pthread_attr_setstacksize(&a, 16384);
    while (n < 10000 && pthread_create(&t, &a, sleep_on, NULL) == 0)
        n++;
    printf("threads refused: %d\n", n < 10000);
}
static void do_fork(void)
{
    int rc = fork();
    printf("fork %d %s\n", rc, strerrorname_np(errno));
}
static void do_exec(void)
{
    char *argv[] = {(char *)"x", NULL};
    int rc = execv("/bin/true", argv);
    printf("exec %d %s\n", rc, strerrorname_np(errno));
}
static void do_loop(void)
{
    for (;;)
        __asm__ volatile("");
}
static void do_shim_loop(void)
{
    /* from one instruction of the entry code to the same, for ever: jmp *%rcx with rcx on itself */
    for (unsigned long at = ENTRY; at < ENTRY + 512; at++)
        if (((unsigned char *)at)[0] == 0xff && ((unsigned char *)at)[1] == 0xe1)
            __asm__ volatile("mov %0, %%rcx; jmp *%%rcx" : : "r"(at) : "rcx");
}
static void do_wait(void)
{
    static pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&m);
    pthread_mutex_lock(&m);
}
static void do_bad_frame(void)
{
    syscall(SYS_rt_sigreturn);
}
static void do_no_stack(void)
{
    __asm__ volatile("xor %%esp, %%esp; push %%rax" : : : "memory");
}
static void do_calls(void)
{
    for (;;)
        syscall(SYS_getcwd, NULL, 0);
}
static void do_abort(void)
{
    abort();
}
static void do_self_modify(void)
{
    unsigned char *p =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int sum = 0;

    memcpy(p, "\xb8\x01\x00\x00\x00\xc3", 6); /* mov $1, %eax; ret */
    for (int i = 0; i < 200; i++) {
        p[1] = (unsigned char)i;
        sum += ((int (*)(void))(void *)p)();
    }
    printf("sum %d\n", sum);
}

/* ---- one call that could take for ever: no deadline ends it ---- */

static time_t seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
}
static void *reserve(void *at, size_t len)
{
    int fixed = at ? MAP_FIXED : 0;
    return mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
}
static void do_move_nothing(void)
{
    size_t len = 40ul << 40;
    time_t start = seconds();
    void *p = reserve((void *)0x20000000000, len);
    void *q = mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)0x2a0000000000);

    printf("moved %d, at once %d\n", q != MAP_FAILED, seconds() - start <= 5);
}
static void do_discard_nothing(void)
{
    size_t len = 60ul << 40;
    time_t start = seconds();
    void *p = reserve(NULL, len);
    int rc = 0;

    for (int i = 0; i < 300; i++)
        rc |= madvise(p, len, MADV_DONTNEED) | mprotect(p, len, i & 1 ? PROT_NONE : PROT_READ);
    printf("discarded %d, at once %d\n", rc == 0, seconds() - start <= 5);
}
static void do_random_flood(void)
{
    enum { PIECES = 300 };
    size_t len = 16 << 20;
    struct iovec v[PIECES];
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (int i = 0; i < PIECES; i++)
        v[i] = (struct iovec){p, len};
    ssize_t drawn = readv(open("/dev/urandom", O_RDONLY), v, PIECES);
    ssize_t zeros = readv(open("/dev/zero", O_RDONLY), v, PIECES);
    printf("drawn %d, zeros %d\n", drawn > 0 && drawn <= 1 << 20, zeros > 0 && zeros <= 64 << 20);
}
static void do_mincore(void)
{
    size_t len = 64ul << 30;
    char *p = reserve(NULL, len);
    unsigned char *there =
        mmap(NULL, len / 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t sum = 0;

    mprotect(p + 4096, 8192, PROT_READ | PROT_WRITE);
    p[4096] = p[8192] = 1;
    int rc = mincore(p, len, there);
    for (size_t i = 0; i < len / 4096; i++)
        sum += there[i] & 1;
    printf("mincore %d: %zu there, first %d %d %d\n", rc, sum, there[0], there[1], there[2]);
}

static const struct {
    const char *name;
    void (*fn)(void);
} deeds[] = {
#define DEED(n)                                                                                    \
    {                                                                                              \
#n, do_##n                                                                                 \
    }
    DEED(hlt),          DEED(cli),          DEED(in),
    DEED(out),          DEED(cr3),          DEED(wrmsr),
    DEED(lgdt),         DEED(ltr),          DEED(swapgs),
    DEED(invd),         DEED(sysret),       DEED(iret_kernel),
    DEED(sysenter),     DEED(xsetbv),       DEED(debug_register),
    DEED(cr4),          DEED(far_jump),     DEED(load_segment),
    DEED(hypercall),    DEED(ud2),          DEED(int3),
    DEED(int80),        DEED(int_gate),     DEED(divide),
    DEED(trap_flag),    DEED(alignment),    DEED(null),
    DEED(monitor_page), DEED(entry_page),   DEED(gates),
    DEED(noncanonical), DEED(wrfsbase),     DEED(forged_rcx),
    DEED(forged_gate),  DEED(forged_r11),   DEED(port),
    DEED(fault_port),   DEED(shared_page),  DEED(recursion),
    DEED(memory),       DEED(lazy_memory),  DEED(areas),
    DEED(descriptors),  DEED(output),       DEED(threads),
    DEED(fork),         DEED(exec),         DEED(loop),
    DEED(shim_loop),    DEED(wait),         DEED(bad_frame),
    DEED(no_stack),     DEED(calls),        DEED(abort),
    DEED(self_modify),  DEED(move_nothing), DEED(discard_nothing),
    DEED(random_flood), DEED(mincore),
};

int main(void)
{
    char name[64] = "";
    ssize_t n = read(0, name, sizeof name - 1);

    for (size_t i = 0; n > 0 && i < sizeof deeds / sizeof *deeds; i++)
        if (!strcmp(deeds[i].name, name)) {
            deeds[i].fn();
            puts("came back");
            return 0;
        }
    puts("unknown deed");
    return 9;
}
