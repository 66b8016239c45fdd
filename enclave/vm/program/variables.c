/* What differs from run to run though the program is the same: its variables and AT_RANDOM. */
#include "program/program.h"

#include "pv/own.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

int pv_program_variables(struct pv_vm *vm, const char *env, size_t len, struct pv_err *err)
{
    const struct pv_program *p = &vm->program;
    pv_autofree uint64_t *pointers = NULL;
    unsigned n = 0;

    if (!p->room)
        return len ? pv_refuse(err, E2BIG, "the image has no room for variables") : 0;
    if (len >= p->room_len)
        return pv_refuse(err, E2BIG, "variables of %zu bytes, the image has room for %zu", len,
                         (size_t)p->room_len);
    if (len && env[len - 1])
        return pv_refuse(err, EINVAL, "the run's variables are malformed");
    pointers = calloc(p->room_count + 1, sizeof *pointers);
    if (!pointers)
        return pv_fail(err, ENOMEM, "hand over the variables");
    for (size_t off = 0; off < len; off += strlen(env + off) + 1) {
        if (n == p->room_count)
            return pv_refuse(err, E2BIG, "more than %u variables", p->room_count);
        pointers[n++] = p->room + off;
    }
    static const char nul;
    size_t words = n + 1;
    if (!vm->image) /* a program that begins looks for its auxiliary vector behind the room */
        for (words = p->room_count; n < words;)
            pointers[n++] = p->room + len;
    if (pv_copy_out(&vm->space, p->room, env, len) < 0 ||
        pv_copy_out(&vm->space, p->room + len, &nul, 1) < 0 ||
        pv_copy_out(&vm->space, p->room_pointers, pointers, words * sizeof *pointers) < 0)
        return pv_refuse(err, EFAULT, "the program has taken its environment away");
    return 0;
}

int pv_program_random(struct pv_vm *vm, struct pv_err *err)
{
    uint8_t random[16];

    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return pv_fail(err, errno, "draw randomness");
    if (pv_copy_out(&vm->space, vm->program.random, random, sizeof random) < 0)
        return pv_refuse(err, EFAULT, "the program has taken its stack away");
    return 0;
}

/* A word that points into the placeholders' text, or is the length that they tell. */
static bool comes_of_room(const struct pv_program *p, uint64_t word)
{
    return (word >= p->room && word < p->room + p->room_len) || (uint32_t)word == p->number ||
           word >> 32 == p->number;
}

static bool any_comes_of_room(const struct pv_program *p, const uint64_t *words, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (comes_of_room(p, words[i]))
            return true;
    return false;
}

/* What it has in registers only, with which it reads. */
static bool thread_has_room(const struct pv_program *p, const struct pv_thread *t)
{
    const struct kvm_regs *g = &t->r.general;
    const uint64_t kept[] = {g->rbx, g->rbp, g->r12, g->r13, g->r14, g->r15};

    return any_comes_of_room(p, t->args, PV_CALL_ARGS) ||
           any_comes_of_room(p, kept, sizeof kept / sizeof *kept);
}

static bool page_has_room(const struct pv_vm *vm, const uint64_t *entry)
{
    const struct pv_program *p = &vm->program;

    if (!(*entry & PV_PTE_FRAME) || (*entry & (PV_PTE_WRITE | PV_PTE_PRESENT)) == 0)
        return false;
    const void *page = pv_memory_at(&vm->memory, *entry & PV_PTE_ADDRESS);
    return memmem(page, PV_PAGE, p->canary, strlen(p->canary)) ||
           any_comes_of_room(p, page, PV_PAGE / sizeof(uint64_t));
}

static bool range_has_room(const struct pv_vm *vm, uint64_t start, uint64_t end)
{
    for (uint64_t va = start; va < end;) {
        const uint64_t *entry = pv_tables_find(&vm->memory, va);
        uint64_t stop = pv_tables_next(&vm->memory, va);

        for (; entry && va < stop && va < end; va += PV_PAGE, entry++)
            if (page_has_room(vm, entry))
                return true;
        va = stop;
    }
    return false;
}

bool pv_program_took_room(const struct pv_vm *vm)
{
    const struct pv_program *p = &vm->program;

    if (!p->room)
        return false;
    for (unsigned i = 0; i < vm->process.n_threads; i++)
        if (thread_has_room(p, vm->process.threads[i]))
            return true;
    for (unsigned i = 0; i < vm->space.n_areas; i++) {
        const struct pv_area *a = &vm->space.areas[i];
        uint64_t end = a->end;

        if (!(a->prot & PROT_WRITE))
            continue;
        if (a->start <= p->stack && p->stack < a->end)
            end = pv_page_down(p->stack); /* the block itself begins there */
        if (range_has_room(vm, a->start, end))
            return true;
    }
    return false;
}
