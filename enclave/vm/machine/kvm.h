/* /dev/kvm: what this machine's KVM offers, asked once per process. */
#pragma once
#include "pv/err.h"

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the code at the system call entry runs. */
enum pv_ring {
    PV_RING_KERNEL = 0, /* VMX, SVM */
    PV_RING_USER = 3,   /* KVM-PVM: syscall enters the stub without changing the ring */
    PV_RING_UNKNOWN     /* the probe's guest, which finds it out */
};

struct pv_kvm {
    int fd; /* /dev/kvm */
    size_t run_bytes;
    struct kvm_cpuid2 *cpuid; /* with its entries */
    uint64_t xcr0;            /* extended states the guest may use */
    uint32_t xsave_bytes;     /* size of the standard XSAVE area for xcr0 */
    enum pv_ring ring;
    bool same_tsc;          /* the guest's rdtsc counts what the host's does */
    uint64_t tsc_at, ns_at; /* both clocks at the probe: where calibration begins */
};

static inline uint64_t pv_kvm_tsc(void)
{
    uint32_t low;
    uint32_t high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* Opens and probes at the first call; the same answer ever after. Any thread. */
PV_MUST_CHECK int pv_kvm_get(const struct pv_kvm **ret, struct pv_err *err);

/* pv_vm_stand_by and pv_vm_believe. */
PV_MUST_CHECK int pv_kvm_stand_by(uint8_t *ret, struct pv_err *err);
void pv_kvm_believe(uint8_t word);
