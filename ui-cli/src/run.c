/* provost run: a program in a micro-VM, without any daemon. */
#include "run.h"

#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/host.h"
#include "pv/own.h"
#include "pv/units.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum {
    OPT_ENV = 'e',
    OPT_ROOT = 0x100,
    OPT_MEMORY,
    OPT_TMP,
    OPT_TIMEOUT,
    OPT_CPU_TIME,
    OPT_CALLS,
    OPT_OUTPUT,
    OPT_TRACE,
    OPT_STATS,
    OPT_REPEAT,
    OPT_CHECK,
    OPT_FINISH,
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "What it gets:", 1},
    {"root", OPT_ROOT, "DIR", 0, "What it sees as /, read-only; FILE is a path in it (/)", 1},
    {"env", OPT_ENV, "K=V", 0, "Environment variable", 1},
    {NULL, 0, NULL, 0, "Limits:", 2},
    {"memory", OPT_MEMORY, "SIZE", 0, "Memory, file pages included (512M)", 2},
    {"tmp", OPT_TMP, "SIZE", 0, "Size of its private /tmp (64M)", 2},
    {"timeout", OPT_TIMEOUT, "TIME", 0, "Wall-clock deadline, for example 10s (0: none)", 2},
    {"cpu-time", OPT_CPU_TIME, "TIME", 0, "CPU time (0: any)", 2},
    {"calls", OPT_CALLS, "N", 0, "System calls (0: any number)", 2},
    {"output-limit", OPT_OUTPUT, "SIZE", 0, "Output (0: any)", 2},
    {NULL, 0, NULL, 0, "What to show, on stderr:", 3},
    {"trace", OPT_TRACE, NULL, 0, "Every system call", 3},
    {"stats", OPT_STATS, NULL, 0, "Exits, pages, times", 3},
    {NULL, 0, NULL, 0, "As a function does:", 4},
    {"repeat", OPT_REPEAT, "N", 0,
     "Snapshot at the first read of stdin, then N runs with the same stdin, each reset to it", 4},
    {"finish", OPT_FINISH, "WHEN", 0,
     "With --repeat, a response is complete at exit (exit), at a newline that ends a write "
     "(newline) or when the announced Content-Length is there (length)",
     4},
    {"check", OPT_CHECK, NULL, 0, "With --repeat, compare all memory with the snapshot each time",
     4},
    {0},
};

static const char doc[] =
    "Runs FILE in a micro-VM: stdin, stdout and stderr are its own, its exit code becomes ours. It "
    "sees the root directory read-only, has a /tmp of its own that vanishes, no network, and no "
    "other process. Options end at FILE."
    "\vExamples:\n"
    "  echo '{}' | provost run ./handler\n"
    "  provost run --trace /usr/bin/python3 -c 'print(6*7)'\n"
    "  provost run --stats --repeat 1000 --finish newline /usr/bin/python3 handler.py < request\n"
    "\nExit codes besides the program's: 124 a limit ended it, 125 it could not be started, 126 "
    "FILE "
    "cannot be run, 127 there is no FILE, 128+N it was killed by signal N.\n";

static uint64_t size_of(struct argp_state *state, const char *arg)
{
    struct pv_err err = PV_ERR_INIT;
    uint64_t v = 0;

    if (cli_parse_size(arg, &v, &err) < 0)
        argp_error(state, "%s", err.text);
    return v;
}

static uint64_t ms_of(struct argp_state *state, const char *arg)
{
    struct pv_err err = PV_ERR_INIT;
    uint64_t v = 0;

    if (cli_parse_duration(arg, &v, &err) < 0)
        argp_error(state, "%s", err.text);
    return v;
}

static uint64_t count_of(struct argp_state *state, const char *arg, uint64_t max)
{
    struct pv_err err = PV_ERR_INIT;
    uint64_t v = 0;

    if (cli_parse_count(arg, max, &v, &err) < 0)
        argp_error(state, "%s", err.text);
    return v;
}

static enum pv_vm_finish finish_of(struct argp_state *state, const char *arg)
{
    static const char *const names[] = {"exit", "newline", "length"};

    for (unsigned i = 0; i < 3; i++)
        if (!strcmp(arg, names[i]))
            return (enum pv_vm_finish)i;
    argp_error(state, "--finish is exit, newline or length, not '%s'", arg);
    return PV_VM_FINISH_EXIT;
}

static void add_env(struct argp_state *state, struct run *r, const char *arg)
{
    if (!strchr(arg, '=') || *arg == '=')
        argp_error(state, "variable '%s' is not of the form K=V", arg);
    if (r->n_env == RUN_ENV_MAX)
        argp_error(state, "more than %d variables", RUN_ENV_MAX);
    r->env[r->n_env++] = arg;
}

static error_t parse_limit(int key, char *arg, struct argp_state *state)
{
    struct run *r = state->input;

    switch (key) {
    case OPT_MEMORY:
        r->limits.memory_bytes = size_of(state, arg);
        return 0;
    case OPT_TMP:
        r->limits.tmp_bytes = size_of(state, arg);
        return 0;
    case OPT_TIMEOUT:
        r->timeout_ms = ms_of(state, arg);
        return 0;
    case OPT_CPU_TIME:
        r->limits.cpu_ns = ms_of(state, arg) * PV_NS_PER_MS;
        return 0;
    case OPT_CALLS:
        r->limits.calls = count_of(state, arg, UINT64_MAX / 2);
        return 0;
    case OPT_OUTPUT:
        r->limits.output_bytes = size_of(state, arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct run *r = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = r->cli;
        return 0;
    case OPT_ROOT:
        r->root = arg;
        return 0;
    case OPT_ENV:
        add_env(state, r, arg);
        return 0;
    case OPT_TRACE:
        r->trace = true;
        return 0;
    case OPT_STATS:
        r->stats = true;
        return 0;
    case OPT_CHECK:
        r->check = true;
        return 0;
    case OPT_REPEAT:
        r->repeat = count_of(state, arg, RUN_REPEAT_MAX);
        if (!r->repeat)
            argp_error(state, "--repeat takes 1 or more");
        return 0;
    case OPT_FINISH:
        r->finish = finish_of(state, arg);
        return 0;
    case ARGP_KEY_ARG:
        r->argv = state->argv + state->next - 1;
        state->next = state->argc; /* the rest is the program's */
        return 0;
    case ARGP_KEY_END:
        if (!r->argv)
            argp_error(state, "FILE is missing");
        if (!r->repeat && (r->check || r->finish != PV_VM_FINISH_EXIT))
            argp_error(state, "--check and --finish belong to --repeat");
        if (r->cli->json && r->trace && (r->stats || r->repeat))
            argp_error(state,
                       "--trace is text on stderr, where --json has its JSON: leave out one");
        return 0;
    default:
        return parse_limit(key, arg, state);
    }
}

/* ---- streams ---- */

static int to_stdout(void *ctx, const void *p, size_t len)
{
    (void)ctx;
    for (size_t done = 0; done < len;) {
        ssize_t n = write(STDOUT_FILENO, (const char *)p + done, len - done);

        if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static void to_stderr(void *ctx, const void *p, size_t len)
{
    (void)ctx;
    (void)fwrite(p, 1, len, stderr);
}

/* A signal (the deadline's timer) interrupts: the caller asks again. */
static ssize_t from_stdin(void *ctx, void *p, size_t len)
{
    (void)ctx;
    ssize_t n = read(STDIN_FILENO, p, len);
    return n < 0 ? -errno : n;
}

static void show_call(void *ctx, int tid, const char *text)
{
    (void)ctx;
    fprintf(stderr, "[%d] ", tid);
    cli_escape_write(stderr, text, strlen(text), CLI_ESCAPE_LINE);
    fputc('\n', stderr);
}

static void on_event(void *ctx, const struct pv_vm_event *e)
{
    struct run *r = ctx;

    if (e->kind == PV_VM_EVENT_DENIED && !r->starts[0] && pv_starts_program(e->what))
        snprintf(r->starts, sizeof r->starts, "%s", e->what);
}

/* ---- ends ---- */

int run_error(const struct pv_err *err)
{
    char text[600];

    fprintf(stderr, "provost: %s\n", cli_escape_str(err->text, text, sizeof text));
    switch (-err->code) {
    case ENOENT:
    case ENOTDIR:
        return RUN_NOT_FOUND;
    case EACCES:
    case ENOEXEC:
    case EPERM:
        return RUN_CANNOT;
    default:
        return RUN_FAILED;
    }
}

int run_end(const struct pv_vm_result *result)
{
    char text[4 * PV_VM_TEXT_MAX];

    if (*result->text)
        fprintf(stderr, "provost: %s: %s\n", pv_vm_end_name(result->end),
                cli_escape_str(result->text, text, sizeof text));
    switch (result->end) {
    case PV_VM_EXITED:
    case PV_VM_FINISHED:
        return result->code;
    case PV_VM_SIGNALED:
        return RUN_SIGNAL + result->signal;
    case PV_VM_DEADLINE:
    case PV_VM_CPU:
    case PV_VM_MEMORY:
    case PV_VM_OUTPUT:
    case PV_VM_STOPPED:
    case PV_VM_CALLS:
        return RUN_LIMIT;
    case PV_VM_STUCK:
    case PV_VM_BROKEN:
    default:
        return RUN_FAILED;
    }
}

static void show_stats(const struct run *r, const struct pv_vm_stats *s)
{
    if (r->cli->json) {
        cli_autojson json_t *o =
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "calls", (json_int_t)s->calls, "exits",
                      (json_int_t)s->exits, "thread_switches", (json_int_t)s->switches,
                      "page_faults", (json_int_t)s->faults, "pages", (json_int_t)s->frames,
                      "cpu_ns", (json_int_t)s->cpu_ns, "wall_ns", (json_int_t)s->wall_ns);
        if (o)
            (void)json_dumpf(o, stderr, JSON_INDENT(2));
        fputc('\n', stderr);
        return;
    }
    fprintf(stderr,
            "calls    %" PRIu64 " system calls, %" PRIu64 " exits, %" PRIu64 " thread switches\n"
            "memory   %" PRIu64 " pages, %" PRIu64 " page faults\n"
            "time     %.3f ms wall, %.3f ms CPU\n",
            s->calls, s->exits, s->switches, s->frames, s->faults, (double)s->wall_ns / 1e6,
            (double)s->cpu_ns / 1e6);
}

static int run_once(const struct run *r, const struct pv_vm_spec *spec,
                    const struct pv_vm_hooks *hooks)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_result result;
    struct pv_vm *vm;
    struct pv_vm_call call = {.input = from_stdin};

    if (pv_vm_boot(spec, hooks, &vm, &err) < 0)
        return run_error(&err);
    /* the program's time, as in the sentence that says it was up */
    if (r->timeout_ms)
        call.deadline_ns = pv_now_mono_ns() + r->timeout_ms * PV_NS_PER_MS;
    int rc = pv_vm_run(vm, &call, &result, &err) < 0 ? run_error(&err) : run_end(&result);
    if (r->stats)
        show_stats(r, &result.stats);
    pv_vm_free(vm);
    return rc;
}

void run_spec(const struct run *r, int root_fd, const char *file, struct pv_vm_spec *ret)
{
    *ret = (struct pv_vm_spec){.root_fd = root_fd,
                               .program = file,
                               .argv = (const char *const *)r->argv,
                               .env = r->env,
                               .cwd = r->cwd,
                               .uid = (uint32_t)geteuid(),
                               .gid = (uint32_t)getegid(),
                               .limits = r->limits,
                               .finish = r->finish};
}

static bool is_script(const char *path)
{
    char begin[2] = "";
    pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, begin, 2) == 2 && memcmp(begin, "#!", 2) == 0;
}

/* A file of the host is named from where we are; one within another root from there. */
static int find_file(struct run *r, char cwd[PATH_MAX], char path[PATH_MAX], const char **ret,
                     struct pv_err *err)
{
    struct stat st;

    *ret = r->argv[0];
    if (strcmp(r->root, "/") != 0)
        return 0;
    /* the program's /tmp is its own */
    if (getcwd(cwd, PATH_MAX) && stat(cwd, &st) == 0 && strcmp(cwd, "/tmp") != 0 &&
        strncmp(cwd, "/tmp/", 5) != 0)
        r->cwd = cwd;
    if (!realpath(r->argv[0], path))
        return pv_fail(err, errno, "run '%s'", r->argv[0]);
    *ret = path;
    /* a program itself is loaded from outside, but a script is opened by its interpreter */
    if (strncmp(path, "/tmp/", 5) == 0 && is_script(path))
        return pv_refuse(err, EACCES,
                         "'%s' is a script in /tmp, which its interpreter does not see: in a "
                         "micro-VM /tmp is the program's own; put the script elsewhere",
                         r->argv[0]);
    return 0;
}

/* Whatever the errno: it is not the file's. */
static int no_kvm(const struct pv_err *err)
{
    struct pv_err advised = *err;

    if (err->code == -EACCES || err->code == -EPERM)
        (void)pv_refuse(&advised, EACCES,
                        "%.255s; run as root, or give this user the right to read and write "
                        "/dev/kvm (on most systems by the group kvm)",
                        err->text);
    else if (err->code == -ENOENT)
        (void)pv_refuse(&advised, ENOENT,
                        "%.255s; this machine has no KVM, or its module is not loaded, and a "
                        "micro-VM needs it; 'provost deploy' does without",
                        err->text);
    (void)run_error(&advised);
    return RUN_FAILED;
}

/* Its own message says at best that there is no memory or that a limit is reached. */
static void explain_start(const struct run *r)
{
    if (r->starts[0])
        fprintf(stderr,
                "provost: %s was refused: a micro-VM has one process; a program that starts others "
                "is deployed with 'provost deploy --class process'\n",
                r->starts);
}

int cmd_run(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse, "FILE [ARG...]", doc, children, NULL, NULL};
    struct run r = {.cli = cli,
                    .root = "/",
                    .env = {"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8"},
                    .n_env = 3,
                    .limits = {.memory_bytes = 512ull << 20, .tmp_bytes = 64ull << 20}};
    struct pv_err err = PV_ERR_INIT;
    struct pv_vm_spec spec;
    char cwd[PATH_MAX];
    char path[PATH_MAX];

    if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &r) != 0)
        return CLI_USAGE;
    pv_autoclose int root_fd = open(r.root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) {
        (void)pv_fail(&err, errno, "open the root '%s'", r.root);
        return run_error(&err);
    }
    const char *file;
    if (find_file(&r, cwd, path, &file, &err) < 0)
        return run_error(&err);
    run_spec(&r, root_fd, file, &spec);
    if (pv_vm_available(&err) < 0)
        return no_kvm(&err);
    const struct pv_vm_hooks hooks = {.ctx = &r,
                                      .output = r.repeat ? NULL : to_stdout,
                                      .diagnostic = to_stderr,
                                      .event = on_event,
                                      .trace = r.trace ? show_call : NULL};
    int rc = r.repeat ? run_repeat(&r, &spec, &hooks) : run_once(&r, &spec, &hooks);
    explain_start(&r);
    return rc;
}
