/* Ways by which one run could tell the next something, or the monitor a program. The request's
 * first letter names the way, the second what to do: "s" store, "l" look. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct record {
    uint64_t ino;
    int64_t off;
    uint16_t len;
    uint8_t type;
    char name[];
} __attribute__((packed));

/* Fills the monitor's stack with what a request may hold. */
static void fill_stack(void)
{
    char path[4096];
    char target[4096];

    memset(path, 'S', sizeof path);
    for (size_t i = 0; i < sizeof path; i += 100)
        path[i] = '/';
    path[sizeof path - 1] = 0;
    for (int i = 0; i < 3; i++)
        if (open(path, O_RDONLY) >= 0 || access(path, 0) == 0 ||
            readlink(path, target, sizeof target) >= 0)
            puts("found");
}

/* Bytes behind the names in a directory's records. */
static void padding(long call, size_t room)
{
    static char buf[32768];
    int fd = open("/etc", O_RDONLY | O_DIRECTORY);
    int dirty = 0;
    int records = 0;
    long n;

    while ((n = syscall(call, fd, buf, room)) > 0)
        for (long at = 0; at < n;) {
            const struct record *r = (const void *)(buf + at);
            size_t head = call == SYS_getdents64 ? 19 : 18;
            const char *name = (const char *)r + head;

            for (size_t i = head + strlen(name) + 1; i < r->len - (size_t)(head == 18); i++)
                dirty += ((const char *)r)[i] != 0;
            at += r->len;
            records++;
        }
    close(fd);
    printf("records %d, dirty bytes %d\n", records > 2, dirty);
}

static void try_padding(int store)
{
    (void)store;
    fill_stack();
    padding(SYS_getdents64, 32768);
    fill_stack();
    padding(SYS_getdents, 512);
}

/* More files than the monitor has room for names: do the last ones count as files? */
enum { FILES = 300 };
static char *last;

static void map_files(void)
{
    char path[64];

    for (int i = 0; i < FILES; i++) {
        (void)snprintf(path, sizeof path, "/tmp/pv_channels_%d", i);
        int fd = open(path, O_RDWR | O_CREAT, 0600);
        if (fd < 0 || write(fd, "content", 8) != 8)
            return;
        last = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
        close(fd);
        if (last == MAP_FAILED)
            return;
    }
}

static void try_discard(int store)
{
    if (store)
        printf("discard %d ", madvise(last, 4096, MADV_DONTNEED));
    printf("%s\n", last);
}

/* Mappings that each need a page table of their own, until there is no more. */
static void try_tables(int store)
{
    unsigned long base = store ? 0x300000000000 : 0x200000000000;
    int n = 0;

    while (n < 5000 &&
           mmap((void *)(base + (unsigned long)n * 0x200000), 4096, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
        n++;
    printf("mapped %d\n", n);
}

/* A few of them. */
static void try_few_tables(int store)
{
    for (unsigned long i = 0; store && i < 8; i++)
        if (mmap((void *)(0x400000000000 + i * 0x200000), 4096, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
            puts("no room");
    if (!store)
        try_tables(0);
}

static void try_segments(int store)
{
    unsigned short v[4];

    __asm__ volatile("mov %%ds, %0; mov %%es, %1; mov %%fs, %2; mov %%gs, %3"
                     : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3]));
    printf("%x %x %x %x\n", v[0], v[1], v[2], v[3]);
    fflush(stdout);
    if (store)
        __asm__ volatile("mov %0, %%ds; mov %0, %%es; mov %1, %%gs" : : "r"(0x2b), "r"(0));
}

/* The instruction behind the call at which every run begins; skipped: a run began behind it. */
extern char begin_of_run[];
static int skipped;

__attribute__((noinline, noclone)) static long read_request(char *to, unsigned long len)
{
    long n;

    __asm__ volatile("syscall\n"
                     "begin_of_run: jmp 1f\n"
                     "movl $1, %1\n"
                     "1:"
                     : "=a"(n), "+m"(skipped)
                     : "0"(SYS_read), "D"(0), "S"(to), "d"(len)
                     : "rcx", "r11", "memory");
    return n;
}

/* The run ends by an instruction of two bytes at just that address. */
static void try_begin(int store)
{
    char *page = (char *)((unsigned long)begin_of_run & ~4095ul);

    if (!store) {
        printf("skipped %d\n", skipped);
        return;
    }
    mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC);
    memcpy(begin_of_run, "\xe6\x20", 2); /* out %al, $0x20: a call, where ports are allowed */
    __asm__ volatile("mov $0x202, %%r11d; jmp *%%rdx"
                     :
                     : "a"(SYS_exit_group), "D"(0), "c"(begin_of_run), "d"(begin_of_run)
                     : "r11", "memory");
}

/* An answer of 960,000 bytes; exits with 3 when it hears that it could not be written. */
static void try_answer(int store)
{
    static char block[60000];

    (void)store;
    memset(block, 'a', sizeof block);
    for (int i = 0; i < 16; i++) {
        if (write(1, block, sizeof block) != sizeof block)
            _exit(3);
        syscall(SYS_getcwd, NULL, 0); /* leaves, and what was written is collected */
    }
}

/* How exact the clocks are, and which there are. */
static void try_resolutions(int store)
{
    struct timespec ts;

    (void)store;
    for (int i = -10; i < 16; i++)
        if (clock_getres(i, &ts) == 0)
            printf("%d: %ld.%09ld\n", i, ts.tv_sec, ts.tv_nsec);
}

static const struct {
    char letter;
    void (*fn)(int store);
} ways[] = {
    {'p', try_padding},  {'d', try_discard}, {'t', try_tables}, {'f', try_few_tables},
    {'g', try_segments}, {'b', try_begin},   {'a', try_answer}, {'r', try_resolutions},
};

int main(void)
{
    char request[2] = "";

    /* address space alone must not make the making of an image long */
    mmap(NULL, 80ul << 40, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
         0);
    map_files();
    if (read_request(request, 2) < 2)
        return 1;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (ways[i].letter == request[0])
            ways[i].fn(request[1] == 's');
    return 0;
}
