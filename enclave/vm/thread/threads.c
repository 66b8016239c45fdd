#include "thread/threads.h"

#include "pv/own.h"

#include <errno.h>
#include <string.h>

static int grow(struct pv_process *p)
{
    unsigned cap = p->cap_threads ? 2 * p->cap_threads : 8;

    if (p->n_threads < p->cap_threads)
        return 0;
    struct pv_thread **v = reallocarray(p->threads, cap, sizeof *v);
    if (!v)
        return -ENOMEM;
    p->threads = v;
    p->cap_threads = cap;
    return 0;
}

struct pv_thread *pv_threads_add(struct pv_vm *vm)
{
    struct pv_process *p = &vm->process;
    struct pv_thread *t;

    if (p->n_threads >= vm->limits.threads) {
        errno = EAGAIN;
        return NULL;
    }
    t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
    if (!t || grow(p) < 0) {
        free(t);
        errno = ENOMEM;
        return NULL;
    }
    memset(t, 0, sizeof *t);
    t->tid = p->next_tid++;
    p->threads[p->n_threads++] = t;
    return t;
}

void pv_threads_remove(struct pv_vm *vm, struct pv_thread *t)
{
    struct pv_process *p = &vm->process;

    for (unsigned i = 0; i < p->n_threads; i++) {
        if (p->threads[i] != t)
            continue;
        memmove(p->threads + i, p->threads + i + 1, (p->n_threads - i - 1) * sizeof *p->threads);
        p->n_threads--;
        if (p->current > i || p->current == p->n_threads)
            p->current = p->current ? p->current - 1 : 0;
        break;
    }
    if (vm->loaded == t)
        vm->loaded = NULL;
    free(t);
}

struct pv_thread *pv_threads_find(struct pv_vm *vm, int tid)
{
    for (unsigned i = 0; i < vm->process.n_threads; i++)
        if (vm->process.threads[i]->tid == tid)
            return vm->process.threads[i];
    return NULL;
}

void pv_threads_done(struct pv_process *p)
{
    for (unsigned i = 0; i < p->n_threads; i++)
        free(p->threads[i]);
    free(p->threads);
    *p = (struct pv_process){0};
}

/* Brings the number of allocated threads to n. */
static int resize(struct pv_process *p, unsigned n)
{
    while (p->n_threads > n)
        free(p->threads[--p->n_threads]);
    while (p->n_threads < n) {
        struct pv_thread *t;

        if (grow(p) < 0)
            return -ENOMEM;
        t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
        if (!t)
            return -ENOMEM;
        p->threads[p->n_threads++] = t;
    }
    return 0;
}

int pv_threads_copy(struct pv_process *p, const struct pv_process *from, struct pv_err *err)
{
    struct pv_thread **threads;
    unsigned cap;

    if (resize(p, from->n_threads) < 0)
        return pv_fail(err, ENOMEM, "bring the threads back");
    for (unsigned i = 0; i < p->n_threads; i++)
        memcpy(p->threads[i], from->threads[i], sizeof *p->threads[i]);
    threads = p->threads;
    cap = p->cap_threads;
    *p = *from;
    p->threads = threads;
    p->cap_threads = cap;
    return 0;
}

struct pv_thread *pv_threads_current(struct pv_vm *vm)
{
    return vm->process.n_threads ? vm->process.threads[vm->process.current] : NULL;
}
