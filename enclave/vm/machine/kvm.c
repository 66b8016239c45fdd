#include "machine/kvm.h"

#include "machine/machine.h"
#include "memory/tables.h"
#include "pv/clock.h"
#include "pv/own.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>

enum { CPUID_ENTRIES_MAX = 256, XCR0_WANTED = 0xe7 /* x87, SSE, AVX, AVX-512 */ };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pv_kvm kvm = {.fd = -1};
static bool known, stands_by;
static struct pv_err failure;
/* What another process found out about this machine: pv_kvm_stand_by's word. */
enum { KNOWN = 1, KERNEL_RING = 2, SAME_TSC = 4 };
static uint8_t told;

static int require(int fd, int capability, const char *name, struct pv_err *err)
{
    int rc = ioctl(fd, KVM_CHECK_EXTENSION, capability);

    if (rc <= 0)
        return pv_refuse(err, ENOTSUP, "this KVM lacks %s", name);
    return rc;
}

static int check_capabilities(int fd, struct pv_err *err)
{
    int version = ioctl(fd, KVM_GET_API_VERSION, 0);

    if (version < 0)
        return pv_fail(err, errno, "/dev/kvm does not work");
    if (version != KVM_API_VERSION)
        return pv_refuse(err, ENOTSUP, "this KVM speaks another version of its interface");
    PV_TRY(require(fd, KVM_CAP_USER_MEMORY, "user memory", err));
    PV_TRY(require(fd, KVM_CAP_IMMEDIATE_EXIT, "immediate exits", err));
    PV_TRY(require(fd, KVM_CAP_XSAVE, "XSAVE", err));
    PV_TRY(require(fd, KVM_CAP_XCRS, "XCRs", err));
    int sync = require(fd, KVM_CAP_SYNC_REGS, "synchronised registers", err);
    PV_TRY(sync);
    if (((unsigned long)sync & (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS)) !=
        (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS))
        return pv_refuse(err, ENOTSUP, "this KVM lacks synchronised registers");
    return 0;
}

static int read_cpuid(struct pv_kvm *k, struct pv_err *err)
{
    k->cpuid = calloc(1, sizeof *k->cpuid + CPUID_ENTRIES_MAX * sizeof(struct kvm_cpuid_entry2));
    if (!k->cpuid)
        return pv_fail(err, ENOMEM, "read the processor's features");
    k->cpuid->nent = CPUID_ENTRIES_MAX;
    if (ioctl(k->fd, KVM_GET_SUPPORTED_CPUID, k->cpuid) < 0)
        return pv_fail(err, errno, "read the processor's features");
    return 0;
}

static uint64_t host_xcr0(void)
{
    uint32_t low;
    uint32_t high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* Size of the XSAVE area: the end of the last component in use (SDM vol. 1, 13.2). */
static int read_xsave(struct pv_kvm *k, struct pv_err *err)
{
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)))
        return pv_refuse(err, ENOTSUP, "this processor lacks XSAVE");
    k->xcr0 = host_xcr0() & XCR0_WANTED;
    k->xsave_bytes = 512 + 64;
    for (unsigned i = 2; i < 64; i++) {
        if (!(k->xcr0 >> i & 1) || !__get_cpuid_count(0xd, i, &a, &b, &c, &d))
            continue;
        if (a + b > k->xsave_bytes)
            k->xsave_bytes = a + b;
    }
    if (k->xsave_bytes > PV_XSAVE_BYTES)
        return pv_refuse(err, ENOTSUP, "extended states of %u bytes", k->xsave_bytes);
    return 0;
}

/* A guest that reads its time stamp counter and makes a system call. */
static const uint8_t probe_code[] = {
    0x0f, 0x31,                   /* rdtsc */
    0x41, 0x89, 0xc0,             /* mov %eax, %r8d */
    0x41, 0x89, 0xd1,             /* mov %edx, %r9d */
    0xb8, 0x27, 0x00, 0x00, 0x00, /* mov $39, %eax */
    0x0f, 0x05,                   /* syscall */
    0x0f, 0x0b,                   /* ud2 */
};
enum { PROBE_NR = 39, PROBE_RETURN = sizeof probe_code - 2 };

static int put_probe(struct pv_memory *memory, struct pv_err *err)
{
    uint64_t frame = pv_memory_frame(memory, true);
    uint64_t *entry = pv_tables_make(memory, PV_USER_MIN);

    if (!entry || !frame)
        return pv_fail(err, ENOMEM, "make the probe guest");
    *entry = frame | PV_PTE_PRESENT | PV_PTE_USER | PV_PTE_ACCESSED;
    memcpy(pv_memory_at(memory, frame), probe_code, sizeof probe_code);
    return 0;
}

/* Runs it: at which ring does the exit of its call happen, and is its counter ours? */
static int run_probe(struct pv_memory *memory, struct pv_machine *m, struct pv_kvm *k,
                     struct pv_err *err)
{
    struct pv_registers r = {.general = {.rip = PV_USER_MIN, .rflags = 0x202}};
    struct pv_exit e;

    PV_TRY(pv_machine_pages_write(memory, PV_RING_UNKNOWN, err));
    PV_TRY(put_probe(memory, err));
    PV_TRY(pv_machine_new(m, memory, err));
    k->tsc_at = pv_kvm_tsc();
    k->ns_at = pv_now_mono_ns();
    PV_TRY(pv_machine_enter(m, &r, &e, err));
    if (e.kind != PV_EXIT_CALL || r.general.rip != PV_USER_MIN + PROBE_RETURN ||
        r.general.rax != PROBE_NR)
        return pv_refuse(err, ENOTSUP, "the probe guest did not come to its system call: %s",
                         e.kind == PV_EXIT_BROKEN  ? e.reason
                         : e.kind == PV_EXIT_FAULT ? pv_machine_vector_name(e.vector)
                                                   : "wrong registers");
    uint64_t guest = (r.general.r9 & UINT32_MAX) << 32 | (r.general.r8 & UINT32_MAX);
    k->same_tsc = guest >= k->tsc_at && guest <= pv_kvm_tsc();
    k->ring = m->at_kernel ? PV_RING_KERNEL : PV_RING_USER;
    return 0;
}

struct probe {
    struct pv_memory memory;
    struct pv_machine machine;
};

static void probe_done(struct probe *p)
{
    pv_machine_done(&p->machine);
    pv_memory_done(&p->memory);
}

static int probe(struct pv_kvm *k, struct pv_err *err)
{
    static struct probe p;

    p = (struct probe){{.fd = -1}, {.vm_fd = -1, .cpu_fd = -1, .kvm = k}};
    int rc = pv_memory_new(&p.memory, (uint64_t)16 * PV_PAGE, err);
    if (rc == 0)
        rc = run_probe(&p.memory, &p.machine, k, err);
    if (rc < 0 || !stands_by)
        probe_done(&p);
    return rc;
}

static void believe(struct pv_kvm *k)
{
    k->ring = told & KERNEL_RING ? PV_RING_KERNEL : PV_RING_USER;
    k->same_tsc = told & SAME_TSC;
    k->tsc_at = pv_kvm_tsc();
    k->ns_at = pv_now_mono_ns();
}

static void close_kvm(struct pv_kvm *k)
{
    pv_close_fd_(&k->fd);
    free(k->cpuid);
    *k = (struct pv_kvm){.fd = -1};
}

static int open_kvm(struct pv_kvm *k, struct pv_err *err)
{
    k->fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (k->fd < 0)
        return pv_fail(err, errno, "open /dev/kvm");
    PV_TRY(check_capabilities(k->fd, err));
    int run_bytes = ioctl(k->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (run_bytes < (int)sizeof(struct kvm_run))
        return pv_refuse(err, ENOTSUP, "this KVM's run area is too small");
    k->run_bytes = (size_t)run_bytes;
    PV_TRY(read_cpuid(k, err));
    PV_TRY(read_xsave(k, err));
    if (!told)
        return probe(k, err);
    believe(k);
    return 0;
}

int pv_kvm_get(const struct pv_kvm **ret, struct pv_err *err)
{
    static _Thread_local bool opening; /* the probe guest itself asks */

    if (opening) {
        *ret = &kvm;
        return 0;
    }
    (void)pthread_mutex_lock(&lock);
    if (!known) {
        opening = true;
        failure = PV_ERR_INIT;
        if (open_kvm(&kvm, &failure) == 0)
            failure.code = 0;
        else
            close_kvm(&kvm);
        opening = false;
        known = failure.code == 0; /* what is missing may come */
    }
    int rc = failure.code;
    if (rc < 0 && err)
        *err = failure;
    (void)pthread_mutex_unlock(&lock);
    *ret = &kvm;
    return rc;
}

void pv_kvm_believe(uint8_t word)
{
    (void)pthread_mutex_lock(&lock);
    told = word;
    (void)pthread_mutex_unlock(&lock);
}

int pv_kvm_stand_by(uint8_t *ret, struct pv_err *err)
{
    const struct pv_kvm *k;

    *ret = 0;
    (void)pthread_mutex_lock(&lock);
    stands_by = true;
    (void)pthread_mutex_unlock(&lock);
    PV_TRY(pv_kvm_get(&k, err));
    *ret = (uint8_t)(KNOWN | (k->ring == PV_RING_KERNEL ? KERNEL_RING : 0) |
                     (k->same_tsc ? SAME_TSC : 0));
    return 0;
}
