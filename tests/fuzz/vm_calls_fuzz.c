/* The system call layer of micro-VMs, without KVM: random calls with random arguments and pointers
 * into, across and out of a small guest memory. Whatever a program asks for, the monitor must
 * answer with a result, never with an error of its own. */
#include "calls/calls.h"
#include "calls/host.h"
#include "thread/threads.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CALLS_MAX = 64, AREA = 0x10000000, AREA_PAGES = 8 };

static char root[] = "/tmp/vm-calls-fuzz-XXXXXX";
static int root_fd = -1;

static void remove_root(void)
{
    (void)unlinkat(root_fd, "file", 0);
    (void)unlinkat(root_fd, "dir", AT_REMOVEDIR);
    (void)rmdir(root);
}

static void require(int holds)
{
    if (!holds)
        abort();
}

static void make_root(void)
{
    require(mkdtemp(root) != NULL);
    root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    require(root_fd >= 0);
    int fd = openat(root_fd, "file", O_CREAT | O_WRONLY, 0644);
    require(fd >= 0 && write(fd, "some text\n", 10) == 10);
    close(fd);
    require(mkdirat(root_fd, "dir", 0755) == 0);
    atexit(remove_root);
}

struct input {
    const uint8_t *p, *end;
};

static uint64_t take(struct input *in, size_t n)
{
    uint64_t v = 0;

    for (; n > 0 && in->p < in->end; n--)
        v = v << 8 | *in->p++;
    return v;
}

/* An argument: small numbers and pointers that are nearly right get further than noise. */
static uint64_t argument(struct input *in)
{
    switch (take(in, 1) % 8) {
    case 0:
        return 0;
    case 1:
        return take(in, 1);
    case 2:
        return (uint64_t) - (int64_t)take(in, 1);
    case 3:
        return AREA + take(in, 2) % (AREA_PAGES * PV_PAGE);
    case 4:
        return AREA + AREA_PAGES * PV_PAGE - take(in, 1);
    case 5:
        return AREA + (take(in, 1) % 16) * PV_PAGE;
    case 6:
        return take(in, 4);
    default:
        return take(in, 8);
    }
}

static const struct pv_vm_call nothing = {0};

static struct pv_vm *make_vm(void)
{
    struct pv_files_spec files = {.root_fd = root_fd,
                                  .exe = "/file",
                                  .uid = 1000,
                                  .gid = 1000,
                                  .umask = 022,
                                  .limits = {.tmp_bytes = 1 << 20, .descriptors = 64}};
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm *vm = calloc(1, sizeof *vm);
    struct pv_mapping w = {.at = AREA,
                           .len = AREA_PAGES * PV_PAGE,
                           .prot = PROT_READ | PROT_WRITE,
                           .flags = MAP_PRIVATE | MAP_FIXED,
                           .name = ""};

    require(vm != NULL);
    vm->machine.vm_fd = vm->machine.cpu_fd = -1;
    vm->limits = (struct pv_vm_limits){
        .output_bytes = 1 << 16, .stderr_bytes = 1 << 16, .threads = 8, .descriptors = 64};
    vm->process.next_tid = PV_PID;
    vm->process.descriptor_limit = 64;
    vm->phase = PV_VM_RUNNING;
    vm->call = &nothing;
    require(pv_memory_new(&vm->memory, 2 << 20, &err) == 0);
    require(pv_space_init(&vm->space, &vm->memory, &err) == 0);
    vm->space.brk_start = vm->space.brk = 0x400000;
    require(pv_space_map(&vm->space, &w) == AREA);
    pv_host_callbacks(vm);
    files.host = &vm->files_host;
    files.ctx = vm;
    require(pv_files_new(&files, &vm->files, &err) == 0);
    require(pv_threads_add(vm) != NULL);
    return vm;
}

static void fill_area(struct pv_vm *vm, const uint8_t *data, size_t size)
{
    for (uint64_t off = 0; size && off < AREA_PAGES * PV_PAGE; off += size)
        (void)pv_copy_out(&vm->space, AREA + off, data,
                          size < AREA_PAGES * PV_PAGE - off ? size : AREA_PAGES * PV_PAGE - off);
}

static void one_call(struct pv_vm *vm, struct input *in)
{
    struct pv_thread *t = pv_threads_current(vm);

    t->nr = take(in, 2) % PV_CALLS_MAX;
    for (int i = 0; i < PV_CALL_ARGS; i++)
        t->args[i] = argument(in);
    t->r.general.rsp = argument(in);
    t->again = false;
    t->until_ns = t->progress = 0;
    int tid = t->tid;
    int64_t rc = pv_call_answer(vm, t);
    /* a result, an errno, or one of the two that are none */
    require(rc >= -4095 || rc == PV_CALL_WAIT || rc == PV_CALL_DONE);
    t = pv_threads_find(vm, tid);
    if (t && rc == PV_CALL_WAIT) {
        t->again = true;
        (void)pv_call_answer(vm, t); /* as when something has changed */
    }
    if (t && !vm->ended)
        (void)pv_signal_deliver(vm, t);
    vm->memory.now.n = 0;
    vm->memory.now.all = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};

    if (root_fd < 0)
        make_root();
    struct pv_vm *vm = make_vm();
    fill_area(vm, data, size);
    for (int i = 0; i < CALLS_MAX && in.p < in.end && !vm->ended; i++)
        one_call(vm, &in);
    pv_files_free(vm->files);
    pv_threads_done(&vm->process);
    pv_space_done(&vm->space);
    pv_memory_done(&vm->memory);
    free(vm->out);
    free(vm);
    return 0;
}
