/* From a number to an answer, and what is said about it. */
#include "calls/calls.h"

#include "pv/clock.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

enum { TRACE_BYTES = 512, TRACE_PATH_BYTES = 128 };

struct line {
    char text[TRACE_BYTES];
    size_t len;
};

static void say(struct line *l, const char *fmt, ...) PV_PRINTF(2, 3);
static void say(struct line *l, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(l->text + l->len, sizeof l->text - l->len, fmt, ap);
    va_end(ap);
    l->len += n > 0 ? (size_t)n : 0;
    if (l->len >= sizeof l->text)
        l->len = sizeof l->text - 1;
}

static void say_path(struct pv_vm *vm, struct line *l, uint64_t at)
{
    char path[TRACE_PATH_BYTES] = {0};
    int64_t n = pv_copy_string(&vm->space, path, at, sizeof path - 1);

    if (n == -EFAULT)
        say(l, "%#llx", (unsigned long long)at);
    else
        say(l, "\"%s\"%s", path, n < 0 ? "..." : "");
}

static void say_result(struct line *l, int64_t rc)
{
    if (rc == PV_CALL_DONE)
        return;
    if (rc < 0 && rc > -4096)
        say(l, " = -%s (%s)", strerrorname_np((int)-rc) ? strerrorname_np((int)-rc) : "?",
            strerror((int)-rc));
    else if (rc > 0xffffff || rc < 0)
        say(l, " = %#llx", (unsigned long long)rc);
    else
        say(l, " = %lld", (long long)rc);
}

static void trace(struct pv_vm *vm, int tid, const struct pv_call_entry *e, uint64_t nr,
                  const uint64_t *a, int64_t rc)
{
    struct line l = {.len = 0};

    if (e)
        say(&l, "%s(", e->name);
    else
        say(&l, "syscall_%llu(", (unsigned long long)nr);
    for (const char *s = e ? e->shape : ""; *s; s++, a++) {
        say(&l, "%s", s == e->shape ? "" : ", ");
        if (*s == 's')
            say_path(vm, &l, *a);
        else if (*s == 'x')
            say(&l, "%#llx", (unsigned long long)*a);
        else if (*s == 'u')
            say(&l, "%llu", (unsigned long long)*a);
        else
            say(&l, "%d", (int)*a);
    }
    say(&l, ")");
    say_result(&l, rc);
    vm->hooks.trace(vm->hooks.ctx, tid, l.text);
}

bool pv_call_in_vain(struct pv_vm *vm, uint64_t nr)
{
    uint16_t shown = nr > UINT16_MAX ? UINT16_MAX : (uint16_t)nr;

    for (unsigned i = 0; i < vm->n_unknown; i++)
        if (vm->unknown[i] == shown)
            return false;
    if (vm->n_unknown < PV_VM_UNKNOWN_MAX)
        vm->unknown[vm->n_unknown++] = shown;
    return true;
}

static void note_unknown(struct pv_vm *vm, uint64_t nr)
{
    if (pv_call_in_vain(vm, nr))
        pv_vm_tell(vm, PV_VM_EVENT_UNKNOWN, "", "", (int64_t)nr);
}

int64_t pv_call_answer(struct pv_vm *vm, struct pv_thread *t)
{
    const struct pv_call_entry *e = pv_call_entry(t->nr);
    uint64_t nr = t->nr;
    uint64_t args[PV_CALL_ARGS];
    int tid = t->tid;
    int64_t rc = -ENOSYS;

    memcpy(args, t->args, sizeof args);
    if (e)
        rc = e->fn(vm, t, args);
    else
        note_unknown(vm, nr);
    if (rc == -ENOMEM && (nr == SYS_mmap || nr == SYS_mremap)) /* of others it may mean an address */
        vm->wanted_memory = true;
    if (vm->hooks.trace && rc != PV_CALL_WAIT)
        trace(vm, tid, e, nr, args, rc);
    return rc;
}

uint64_t pv_call_until(uint64_t timeout_ns)
{
    uint64_t now = pv_now_mono_ns();

    return timeout_ns > UINT64_MAX - now ? UINT64_MAX : now + timeout_ns;
}

int pv_call_timespec(struct pv_vm *vm, uint64_t at, uint64_t *ret_ns)
{
    int64_t ts[2];

    if (pv_copy_in(&vm->space, ts, at, sizeof ts) < 0)
        return -EFAULT;
    if (ts[0] < 0 || ts[1] < 0 || ts[1] >= (int64_t)PV_NS_PER_S)
        return -EINVAL;
    if ((uint64_t)ts[0] >= UINT64_MAX / PV_NS_PER_S / 2)
        *ret_ns = UINT64_MAX / 2;
    else
        *ret_ns = (uint64_t)ts[0] * PV_NS_PER_S + (uint64_t)ts[1];
    return 0;
}

int pv_call_path(struct pv_vm *vm, uint64_t at, char ret[4096])
{
    return (int)pv_copy_string(&vm->space, ret, at, 4096);
}

int64_t pv_call_files(int64_t rc)
{
    return rc == PV_FILES_WAIT ? PV_CALL_WAIT : rc;
}

int64_t pv_call_out(struct pv_vm *vm, int64_t rc, uint64_t to, const void *from, uint64_t n)
{
    if (rc >= 0 && pv_copy_out(&vm->space, to, from, n) < 0)
        return -EFAULT;
    return rc;
}
