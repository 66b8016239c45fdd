/* The initial process image: segments, stack, auxiliary vector (System V ABI for AMD64, 3.4.1). */
#include "program/elf.h"
#include "program/program.h"

#include "pv/buf.h"
#include "pv/id.h"
#include "pv/own.h"

#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>

enum { RANDOM_BYTES = 16, HWCAP2_FSGSBASE = 2, FRAME_BYTES = 1024 };

/* Text that grows towards the stack's top, and the pointers to it. */
struct layout {
    struct pv_buf text; /* what the text area will hold */
    uint64_t *pointers; /* owned: offsets into the text, PV_ARGS_MAX + 2 */
    unsigned n;
    unsigned argc;
};

static void add(struct layout *l, const char *s)
{
    if (l->n >= PV_ARGS_MAX) {
        l->text.failed = true;
        return;
    }
    l->pointers[l->n++] = l->text.len;
    pv_buf_raw(&l->text, s, strlen(s) + 1);
}

static void add_args(struct layout *l, const struct pv_vm_spec *spec, const struct pv_executable *x)
{
    const char *const *argv = spec->argv;

    if (*x->script[0]) {
        add(l, x->script[0]);
        if (*x->script[1])
            add(l, x->script[1]);
        add(l, spec->program);
        argv += *argv ? 1 : 0;
    }
    for (; *argv; argv++)
        add(l, *argv);
    l->argc = l->n;
}

static unsigned count(const char *const *names)
{
    unsigned n = 0;

    while (names && names[n])
        n++;
    return n;
}

/* Placeholders that the variables of a run replace. Their value is found again in the memory of a
 * program that has copied its environment. */
static void add_room(struct layout *l, struct pv_program *p, const struct pv_vm_spec *spec)
{
    uint8_t random[8];
    char line[128];
    size_t start = l->text.len;
    unsigned numbers = count(spec->env_numbers);
    unsigned names = count(spec->env_names);
    uint32_t v;

    if (!spec->env_bytes || !spec->env_count)
        return;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        l->text.failed = true;
    pv_hex(random, sizeof random, p->canary);
    memcpy(&v, random, sizeof v);
    /* rare as a number, and no burden for a program that allocates as much */
    p->number = 5000000u + v % 4000000u;
    for (unsigned i = 0; i < spec->env_count; i++) {
        if (i < numbers)
            (void)snprintf(line, sizeof line, "%.60s=%u", spec->env_numbers[i], p->number);
        else if (i - numbers < names)
            (void)snprintf(line, sizeof line, "%.60s=%s", spec->env_names[i - numbers], p->canary);
        else
            (void)snprintf(line, sizeof line, "PROVOST_%u=%s", i, p->canary);
        add(l, line);
    }
    while (l->text.len - start < spec->env_bytes && !l->text.failed)
        pv_buf_u8(&l->text, 0);
    p->room_count = spec->env_count;
    p->room_len = l->text.len - start;
}

static int gather(struct layout *l, struct pv_program *p, const struct pv_vm_spec *spec,
                  const struct pv_executable *x, struct pv_err *err)
{
    l->pointers = calloc(PV_ARGS_MAX + 2, sizeof *l->pointers);
    if (!l->pointers)
        return pv_fail(err, ENOMEM, "lay out the arguments");
    add_args(l, spec, x);
    p->args_len = l->text.len;
    for (const char *const *e = spec->env; *e; e++)
        add(l, *e);
    p->env_len = l->text.len - p->args_len;
    add_room(l, p, spec);
    if (l->text.failed || l->n >= PV_ARGS_MAX)
        return pv_refuse(err, E2BIG,
                         "arguments and environment are larger than %d bytes or %d words",
                         PV_ARGS_BYTES_MAX, PV_ARGS_MAX);
    return 0;
}

static void aux(struct pv_program *p, uint64_t key, uint64_t value)
{
    p->auxv[p->n_auxv++] = key;
    p->auxv[p->n_auxv++] = value;
}

static uint64_t hwcap(void)
{
    unsigned a;
    unsigned b;
    unsigned c;
    unsigned d = 0;

    (void)__get_cpuid(1, &a, &b, &c, &d);
    return d;
}

static void fill_auxv(struct pv_vm *vm, const struct pv_elf *e, uint64_t base, uint64_t interp,
                      uint64_t platform, uint64_t exe)
{
    struct pv_program *p = &vm->program;
    const struct pv_process *ids = &vm->process;

    aux(p, AT_HWCAP, hwcap());
    aux(p, AT_PAGESZ, PV_PAGE);
    aux(p, AT_CLKTCK, 100);
    aux(p, AT_PHDR, e->headers ? base + e->headers : 0);
    aux(p, AT_PHENT, sizeof(Elf64_Phdr));
    aux(p, AT_PHNUM, e->n_headers);
    aux(p, AT_BASE, interp);
    aux(p, AT_FLAGS, 0);
    aux(p, AT_ENTRY, base + e->entry);
    aux(p, AT_UID, ids->uid);
    aux(p, AT_EUID, ids->uid);
    aux(p, AT_GID, ids->gid);
    aux(p, AT_EGID, ids->gid);
    aux(p, AT_SECURE, 0);
    aux(p, AT_RANDOM, p->random);
    aux(p, AT_HWCAP2, HWCAP2_FSGSBASE);
    aux(p, AT_EXECFN, exe);
    aux(p, AT_PLATFORM, platform);
    aux(p, 51 /* AT_MINSIGSTKSZ */,
        FRAME_BYTES + (vm->has_machine ? vm->machine.kvm->xsave_bytes : PV_XSAVE_BYTES));
    aux(p, AT_NULL, 0);
}

static int put(struct pv_vm *vm, uint64_t at, const void *from, size_t len, struct pv_err *err)
{
    if (pv_copy_out(&vm->space, at, from, len) < 0)
        return pv_refuse(err, ENOMEM, "arguments and environment do not fit the function's memory");
    return 0;
}

/* Words of the frame: argc, pointers to arguments, 0, to variables, 0, auxiliary vector. */
static int put_frame(struct pv_vm *vm, const struct layout *l, uint64_t text, struct pv_err *err)
{
    struct pv_program *p = &vm->program;
    size_t words = 1 + l->n + 2 + p->n_auxv;
    pv_autofree uint64_t *w = calloc(words, sizeof *w);
    size_t n = 0;

    if (!w)
        return pv_fail(err, ENOMEM, "lay out the stack");
    w[n++] = l->argc;
    for (unsigned i = 0; i < l->n; i++) {
        if (i == l->argc)
            n++;
        w[n++] = text + l->pointers[i];
    }
    n = 1 + l->n + 2;
    memcpy(w + n, p->auxv, p->n_auxv * sizeof *w);
    p->stack = (p->stack - words * sizeof *w) & ~15ull;
    p->room_pointers = p->stack + (1 + l->n + 1 - p->room_count) * sizeof *w;
    return put(vm, p->stack, w, words * sizeof *w, err);
}

static int put_stack(struct pv_vm *vm, const struct layout *l, const struct pv_elf *e,
                     uint64_t base, uint64_t interp, const struct pv_executable *x,
                     struct pv_err *err)
{
    static const char platform[] = "x86_64";
    struct pv_program *p = &vm->program;
    uint64_t exe = PV_STACK_TOP - 16 - (strlen(x->path) + 1);
    uint64_t text = exe - l->text.len;
    uint64_t name = (text - sizeof platform) & ~15ull;

    p->args = text;
    p->env = text + p->args_len;
    p->room = p->room_len ? p->env + p->env_len : 0;
    p->random = name - RANDOM_BYTES;
    p->stack = p->random;
    PV_TRY(put(vm, exe, x->path, strlen(x->path) + 1, err));
    PV_TRY(put(vm, text, l->text.data ? (const void *)l->text.data : "", l->text.len, err));
    PV_TRY(put(vm, name, platform, sizeof platform, err));
    PV_TRY(pv_program_random(vm, err));
    fill_auxv(vm, e, base, interp, name, exe);
    return put_frame(vm, l, text, err);
}

static int make_stack(struct pv_vm *vm, bool executable, struct pv_err *err)
{
    struct pv_mapping w = {.at = PV_STACK_TOP - PV_STACK_BYTES,
                           .len = PV_STACK_BYTES,
                           .prot = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0),
                           .flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
                           .name = "[stack]"};

    if (pv_space_map(&vm->space, &w) < 0)
        return pv_fail(err, ENOMEM, "make the stack");
    return 0;
}

static int load_interp(struct pv_vm *vm, int root_fd, const char *path, uint64_t *ret_entry,
                       struct pv_err *err)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    pv_autoclose int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof how);
    struct pv_elf e;

    if (fd < 0)
        return pv_fail(err, errno, "open the program's interpreter '%s'", path);
    PV_TRY(pv_elf_read(&e, fd, path, err));
    if (e.fixed)
        return pv_refuse(err, ENOEXEC, "the interpreter '%s' wants addresses of its own", path);
    PV_TRY(pv_elf_load(&e, fd, path, PV_INTERP_BASE, &vm->space, err));
    *ret_entry = PV_INTERP_BASE + e.entry;
    return 0;
}

static void set_name(struct pv_program *p)
{
    const char *slash = strrchr(p->exe, '/');

    (void)snprintf(p->name, sizeof p->name, "%s", slash ? slash + 1 : p->exe);
}

int pv_program_load(struct pv_vm *vm, const struct pv_vm_spec *spec, const struct pv_executable *x,
                    struct pv_err *err)
{
    struct pv_elf e;
    pv_autobuf struct pv_buf text;
    struct layout l = {0};
    struct pv_program *p = &vm->program;

    pv_buf_init(&text, PV_ARGS_BYTES_MAX);
    PV_TRY(pv_elf_read(&e, x->fd, x->path, err));
    uint64_t base = e.fixed ? 0 : PV_PIE_BASE;
    memcpy(p->exe, x->real, sizeof p->exe);
    set_name(p);
    PV_TRY(pv_elf_load(&e, x->fd, p->exe, base, &vm->space, err));
    vm->space.brk_start = vm->space.brk = base + e.end;
    p->entry = base + e.entry;
    if (*e.interp)
        PV_TRY(load_interp(vm, spec->root_fd, e.interp, &p->entry, err));
    PV_TRY(make_stack(vm, e.exec_stack, err));
    l.text = text;
    int rc = gather(&l, p, spec, x, err);
    if (rc == 0)
        rc = put_stack(vm, &l, &e, base, *e.interp ? PV_INTERP_BASE : 0, x, err);
    text = l.text;
    free(l.pointers);
    return rc;
}
