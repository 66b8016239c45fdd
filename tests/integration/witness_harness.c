#include "witness_harness.h"

#include <sched.h>
#include <stdlib.h>

struct log_of log_of;
char root[64];
char bpffs[80];
struct pv_probe *probe;
bool hold;
uint32_t present;

void forget(void)
{
    for (size_t i = 0; i < log_of.n; i++)
        pv_buf_done(&log_of.bytes[i]);
    log_of.n = 0;
}

/* With PV_WITNESS_DUMP set, what was collected is printed: for whoever wonders why a test fails. */
static void dump(void)
{
    for (size_t i = 0; getenv("PV_WITNESS_DUMP") && i < log_of.n; i++) {
        const struct pv_event *e = &log_of.e[i];
        const struct pv_kind_schema *schema = pv_kind_schema(e->kind);

        fprintf(stderr, "%s", schema->name);
        for (unsigned k = 0; k < e->n; k++)
            if (schema->fields[k].type == PV_F_U64)
                fprintf(stderr, " %s=%ju", schema->fields[k].name, (uintmax_t)e->v[k].u64);
            else
                fprintf(stderr, " %s=%.*s", schema->fields[k].name, (int)e->v[k].len,
                        (const char *)e->v[k].bytes);
        fputc('\n', stderr);
    }
}

void collect(bool release)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_event e;
    int rc = 0;

    while ((rc = pv_probe_next(probe, &e, &err)) > 0) {
        assert_true(log_of.n < EVENTS_MAX);
        struct pv_buf *b = &log_of.bytes[log_of.n];

        pv_buf_init(b, PV_EVENT_MAX);
        rc = pv_event_encode(&e, b, &err);
        if (rc < 0)
            fail_msg("kind %u: %s", e.kind, err.text);
        assert_int_equal(pv_event_decode(b->data, b->len, &log_of.e[log_of.n], &err), 0);
        log_of.n++;
    }
    if (rc < 0)
        fail_msg("%s", err.text);
    if (release)
        pv_probe_release(probe);
    dump();
}

void text_of(size_t i, const char *field, char out[TEXT_MAX])
{
    pv_event_get_text(&log_of.e[i], field, out, TEXT_MAX);
}

uint64_t number_of(size_t i, const char *field)
{
    return pv_event_get_u64(&log_of.e[i], field);
}

bool text_is(size_t i, const char *field, const char *want)
{
    char text[TEXT_MAX];

    text_of(i, field, text);
    return strcmp(text, want) == 0;
}

/* Index of the next event of that kind from `from` on, or -1. */
long next_of(size_t from, unsigned kind)
{
    for (size_t i = from; i < log_of.n; i++)
        if (log_of.e[i].kind == kind)
            return (long)i;
    return -1;
}

long with_text(unsigned kind, const char *field, const char *want)
{
    for (long i = next_of(0, kind); i >= 0; i = next_of((size_t)i + 1, kind))
        if (text_is((size_t)i, field, want))
            return i;
    return -1;
}

long with_number(unsigned kind, const char *field, uint64_t want)
{
    for (long i = next_of(0, kind); i >= 0; i = next_of((size_t)i + 1, kind))
        if (number_of((size_t)i, field) == want)
            return i;
    return -1;
}

size_t count_of(unsigned kind, const char *field, uint64_t want)
{
    size_t n = 0;

    for (long i = next_of(0, kind); i >= 0; i = next_of((size_t)i + 1, kind))
        n += number_of((size_t)i, field) == want;
    return n;
}

long edge(unsigned kind, uint64_t proc, uint64_t object, size_t from)
{
    for (long i = next_of(from, kind); i >= 0; i = next_of((size_t)i + 1, kind))
        if (number_of((size_t)i, "object") == object &&
            (!proc || number_of((size_t)i, "proc") == proc))
            return i;
    return -1;
}

const char *at(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *out = paths[next++ % 4];

    snprintf(out, sizeof paths[0], "%s/%s", root, name);
    return out;
}

/* The object announced under that path; checks it against stat. */
uint64_t object_at(const char *path)
{
    long i = with_text(PV_K_OBJECT, "path", path);
    struct stat st;

    if (i < 0)
        fail_msg("no object '%s'", path);
    if (stat(path, &st) == 0) {
        assert_int_equal(number_of((size_t)i, "ino"), st.st_ino);
        assert_int_equal(number_of((size_t)i, "dev"), st.st_dev);
    }
    return number_of((size_t)i, "object");
}

void put_file(const char *name, const char *text)
{
    pv_autoclose int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* Field 22 of /proc/PID/stat; a zombie has one too. */
static uint64_t start_ticks_of(pid_t pid)
{
    char path[64];
    unsigned long long ticks = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f,
                            "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
                            "%*d %*d %*d %*d %*d %llu",
                            &ticks),
                     1);
    (void)fclose(f);
    return ticks;
}

uint64_t last_start_ticks;

static pid_t launch(const char *program, va_list ap)
{
    const char *argv[16] = {program};

    for (size_t n = 1; n < 15 && (argv[n] = va_arg(ap, const char *)); n++)
        ;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        /* the host's own noise: must not be recorded */
        int fd = open("/etc/hostname", O_RDONLY | O_CLOEXEC);
        char c;

        if (chdir(root) != 0 || (fd >= 0 && read(fd, &c, 1) < 0))
            _exit(126);
        execv(program, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    last_start_ticks = start_ticks_of(pid);
    return pid;
}

pid_t start(const char *program, ...)
{
    va_list ap;

    va_start(ap, program);
    pid_t pid = launch(program, ap);
    va_end(ap);
    return pid;
}

pid_t run(const char *program, ...)
{
    int status = 0;
    va_list ap;

    va_start(ap, program);
    pid_t pid = launch(program, ap);
    va_end(ap);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return pid;
}

int open_probe(uint32_t ring_bytes, struct pv_probe_info *info)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_probe_info found;
    int rc = pv_probe_open(&probe, bpffs, ring_bytes, &found, &err);

    if (rc < 0)
        fail_msg("%s", err.text);
    present = found.present;
    if (info)
        *info = found;
    rc = pv_probe_trace(probe, getpid(), hold, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    return rc;
}

void needs(uint32_t feature)
{
    if (present & feature)
        return;
    printf("this kernel lacks what that needs: docs/kernels.md\n");
    skip();
}

int with_probe(void **state)
{
    (void)state;
    return open_probe(0, NULL);
}

int without_probe(void **state)
{
    (void)state;
    pv_probe_close(probe, true);
    probe = NULL;
    forget();
    return 0;
}

bool prepare(char *reason, size_t cap)
{
    snprintf(root, sizeof root, "/tmp/pv-witness-XXXXXX");
    if (geteuid() != 0) {
        snprintf(reason, cap, "needs root");
        return false;
    }
    if (!pv_probe_available(reason, cap))
        return false;
    /* a mount namespace of its own: the pins vanish with it, whatever happens */
    if (!mkdtemp(root) || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("pv-witness", root, "tmpfs", 0, "mode=0755") != 0) {
        snprintf(reason, cap, "mount namespace: %s", strerror(errno));
        return false;
    }
    snprintf(bpffs, sizeof bpffs, "%s/bpf", root);
    if (mkdir(bpffs, 0700) != 0 || mount("pv-witness", bpffs, "bpf", 0, "mode=0700") != 0) {
        snprintf(reason, cap, "mount bpffs: %s", strerror(errno));
        return false;
    }
    return true;
}

int run_witness_tests(const char *name, const struct CMUnitTest *tests, size_t n,
                      CMFixtureFunction setup)
{
    char reason[256] = "";
    const char *must = getenv("PROVOST_REQUIRE_BPF");
    int rc = must && strcmp(must, "1") == 0 ? 1 : 77;

    if (prepare(reason, sizeof reason))
        rc = _cmocka_run_group_tests(name, tests, n, setup, NULL);
    else
        printf("%s: %s\n", rc == 77 ? "skipped" : "PROVOST_REQUIRE_BPF=1, but", reason);
    (void)umount2(bpffs, MNT_DETACH);
    (void)umount2(root, MNT_DETACH);
    (void)rmdir(root);
    return rc;
}

void run_act(const char *name, const struct act *acts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, acts[i].name) == 0)
            _exit(acts[i].run());
}
