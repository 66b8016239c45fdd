#include "deploy_json.h"

#include "pv/own.h"

#include <stdio.h>
#include <string.h>

struct field {
    const char *name;
    int (*set)(struct gw_deploy_request *r, const json_t *v, struct pv_err *err);
};

void gw_deploy_request_done(struct gw_deploy_request *r)
{
    json_decref(r->annotations);
    r->annotations = NULL;
    pv_spec_done(&r->spec);
}

/* --- values --- */

static int copy_text(char *out, size_t cap, const json_t *v, const char *what, struct pv_err *err)
{
    if (!json_is_string(v) || json_string_length(v) >= cap ||
        strlen(json_string_value(v)) != json_string_length(v))
        return pv_refuse(err, EINVAL, "%s must be a text of at most %zu bytes", what, cap - 1);
    memcpy(out, json_string_value(v), json_string_length(v) + 1);
    return 0;
}

static int copy_texts(struct pv_str_list *out, const json_t *v, unsigned max, bool set,
                      const char *what, struct pv_err *err)
{
    size_t i;
    const json_t *entry;
    if (json_is_null(v))
        return 0;
    if (!json_is_array(v))
        return pv_refuse(err, EINVAL, "%s must be a list of texts", what);
    json_array_foreach(v, i, entry)
    {
        if (!json_is_string(entry) || strlen(json_string_value(entry)) != json_string_length(entry))
            return pv_refuse(err, EINVAL, "%s must be a list of texts", what);
        if (set && pv_str_list_has(out, json_string_value(entry)))
            continue;
        int rc = pv_str_list_add(out, json_string_value(entry), max, err);
        if (rc < 0)
            return pv_wrap(err, rc, "%s", what);
    }
    return 0;
}

static int copy_list(struct pv_str_list *out, const json_t *v, unsigned max, const char *what,
                     struct pv_err *err)
{
    return copy_texts(out, v, max, false, what, err);
}

/* A list in which a text that comes again says nothing new. */
static int copy_set(struct pv_str_list *out, const json_t *v, const char *what, struct pv_err *err)
{
    return copy_texts(out, v, PV_GRANTS_MAX, true, what, err);
}

static int copy_map(struct pv_str_list *out, const json_t *v, unsigned max, const char *what,
                    struct pv_err *err)
{
    void *it;
    if (json_is_null(v))
        return 0;
    if (!json_is_object(v))
        return pv_refuse(err, EINVAL, "%s must be an object of texts", what);
    for (it = json_object_iter((json_t *)(uintptr_t)v); it;
         it = json_object_iter_next((json_t *)(uintptr_t)v, it)) {
        const json_t *value = json_object_iter_value(it);
        pv_autobuf struct pv_buf b;
        pv_buf_init(&b, PV_SPEC_MAX);
        if (!json_is_string(value))
            return pv_refuse(err, EINVAL, "%s must be an object of texts", what);
        pv_buf_printf(&b, "%s=%s", json_object_iter_key(it), json_string_value(value));
        pv_buf_u8(&b, 0);
        PV_TRY(pv_buf_check(&b, what, err));
        int rc = pv_str_list_add(out, (const char *)b.data, max, err);
        if (rc < 0)
            return pv_wrap(err, rc, "%s", what);
    }
    return 0;
}

static int copy_number(uint64_t *out, uint64_t max, const json_t *v, const char *what,
                       struct pv_err *err)
{
    json_int_t n = json_integer_value(v);
    if (!json_is_integer(v) || n < 0 || (uint64_t)n > max)
        return pv_refuse(err, EINVAL, "%s must be a whole number from 0 to %lu", what, max);
    *out = (uint64_t)n;
    return 0;
}

static int copy_u32(uint32_t *out, const json_t *v, const char *what, struct pv_err *err)
{
    uint64_t n = 0;
    PV_TRY(copy_number(&n, UINT32_MAX, v, what, err));
    *out = (uint32_t)n;
    return 0;
}

/* --- quantities --- */

/* Decimal digits with at most three after a point, in thousandths. */
static bool thousandths(const char **text, uint64_t *ret)
{
    uint64_t n = 0;
    unsigned decimals = 0, digits = 0;
    bool point = false;
    const char *p = *text;
    for (; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        if (point && ++decimals > 3)
            return false;
        if (++digits > 15)
            return false;
        n = n * 10 + (uint64_t)(*p - '0');
    }
    for (; decimals < 3; decimals++)
        n *= 10;
    *text = p;
    *ret = n;
    return digits > 0;
}

int gw_parse_memory(const char *text, uint64_t *ret, struct pv_err *err)
{
    static const struct {
        const char *suffix;
        uint64_t factor;
    } units[] = {{"", 1},           {"k", 1000},        {"K", 1000},        {"M", 1000000},
                 {"G", 1000000000}, {"Ki", 1ull << 10}, {"Mi", 1ull << 20}, {"Gi", 1ull << 30}};
    const char *rest = text;
    uint64_t n;
    if (thousandths(&rest, &n) && n / 1000 <= 1ull << 40)
        for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
            if (strcmp(rest, units[i].suffix) == 0) {
                *ret = n / 1000 * units[i].factor + n % 1000 * units[i].factor / 1000;
                return 0;
            }
    return pv_refuse(err, EINVAL, "memory '%.40s' is no quantity such as 64Mi or 128M", text);
}

int gw_parse_cpu(const char *text, uint32_t *ret, struct pv_err *err)
{
    const char *rest = text;
    uint64_t n;
    if (thousandths(&rest, &n)) {
        bool milli = strcmp(rest, "m") == 0;
        if (milli && n % 1000 == 0)
            n /= 1000;
        else if (*rest)
            n = UINT64_MAX;
        if (n <= UINT32_MAX) {
            *ret = (uint32_t)n;
            return 0;
        }
    }
    return pv_refuse(err, EINVAL, "cpu '%.40s' is no quantity such as 500m or 0.5", text);
}

/* --- OpenFaaS's fields --- */

static int set_service(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_text(r->spec.name, sizeof r->spec.name, v, "service", err);
}

static int set_image(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    PV_TRY(copy_text(r->image, sizeof r->image, v, "image", err));
    if (r->image[0] != '/')
        return pv_refuse(err, EINVAL,
                         "image must be the absolute path of a file or directory on this machine");
    return 0;
}

static int set_namespace(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    const char *s = json_string_value(v);
    (void)r;
    if (json_is_null(v) || (s && (!*s || strcmp(s, "openfaas-fn") == 0)))
        return 0;
    return pv_refuse(err, EINVAL, "the only namespace is openfaas-fn");
}

/* Words separated by blanks, as faas-cli sends a template's fprocess. */
static int split_env_process(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    char text[PV_PATH_MAX];
    PV_TRY(copy_text(text, sizeof text, v, "envProcess", err));
    for (char *w = text; *(w += strspn(w, " "));) {
        size_t len = strcspn(w, " ");
        bool last = w[len] == 0;
        w[len] = 0;
        PV_TRY(pv_str_list_add(&r->spec.argv, w, PV_ARGV_MAX, err));
        if (last)
            break;
        w += len + 1;
    }
    return 0;
}

static int set_env_vars(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_map(&r->spec.env, v, PV_ENV_MAX, "envVars", err);
}

static int set_secrets(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_set(&r->spec.secrets, v, "secrets", err);
}

static int set_labels(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_map(&r->spec.labels, v, PV_GRANTS_MAX, "labels", err);
}

static int set_annotations(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    struct pv_str_list probe = {0};
    int rc = copy_map(&probe, v, PV_GRANTS_MAX, "annotations", err);
    for (unsigned i = 0; i < probe.n; i++)
        free(probe.v[i]);
    free(probe.v);
    PV_TRY(rc);
    if (json_is_object(v))
        r->annotations = json_deep_copy(v);
    return 0;
}

static int set_limits(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    void *it;
    for (it = json_object_iter((json_t *)(uintptr_t)v); it;
         it = json_object_iter_next((json_t *)(uintptr_t)v, it)) {
        const char *key = json_object_iter_key(it);
        const char *value = json_string_value(json_object_iter_value(it));
        if (!value)
            return pv_refuse(err, EINVAL, "limits.%.40s must be a text", key);
        if (!*value)
            continue;
        if (strcmp(key, "memory") == 0)
            PV_TRY(gw_parse_memory(value, &r->spec.memory_bytes, err));
        else if (strcmp(key, "cpu") == 0)
            PV_TRY(gw_parse_cpu(value, &r->spec.cpu_millis, err));
        else
            return pv_refuse(err, EINVAL, "limits has no field '%.40s'", key);
    }
    return 0;
}

/* Known to OpenFaaS and without meaning here: scheduling hints, and a root that is always
 * read-only. */
static int set_nothing(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    (void)r;
    (void)v;
    (void)err;
    return 0;
}

/* --- the extension --- */

static int set_argv(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_list(&r->spec.argv, v, PV_ARGV_MAX, "provost.argv", err);
}

static int set_root(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_text(r->spec.root_dir, sizeof r->spec.root_dir, v, "provost.root", err);
}

static int set_calls(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_set(&r->spec.calls, v, "provost.calls", err);
}

static int set_egress(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_set(&r->spec.egress, v, "provost.egress", err);
}

static int set_cgi(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    if (!json_is_boolean(v))
        return pv_refuse(err, EINVAL, "provost.cgi must be true or false");
    r->spec.cgi = json_is_true(v);
    return 0;
}

/* A value by its name; names: by value. */
static int choose(unsigned *ret, const char *const *names, const json_t *v, const char *field,
                  struct pv_err *err)
{
    const char *s = json_string_value(v);
    char all[128];
    size_t len = 0;
    for (unsigned i = 0; names[i]; i++) {
        if (s && strcmp(s, names[i]) == 0) {
            *ret = i;
            return 0;
        }
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "", names[i]);
    }
    return pv_refuse(err, EINVAL, "provost.%s must be one of %s", field, all);
}

#define SETTER(field, type)                                                                        \
    static int set_##field(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)       \
    {                                                                                              \
        unsigned value = 0;                                                                        \
        PV_TRY(choose(&value, pv_##field##_names, v, #field, err));                                \
        r->spec.field = (type)value;                                                               \
        return 0;                                                                                  \
    }
SETTER(prepare, enum pv_prepare)
SETTER(audit, enum pv_audit_mode)
SETTER(loss, enum pv_loss)
SETTER(class, enum pv_class)
SETTER(finish, enum pv_finish)
#undef SETTER

static int set_timeout(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_number(&r->spec.timeout_ms, INT64_MAX, v, "provost.timeout_ms", err);
}

static int set_output(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_number(&r->spec.output_bytes, INT64_MAX, v, "provost.output_bytes", err);
}

static int set_tmp(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_number(&r->spec.tmp_bytes, INT64_MAX, v, "provost.tmp_bytes", err);
}

static int set_processes(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_u32(&r->spec.processes, v, "provost.processes", err);
}

static int set_concurrency(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_u32(&r->spec.concurrency, v, "provost.concurrency", err);
}

static int set_prepared(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    return copy_u32(&r->spec.prepared, v, "provost.prepared", err);
}

static const struct field extension_fields[] = {
    {"argv", set_argv},
    {"root", set_root},
    {"calls", set_calls},
    {"egress", set_egress},
    {"cgi", set_cgi},
    {"prepare", set_prepare},
    {"audit", set_audit},
    {"loss", set_loss},
    {"class", set_class},
    {"finish", set_finish},
    {"timeout_ms", set_timeout},
    {"output_bytes", set_output},
    {"tmp_bytes", set_tmp},
    {"processes", set_processes},
    {"concurrency", set_concurrency},
    {"prepared", set_prepared},
    {NULL, NULL},
};

static int apply(struct gw_deploy_request *r, const json_t *o, const struct field *fields,
                 const char *where, struct pv_err *err)
{
    void *it;
    for (it = json_object_iter((json_t *)(uintptr_t)o); it;
         it = json_object_iter_next((json_t *)(uintptr_t)o, it)) {
        const struct field *f = fields;
        while (f->name && strcmp(f->name, json_object_iter_key(it)) != 0)
            f++;
        if (!f->name)
            return pv_refuse(err, EINVAL, "%s has no field '%.60s'", where,
                             json_object_iter_key(it));
        PV_TRY(f->set(r, json_object_iter_value(it), err));
    }
    return 0;
}

static int set_extension(struct gw_deploy_request *r, const json_t *v, struct pv_err *err)
{
    if (!json_is_object(v))
        return pv_refuse(err, EINVAL, "'provost' must be an object");
    return apply(r, v, extension_fields, "'provost'", err);
}

static const struct field deployment_fields[] = {
    {"provost", set_extension},
    {"service", set_service},
    {"image", set_image},
    {"namespace", set_namespace},
    {"envProcess", set_nothing}, /* apply_defaults: provost.argv goes before it */
    {"envVars", set_env_vars},
    {"secrets", set_secrets},
    {"labels", set_labels},
    {"annotations", set_annotations},
    {"limits", set_limits},
    {"requests", set_nothing},
    {"constraints", set_nothing},
    {"readOnlyRootFilesystem", set_nothing},
    {"registryAuth", set_nothing},
    {"network", set_nothing},
    {NULL, NULL},
};

static int apply_defaults(struct gw_deploy_request *r, const json_t *o, struct pv_err *err)
{
    if (!r->spec.name[0] || !r->image[0])
        return pv_refuse(err, EINVAL, "a deployment needs 'service' and 'image'");
    const json_t *process = json_object_get(o, "envProcess");
    if (!r->spec.argv.n && process && !json_is_null(process))
        PV_TRY(split_env_process(r, process, err));
    /* The default number of prepared instances follows a lower concurrency. */
    const json_t *extension = json_object_get(o, "provost");
    if (!json_object_get(extension, "prepared") && r->spec.prepared > r->spec.concurrency)
        r->spec.prepared = r->spec.concurrency;
    return 0;
}

/* In words of ours: those of the JSON library speak to who programs with it. */
static int explain_json(const json_error_t *e, size_t len, struct pv_err *err)
{
    if (len == 0)
        return pv_refuse(err, EINVAL, "the body is empty; a JSON object is needed");
    enum json_error_code code = json_error_code(e);
    if (code == json_error_duplicate_key)
        return pv_refuse(err, EINVAL, "the body has a name twice in one object (line %d)", e->line);
    if (code == json_error_null_character || code == json_error_null_byte_in_key)
        return pv_refuse(err, EINVAL, "the body has a text with a zero byte in it (line %d)",
                         e->line);
    if (code == json_error_invalid_utf8)
        return pv_refuse(err, EINVAL, "the body is not valid UTF-8 (line %d)", e->line);
    return pv_refuse(err, EINVAL, "the body is no JSON object (line %d, column %d)", e->line,
                     e->column);
}

json_t *gw_json_object(const void *p, size_t len, struct pv_err *err)
{
    json_error_t e = {0};
    json_t *o = len ? json_loadb(p, len, JSON_REJECT_DUPLICATES, &e) : NULL;
    if (json_is_object(o))
        return o;
    if (o)
        (void)pv_refuse(err, EINVAL, "the body is JSON, but no object");
    else
        (void)explain_json(&e, len, err);
    json_decref(o);
    return NULL;
}

int gw_deploy_parse(const void *p, size_t len, struct gw_deploy_request *ret, struct pv_err *err)
{
    *ret = (struct gw_deploy_request){0};
    pv_spec_init(&ret->spec);
    json_t *o = gw_json_object(p, len, err);
    if (!o)
        return err->code;
    int rc = apply(ret, o, deployment_fields, "a deployment", err);
    if (rc == 0)
        rc = apply_defaults(ret, o, err);
    json_decref(o);
    return rc;
}
