/* The vCPU's state at its first entry against what VMX and SVM demand of a guest: Intel SDM vol. 3,
 * 27.3.1 (checks on the guest state area), AMD64 manual vol. 2, 15.5.1 (canonicalization and
 * consistency checks). KVM-PVM does not check most of it; other machines refuse the entry. */
#include "machine/machine.h"
#include "memory/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CR0_PE (1ull << 0)
#define CR0_NE (1ull << 5)
#define CR0_WP (1ull << 16)
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define CR4_RESERVED (~0x00ffffffull)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define EFER_RESERVED (~0xffffull)

static struct pv_memory memory;
static struct pv_machine machine;

static int canonical(uint64_t a)
{
    return (int64_t)(a << 16) >> 16 == (int64_t)a;
}

static void control_registers(void **state)
{
    const struct kvm_sregs *s = &machine.user;

    (void)state;
    assert_true(s->cr0 & CR0_PE && s->cr0 & CR0_PG && s->cr0 & CR0_NE);
    assert_true(s->cr0 & CR0_WP); /* else a shim at ring 0 could write what the program may not */
    assert_int_equal(s->cr0 >> 32, 0);
    assert_true(s->cr4 & CR4_PAE);
    assert_int_equal(s->cr4 & CR4_RESERVED, 0);
    assert_int_equal(s->efer & EFER_RESERVED, 0);
    assert_true(s->efer & EFER_LME && s->efer & EFER_LMA);
    assert_int_equal(s->cr3 % PV_PAGE, 0);
    assert_true(s->cr3 < memory.bytes);
}

static void code_and_stack(void **state)
{
    const struct kvm_sregs *s = &machine.user;

    (void)state;
    assert_int_equal(s->cs.type & 9, 9); /* code, accessed */
    assert_true(s->cs.s && s->cs.present && s->cs.l && !s->cs.db && s->cs.g);
    assert_int_equal(s->cs.dpl, 3);
    assert_int_equal(s->cs.selector & 3, 3);
    assert_true(s->ss.type == 3 || s->ss.type == 7);
    assert_true(s->ss.s && s->ss.present);
    assert_int_equal(s->ss.dpl, s->ss.selector & 3);
    assert_int_equal(s->ss.dpl, s->cs.dpl);
    assert_int_equal(s->cs.base, 0);
}

static void data_segments(void **state)
{
    const struct kvm_sregs *s = &machine.user;
    const struct kvm_segment *all[] = {&s->ds, &s->es, &s->fs, &s->gs};

    (void)state;
    for (int i = 0; i < 4; i++) {
        const struct kvm_segment *g = all[i];

        if (g->unusable)
            continue;
        assert_true(g->s && g->present && (g->type & 1));
        assert_true((g->type & 8) == 0 || (g->type & 2)); /* data, or readable code */
        assert_true(g->dpl >= (g->selector & 3));
        assert_true(canonical(g->base));
        assert_true(!g->g || (g->limit & 0xfff) == 0xfff);
    }
}

static void system_segments(void **state)
{
    const struct kvm_sregs *s = &machine.user;

    (void)state;
    assert_int_equal(s->tr.type, 11); /* a busy 64-bit TSS */
    assert_true(!s->tr.s && s->tr.present && !s->tr.unusable);
    assert_int_equal(s->tr.selector & 4, 0);
    assert_true(s->tr.g ? (s->tr.limit & 0xfff) == 0xfff : s->tr.limit <= 0xfffff);
    assert_true(s->tr.limit >= 0x67);
    assert_true(s->ldt.unusable || !s->ldt.present || s->ldt.type == 2);
    assert_true(canonical(s->gdt.base) && canonical(s->idt.base) && canonical(s->tr.base));
    assert_true(s->idt.limit >= 32 * 16 - 1);
}

/* The descriptors in memory say what the segment registers hold. */
static void descriptors_match(void **state)
{
    const uint64_t *gdt = pv_memory_at(&memory, PV_AT_GDT);
    const struct kvm_sregs *s = &machine.user;
    const struct kvm_segment *all[] = {&s->cs, &s->ss, &s->tr};

    (void)state;
    for (int i = 0; i < 3; i++) {
        uint64_t d = gdt[all[i]->selector / 8];
        /* the busy bit is set by loading; the descriptor is an available one */
        unsigned type = (unsigned)(d >> 40 & 15) | (i == 2 ? 2 : 0);

        assert_true((uint64_t)all[i]->selector + 7 <= s->gdt.limit);
        assert_int_equal(type, all[i]->type);
        assert_int_equal(d >> 45 & 3, all[i]->dpl);
        assert_int_equal(d >> 47 & 1, 1);
        assert_int_equal(d >> 53 & 1, all[i]->l);
    }
    for (unsigned v = 0; v < PV_VECTORS; v++) {
        const uint64_t *gate = (const uint64_t *)pv_memory_at(&memory, PV_AT_IDT) + 2 * (size_t)v;
        uint64_t at = (gate[0] & 0xffff) | (gate[0] >> 48 << 16) | gate[1] << 32;

        assert_int_equal(gate[0] >> 16 & 0xffff, 8); /* kernel code */
        assert_int_equal(gate[0] >> 40 & 31, 14);    /* 64-bit interrupt gate */
        assert_int_equal(gate[0] >> 47 & 1, 1);
        assert_true(at >= PV_AT_GATES && at < PV_AT_GATES + PV_PAGE);
    }
}

/* The program reaches neither tables nor gates, and no page is both writable and executable. */
static void monitor_pages_are_out_of_reach(void **state)
{
    const uint64_t hidden[] = {PV_AT_GDT, PV_AT_TSS, PV_AT_IDT, PV_AT_GATES, PV_AT_KSTACK};

    (void)state;
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        assert_int_equal(*pv_tables_find(&memory, hidden[i]) & PV_PTE_USER, 0);
    assert_int_equal(*pv_tables_find(&memory, PV_AT_ENTRY) & PV_PTE_WRITE, 0);
    for (uint64_t va = 0; va < PV_USER_MIN; va += PV_PAGE) {
        uint64_t entry = *pv_tables_find(&memory, va);

        assert_false((entry & PV_PTE_PRESENT) && (entry & PV_PTE_WRITE) && !(entry & PV_PTE_NX));
        if (entry & PV_PTE_PRESENT)
            assert_int_equal(entry & PV_PTE_ADDRESS, va);
    }
    assert_int_equal(*pv_tables_find(&memory, PV_PT_BASE) & PV_PTE_PRESENT, 0);
}

/* Ports 0 to 0xff in the TSS's bitmap, of which no more than one is the program's. */
static void ports_are_the_gates(void **state)
{
    const enum pv_ring rings[] = {PV_RING_USER, PV_RING_KERNEL};
    struct pv_err err = PV_ERR_INIT;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pv_memory other;
        unsigned open = 0;

        assert_int_equal(pv_memory_new(&other, 1 << 20, &err), 0);
        assert_int_equal(pv_machine_pages_write(&other, rings[i], &err), 0);
        const uint8_t *tss = pv_memory_at(&other, PV_AT_TSS);
        const uint8_t *bitmap = tss + (tss[0x66] | tss[0x67] << 8);
        for (unsigned port = 0; port < 0x100; port++)
            open += !(bitmap[port / 8] >> port % 8 & 1);
        assert_int_equal(open, rings[i] == PV_RING_USER);
        pv_memory_done(&other);
    }
}

static int set_up(void **state)
{
    const struct pv_kvm *kvm;
    struct pv_err err = PV_ERR_INIT;

    (void)state;
    if (pv_kvm_get(&kvm, &err) < 0 || pv_memory_new(&memory, 1 << 20, &err) < 0 ||
        pv_machine_pages_write(&memory, kvm->ring, &err) < 0 ||
        pv_machine_new(&machine, &memory, &err) < 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pv_machine_done(&machine);
    pv_memory_done(&memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_registers),   cmocka_unit_test(code_and_stack),
        cmocka_unit_test(data_segments),       cmocka_unit_test(system_segments),
        cmocka_unit_test(descriptors_match),   cmocka_unit_test(monitor_pages_are_out_of_reach),
        cmocka_unit_test(ports_are_the_gates),
    };
    const struct pv_kvm *kvm;
    struct pv_err err = PV_ERR_INIT;

    if (pv_kvm_get(&kvm, &err) < 0) {
        printf("skipped: micro-VMs cannot run here: %s\n", err.text);
        return 77;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
