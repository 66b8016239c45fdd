#include "environment.h"

#include "pv/own.h"
#include "stat.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/uio.h>

static const char *const defaults[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/tmp",
    "TMPDIR=/tmp",
    "LANG=C.UTF-8",
    "http_proxy=http://127.0.0.1:3128",
    "https_proxy=http://127.0.0.1:3128",
    "no_proxy=127.0.0.1,localhost",
};

const char *const pv_environment_likely[] = {"Http_Method",
                                             "Http_Path",
                                             "Http_Query",
                                             "Http_Content_Type",
                                             "Http_Host",
                                             "REQUEST_METHOD",
                                             "QUERY_STRING",
                                             "PATH_INFO",
                                             "CONTENT_TYPE",
                                             "REQUEST_URI",
                                             "SCRIPT_NAME",
                                             "SERVER_PROTOCOL",
                                             "REMOTE_ADDR",
                                             "HTTP_HOST",
                                             "Http_X_Call_Id",
                                             "Http_Transfer_Encoding",
                                             "Http_User_Agent",
                                             "Http_Accept",
                                             NULL};
const char *const pv_environment_lengths[] = {"CONTENT_LENGTH", "Http_Content_Length", NULL};

#define COUNT(list) ((unsigned)(sizeof(list) / sizeof *(list)))
_Static_assert(COUNT(pv_environment_lengths) == COUNT(((struct pv_environment *)0)->numbers) + 1,
               "a number for each length");

static bool overridden(const struct pv_spec *spec, const char *kv)
{
    size_t name = (size_t)(strchr(kv, '=') - kv) + 1;

    for (unsigned i = 0; i < spec->env.n; i++)
        if (!strncmp(spec->env.v[i], kv, name))
            return true;
    return false;
}

static void put(struct pv_environment *e, struct pv_buf *b, const char *kv)
{
    (void)e;
    pv_buf_raw(b, kv, strlen(kv) + 1);
    e->n_all++;
}

static void put_reserve(struct pv_environment *e, struct pv_buf *b, bool probe)
{
    char line[128];
    unsigned first = e->n_all;

    if (probe) {
        uint8_t random[8];

        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
            b->failed = true;
        pv_hex(random, sizeof random, e->canary);
        for (unsigned i = 0; i < COUNT(e->numbers); i++) {
            uint32_t v;

            memcpy(&v, random + (size_t)4 * i, sizeof v);
            /* rare as a number, and no burden for a program that allocates as much */
            e->numbers[i] = 5000000u + v % 4000000u;
        }
    }
    e->reserve_off = b->len;
    pv_buf_printf(b, "PROVOST_RESERVE=%*s", (int)PV_FIRST_READ_ENV_BYTES, "");
    pv_buf_u8(b, 0);
    e->n_all++;
    for (unsigned i = 0; pv_environment_lengths[i]; i++) {
        (void)snprintf(line, sizeof line, "%s=%u", pv_environment_lengths[i],
                       probe ? e->numbers[i] : 0);
        put(e, b, line);
    }
    for (unsigned i = 0; pv_environment_likely[i]; i++) {
        (void)snprintf(line, sizeof line, "%s=%s", pv_environment_likely[i], e->canary);
        put(e, b, line);
    }
    while (e->n_all - first < PV_FIRST_READ_ENV_COUNT) {
        (void)snprintf(line, sizeof line, "PROVOST_%u=", e->n_all - first);
        put(e, b, line);
    }
}

int pv_environment_make(struct pv_environment *ret, const struct pv_spec *spec, bool reserve,
                        bool probe, struct pv_err *err)
{
    pv_autobuf struct pv_buf b;
    struct pv_environment e = {0};

    pv_buf_init(&b, 1u << 20);
    for (unsigned i = 0; i < spec->env.n; i++)
        put(&e, &b, spec->env.v[i]);
    for (unsigned i = 0; i < COUNT(defaults); i++)
        if (!overridden(spec, defaults[i]))
            put(&e, &b, defaults[i]);
    e.n_static = e.n_all;
    e.reserve_off = b.len;
    if (reserve)
        put_reserve(&e, &b, probe);
    PV_TRY(pv_buf_check(&b, "the function's environment", err));
    e.len = b.len;
    e.strings = (char *)PV_TAKE_PTR(b.data);
    b.len = b.cap = 0;
    char *s = e.strings;
    for (unsigned i = 0; i < e.n_all; i++, s += strlen(s) + 1)
        e.envp[i] = s;
    e.envp[e.n_all] = NULL;
    *ret = e;
    return 0;
}

void pv_environment_done(struct pv_environment *e)
{
    free(e->strings);
    *e = (struct pv_environment){0};
}

static int peek(pid_t pid, uint64_t address, void *out, size_t len, struct pv_err *err)
{
    struct iovec local = {out, len};
    struct iovec remote = {(void *)(uintptr_t)address, len};

    if (process_vm_readv(pid, &local, 1, &remote, 1, 0) != (ssize_t)len)
        return pv_fail(err, errno ? errno : EIO, "read the instance's stack");
    return 0;
}

int pv_environment_find(const struct pv_environment *e, pid_t pid, struct pv_environment_place *ret,
                        struct pv_err *err)
{
    uint64_t words[PV_ARGV_MAX + PV_ENV_POINTERS_MAX + 16];
    struct pv_process_stat st;
    uint64_t argc;

    PV_TRY(pv_process_stat_read(pid, &st, err));
    if (st.env_end < st.env_start || st.env_end - st.env_start != e->len)
        return pv_refuse(err, ESTALE, "the instance's environment block has moved");
    PV_TRY(peek(pid, st.start_stack, &argc, sizeof argc, err));
    /* an interpreter line adds two words to the command */
    if (argc == 0 || argc > PV_ARGV_MAX + 4)
        return pv_refuse(err, ESTALE, "the instance's stack is not as it was at exec");
    size_t count = argc + 2 + e->n_all + 1;
    PV_TRY(peek(pid, st.start_stack, words, count * sizeof *words, err));
    if (words[argc + 1] != 0 || words[count - 1] != 0)
        return pv_refuse(err, ESTALE, "the instance's stack is not as it was at exec");
    for (unsigned i = 0; i < e->n_all; i++)
        if (words[argc + 2 + i] != st.env_start + (uint64_t)(e->envp[i] - e->strings))
            return pv_refuse(err, ESTALE, "the instance has changed its environment");
    *ret = (struct pv_environment_place){
        .envp = st.start_stack + (argc + 2) * sizeof *words,
        .text = st.env_start + e->reserve_off,
        .text_end = st.env_end,
        .stack = st.start_stack,
    };
    return 0;
}

int pv_environment_write(const struct pv_environment *e, const struct pv_environment_place *place,
                         pid_t pid, const char *env, size_t len, struct pv_err *err)
{
    uint64_t pointers[PV_FIRST_READ_ENV_COUNT + 1];
    unsigned n = 0;

    if (len > PV_FIRST_READ_ENV_BYTES || (len && env[len - 1]))
        return pv_refuse(err, EINVAL, "the request's variables are malformed");
    for (size_t off = 0; off < len; off += strlen(env + off) + 1) {
        if (n == PV_FIRST_READ_ENV_COUNT)
            return pv_refuse(err, E2BIG, "more than %d request variables", PV_FIRST_READ_ENV_COUNT);
        pointers[n++] = place->text + off;
    }
    pointers[n++] = 0;
    /* the text with one more NUL: the padding behind it must not read as a variable */
    const struct iovec local[] = {{(void *)(uintptr_t)env, len},
                                  {(void *)(uintptr_t) "", 1},
                                  {pointers, n * sizeof *pointers}};
    const struct iovec remote[] = {
        {(void *)(uintptr_t)place->text, len + 1},
        {(void *)(uintptr_t)(place->envp + e->n_static * sizeof *pointers), n * sizeof *pointers}};
    ssize_t whole = (ssize_t)(len + 1 + n * sizeof *pointers);
    if (process_vm_writev(pid, local, 3, remote, 2, 0) != whole)
        return pv_fail(err, errno ? errno : EIO, "write the instance's environment");
    return 0;
}
