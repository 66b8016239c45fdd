#include "pv/spec.h"

#include "pv/own.h"
#include "pv/size.h"

#include <string.h>

enum { SPEC_ENCODING = 2, ENTRY_MAX = 8192 };

/* Bounds of what a deployment may ask for. */
static const uint64_t memory_min = 1ull << 20, memory_max = 1ull << 40;
static const uint64_t tmp_max = 16ull << 30;
static const uint64_t timeout_max_ms = 24ull * 3600 * 1000;

static void list_done(struct pv_str_list *l)
{
    for (unsigned i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    *l = (struct pv_str_list){0};
}

const char *const pv_prepare_names[] = {"auto", "first-read", "exec", "zygote", NULL};
const char *const pv_audit_names[] = {"bounded", "sync", NULL};
const char *const pv_loss_names[] = {"freeze", "drop", NULL};
const char *const pv_class_names[] = {"auto", "process", "microvm", NULL};
const char *const pv_finish_names[] = {"exit", "newline", "length", NULL};

void pv_spec_init(struct pv_spec *s)
{
    *s = (struct pv_spec){
        .version = 1,
        .memory_bytes = 64ull << 20,
        .tmp_bytes = 16ull << 20,
        .output_bytes = 6ull << 20,
        .timeout_ms = 30000,
        .processes = 32,
        .concurrency = 4,
        .prepared = 2,
        .prepare = PV_PREPARE_AUTO,
        .audit = PV_AUDIT_BOUNDED,
        .loss = PV_LOSS_FREEZE,
    };
}

void pv_spec_done(struct pv_spec *s)
{
    list_done(&s->argv);
    list_done(&s->env);
    list_done(&s->secrets);
    list_done(&s->calls);
    list_done(&s->egress);
    list_done(&s->labels);
}

static inline void spec_done_cleanup(struct pv_spec *s)
{
    pv_spec_done(s);
}

int pv_str_list_add(struct pv_str_list *l, const char *s, unsigned max, struct pv_err *err)
{
    char **v;
    char *copy;

    if (l->n >= max)
        return pv_refuse(err, E2BIG, "more than %u entries", max);
    if (strlen(s) >= ENTRY_MAX)
        return pv_refuse(err, E2BIG, "entry longer than %d bytes", ENTRY_MAX - 1);
    copy = strdup(s);
    if (!copy)
        return pv_fail(err, ENOMEM, "copy list entry");
    v = realloc(l->v, (l->n + 1) * sizeof *v);
    if (!v) {
        free(copy);
        return pv_fail(err, ENOMEM, "grow list");
    }
    l->v = v;
    l->v[l->n++] = copy;
    return 0;
}

bool pv_str_list_has(const struct pv_str_list *l, const char *s)
{
    for (unsigned i = 0; i < l->n; i++)
        if (!strcmp(l->v[i], s))
            return true;
    return false;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool pv_name_ok(const char *name)
{
    size_t n = strnlen(name, PV_NAME_MAX + 1);

    if (n == 0 || n > PV_NAME_MAX || !is_alnum(name[0]) || !is_alnum(name[n - 1]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!is_alnum(name[i]) && name[i] != '-')
            return false;
    return true;
}

/* "K=V" with a K that a shell accepts as a variable's name. */
static bool env_ok(const char *kv)
{
    size_t i = 0;

    for (; kv[i] && kv[i] != '='; i++) {
        bool letter = (kv[i] >= 'a' && kv[i] <= 'z') || (kv[i] >= 'A' && kv[i] <= 'Z');
        bool digit = kv[i] >= '0' && kv[i] <= '9';

        if (!letter && kv[i] != '_' && !(digit && i > 0))
            return false;
    }
    return i > 0 && kv[i] == '=';
}

static bool port_ok(const char *p)
{
    unsigned long v = 0;
    size_t n = strlen(p);

    if (n == 0 || n > 5)
        return false;
    for (; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        v = v * 10 + (unsigned long)(*p - '0');
    }
    return v > 0 && v <= 65535;
}

/* HOST:PORT, where HOST is a name, an IPv4 address, or an IPv6 address in brackets. */
static bool egress_ok(const char *target)
{
    const char *colon = strrchr(target, ':');

    if (!colon || colon == target || (size_t)(colon - target) > 255 || !port_ok(colon + 1))
        return false;
    for (const char *p = target; p < colon; p++) {
        bool plain =
            is_alnum(*p) || (*p >= 'A' && *p <= 'Z') || *p == '-' || *p == '.' || *p == '_';
        bool v6 = target[0] == '[' && colon[-1] == ']' && (*p == ':' || *p == '[' || *p == ']');

        if (!plain && !v6)
            return false;
    }
    return true;
}

static bool clean_absolute_path(const char *path)
{
    size_t n = strlen(path);

    if (path[0] != '/' || n >= PV_PATH_MAX || strstr(path, "/../"))
        return false;
    return n < 3 || strcmp(path + n - 3, "/..") != 0;
}

static int check_names(const struct pv_str_list *l, const char *option, struct pv_err *err)
{
    for (unsigned i = 0; i < l->n; i++)
        if (!pv_name_ok(l->v[i]))
            return pv_refuse(
                err, EINVAL,
                "%s '%s': a name has lower-case letters and digits only, and '-' between them",
                option, l->v[i]);
    return 0;
}

/* A file is made for each. */
static int check_secrets(const struct pv_str_list *l, struct pv_err *err)
{
    PV_TRY(check_names(l, "secret", err));
    for (unsigned i = 0; i < l->n; i++)
        for (unsigned j = 0; j < i; j++)
            if (strcmp(l->v[i], l->v[j]) == 0)
                return pv_refuse(err, EINVAL, "secret '%s': is named twice", l->v[i]);
    return 0;
}

static int check_lists(const struct pv_spec *s, struct pv_err *err)
{
    if (s->argv.n == 0 || s->argv.n > PV_ARGV_MAX)
        return pv_refuse(err, EINVAL, "command: 1 to %d words are needed", PV_ARGV_MAX);
    if (!clean_absolute_path(s->argv.v[0]))
        return pv_refuse(err, EINVAL, "command '%s': must be an absolute path in the sandbox",
                         s->argv.v[0]);
    if (s->env.n > PV_ENV_MAX)
        return pv_refuse(err, EINVAL, "env: more than %d variables", PV_ENV_MAX);
    for (unsigned i = 0; i < s->env.n; i++)
        if (!env_ok(s->env.v[i]))
            return pv_refuse(err, EINVAL, "env '%s': must be NAME=VALUE", s->env.v[i]);
    for (unsigned i = 0; i < s->labels.n; i++)
        if (s->labels.v[i][0] == '=' || !strchr(s->labels.v[i], '='))
            return pv_refuse(err, EINVAL, "label '%s': must be KEY=VALUE", s->labels.v[i]);
    if (s->secrets.n > PV_GRANTS_MAX || s->calls.n > PV_GRANTS_MAX || s->egress.n > PV_GRANTS_MAX ||
        s->labels.n > PV_GRANTS_MAX)
        return pv_refuse(err, EINVAL, "more than %d secrets, calls, egress targets or labels",
                         PV_GRANTS_MAX);
    PV_TRY(check_secrets(&s->secrets, err));
    PV_TRY(check_names(&s->calls, "allow-call", err));
    for (unsigned i = 0; i < s->egress.n; i++)
        if (!egress_ok(s->egress.v[i]))
            return pv_refuse(err, EINVAL, "allow-egress '%s': must be HOST:PORT", s->egress.v[i]);
    return 0;
}

/* unit: as " ms", or "". */
static int check_unit(uint64_t v, uint64_t lo, uint64_t hi, const char *option, const char *unit,
                      struct pv_err *err)
{
    if (v >= lo && v <= hi)
        return 0;
    return pv_refuse(err, EINVAL, "%s of %llu%s: must be between %llu and %llu%s", option,
                     (unsigned long long)v, unit, (unsigned long long)lo, (unsigned long long)hi,
                     unit);
}

static int check_range(uint64_t v, uint64_t lo, uint64_t hi, const char *option, struct pv_err *err)
{
    return check_unit(v, lo, hi, option, "", err);
}

static int check_size(uint64_t v, uint64_t lo, uint64_t hi, const char *option, struct pv_err *err)
{
    char size[PV_SIZE_TEXT], least[PV_SIZE_TEXT], most[PV_SIZE_TEXT];

    if (v >= lo && v <= hi)
        return 0;
    return pv_refuse(err, EINVAL, "%s of %s: must be between %s and %s", option,
                     pv_size_text(v, size), pv_size_text(lo, least), pv_size_text(hi, most));
}

int pv_spec_check(const struct pv_spec *s, struct pv_err *err)
{
    if (!pv_name_ok(s->name))
        return pv_refuse(
            err, EINVAL,
            "function name '%.63s': 1 to %d lower-case letters and digits, and '-' between them",
            s->name, PV_NAME_MAX);
    if (s->root_dir[0] && !clean_absolute_path(s->root_dir))
        return pv_refuse(err, EINVAL, "root '%.255s': must be an absolute path", s->root_dir);
    PV_TRY(check_lists(s, err));
    PV_TRY(check_range(s->version, 1, UINT64_MAX, "version", err));
    PV_TRY(check_size(s->memory_bytes, memory_min, memory_max, "memory", err));
    PV_TRY(check_size(s->tmp_bytes, 4096, tmp_max, "tmp", err));
    PV_TRY(check_size(s->output_bytes, 1, PV_RESPONSE_MAX, "output", err));
    PV_TRY(check_unit(s->timeout_ms, 1, timeout_max_ms, "timeout", " ms", err));
    PV_TRY(check_range(s->processes, 1, 4096, "processes", err));
    PV_TRY(check_unit(s->cpu_millis, 0, 1024000, "cpu", " thousandths", err));
    PV_TRY(check_range(s->concurrency, 1, PV_CONCURRENCY_MAX, "concurrency", err));
    PV_TRY(check_range(s->prepared, 0, s->concurrency, "prepared", err));
    PV_TRY(check_range(s->prepare, PV_PREPARE_AUTO, PV_PREPARE_ZYGOTE, "prepare", err));
    PV_TRY(check_range(s->audit, PV_AUDIT_BOUNDED, PV_AUDIT_SYNC, "audit", err));
    PV_TRY(check_range(s->loss, PV_LOSS_FREEZE, PV_LOSS_DROP, "loss", err));
    PV_TRY(check_range(s->class, PV_CLASS_AUTO, PV_CLASS_MICROVM, "class", err));
    return check_range(s->finish, PV_FINISH_EXIT, PV_FINISH_LENGTH, "finish", err);
}

static void put_list(struct pv_buf *b, const struct pv_str_list *l)
{
    pv_buf_u32(b, l->n);
    for (unsigned i = 0; i < l->n; i++)
        pv_buf_str(b, l->v[i]);
}

int pv_spec_encode(const struct pv_spec *s, struct pv_buf *b, struct pv_err *err)
{
    size_t start = b->len;

    PV_TRY(pv_spec_check(s, err));
    pv_buf_u8(b, SPEC_ENCODING);
    pv_buf_str(b, s->name);
    pv_buf_u64(b, s->version);
    pv_buf_raw(b, s->package, sizeof s->package);
    pv_buf_str(b, s->root_dir);
    put_list(b, &s->argv);
    put_list(b, &s->env);
    put_list(b, &s->secrets);
    put_list(b, &s->calls);
    put_list(b, &s->egress);
    put_list(b, &s->labels);
    pv_buf_u64(b, s->memory_bytes);
    pv_buf_u64(b, s->tmp_bytes);
    pv_buf_u64(b, s->output_bytes);
    pv_buf_u64(b, s->timeout_ms);
    pv_buf_u32(b, s->processes);
    pv_buf_u32(b, s->cpu_millis);
    pv_buf_u32(b, s->concurrency);
    pv_buf_u32(b, s->prepared);
    pv_buf_u8(b, s->cgi);
    pv_buf_u8(b, (uint8_t)s->prepare);
    pv_buf_u8(b, (uint8_t)s->audit);
    pv_buf_u8(b, (uint8_t)s->loss);
    pv_buf_u8(b, (uint8_t)s->class);
    pv_buf_u8(b, (uint8_t)s->finish);
    PV_TRY(pv_buf_check(b, "function specification", err));
    if (b->len - start > PV_SPEC_MAX)
        return pv_refuse(err, EMSGSIZE, "function specification is over %u KiB", PV_SPEC_MAX >> 10);
    return 0;
}

static int get_list(struct pv_reader *r, struct pv_str_list *l, unsigned max, struct pv_err *err)
{
    char entry[ENTRY_MAX];
    uint32_t n = pv_read_u32(r);

    if (r->failed || n > max)
        return pv_refuse(err, EBADMSG, "function specification: bad list");
    for (uint32_t i = 0; i < n; i++) {
        pv_read_str(r, entry, sizeof entry);
        if (r->failed)
            return pv_refuse(err, EBADMSG, "function specification: bad list entry");
        PV_TRY(pv_str_list_add(l, entry, max, err));
    }
    return 0;
}

static int get_numbers(struct pv_reader *r, struct pv_spec *s, struct pv_err *err)
{
    uint8_t cgi, prepare, audit, loss, class, finish;

    s->memory_bytes = pv_read_u64(r);
    s->tmp_bytes = pv_read_u64(r);
    s->output_bytes = pv_read_u64(r);
    s->timeout_ms = pv_read_u64(r);
    s->processes = pv_read_u32(r);
    s->cpu_millis = pv_read_u32(r);
    s->concurrency = pv_read_u32(r);
    s->prepared = pv_read_u32(r);
    cgi = pv_read_u8(r);
    prepare = pv_read_u8(r);
    audit = pv_read_u8(r);
    loss = pv_read_u8(r);
    class = pv_read_u8(r);
    finish = pv_read_u8(r);
    PV_TRY(pv_reader_end(r, "function specification", err));
    if (cgi > 1 || prepare > PV_PREPARE_ZYGOTE || audit > PV_AUDIT_SYNC || loss > PV_LOSS_DROP ||
        class > PV_CLASS_MICROVM || finish > PV_FINISH_LENGTH)
        return pv_refuse(err, EBADMSG, "function specification: bad choice");
    s->cgi = cgi;
    s->prepare = (enum pv_prepare)prepare;
    s->audit = (enum pv_audit_mode)audit;
    s->loss = (enum pv_loss)loss;
    s->class = (enum pv_class) class;
    s->finish = (enum pv_finish)finish;
    return 0;
}

int pv_spec_decode(const void *p, size_t len, struct pv_spec *ret, struct pv_err *err)
{
    __attribute__((cleanup(spec_done_cleanup))) struct pv_spec s = {0};
    struct pv_reader r = pv_reader_of(p, len);
    const uint8_t *package;

    if (len > PV_SPEC_MAX)
        return pv_refuse(err, EMSGSIZE, "function specification is over %u KiB", PV_SPEC_MAX >> 10);
    if (pv_read_u8(&r) != SPEC_ENCODING)
        return pv_refuse(err, EBADMSG, "function specification: unknown encoding");
    pv_read_str(&r, s.name, sizeof s.name);
    s.version = pv_read_u64(&r);
    package = pv_read_raw(&r, sizeof s.package);
    if (package)
        memcpy(s.package, package, sizeof s.package);
    pv_read_str(&r, s.root_dir, sizeof s.root_dir);
    PV_TRY(get_list(&r, &s.argv, PV_ARGV_MAX, err));
    PV_TRY(get_list(&r, &s.env, PV_ENV_MAX, err));
    PV_TRY(get_list(&r, &s.secrets, PV_GRANTS_MAX, err));
    PV_TRY(get_list(&r, &s.calls, PV_GRANTS_MAX, err));
    PV_TRY(get_list(&r, &s.egress, PV_GRANTS_MAX, err));
    PV_TRY(get_list(&r, &s.labels, PV_GRANTS_MAX, err));
    PV_TRY(get_numbers(&r, &s, err));
    PV_TRY(pv_spec_check(&s, err));
    *ret = s;
    s = (struct pv_spec){0};
    return 0;
}
