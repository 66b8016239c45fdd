#include "describe.h"

#include "pv/clock.h"

#include <string.h>
#include <time.h>

static json_t *list_json(const struct pv_str_list *l)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < l->n; i++)
        (void)json_array_append_new(a, json_string(l->v[i]));
    return a;
}

/* "K=V" entries as an object. */
static json_t *map_json(const struct pv_str_list *l)
{
    json_t *o = json_object();
    for (unsigned i = 0; i < l->n; i++) {
        const char *eq = strchr(l->v[i], '=');
        if (eq)
            (void)json_object_setn_new(o, l->v[i], (size_t)(eq - l->v[i]), json_string(eq + 1));
    }
    return o;
}

static json_t *joined_json(const struct pv_str_list *l)
{
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, PV_SPEC_MAX);
    for (unsigned i = 0; i < l->n; i++)
        pv_buf_printf(&b, "%s%s", i ? " " : "", l->v[i]);
    return json_stringn((const char *)b.data, b.len);
}

static json_t *time_json(uint64_t ns)
{
    time_t sec = (time_t)(ns / PV_NS_PER_S);
    struct tm tm;
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&sec, &tm));
    return json_string(text);
}

static json_t *codes_json(const struct gw_stats *s)
{
    json_t *o = json_object();
    char code[16];
    for (unsigned i = 0; i < s->n; i++) {
        snprintf(code, sizeof code, "%u", s->codes[i].code);
        (void)json_object_set_new(o, code, json_integer((json_int_t)s->codes[i].count));
    }
    return o;
}

/* As a quantity that a deployment takes: the largest unit of which it is a multiple. */
static void memory_text(uint64_t bytes, char *out, size_t cap)
{
    static const char *const units[] = {"", "Ki", "Mi", "Gi"};
    unsigned i = 0;
    for (; i < 3 && bytes % 1024 == 0; i++)
        bytes /= 1024;
    snprintf(out, cap, "%lu%s", bytes, units[i]);
}

static json_t *limits_json(const struct pv_spec *s)
{
    char memory[32], cpu[32];
    memory_text(s->memory_bytes, memory, sizeof memory);
    snprintf(cpu, sizeof cpu, "%um", s->cpu_millis);
    json_t *o = json_pack("{s:s}", "memory", memory);
    if (s->cpu_millis)
        (void)json_object_set_new(o, "cpu", json_string(cpu));
    return o;
}

static json_t *words_json(const char *text)
{
    json_t *a = json_array();
    for (size_t n; *text; text += n + (text[n] == ' ')) {
        n = strcspn(text, " ");
        (void)json_array_append_new(a, json_stringn(text, n));
    }
    return a;
}

static json_t *reason_json(const struct gw_version *v)
{
    if (!v->unmoved[0])
        return json_string(v->reason);
    return json_sprintf("%s; it needs the class process, and could not be moved there: %s",
                        v->reason, v->unmoved);
}

static json_t *extension_json(const struct gw_version *v)
{
    const struct pv_spec *s = &v->spec;
    char spec_hash[65], package[65];
    pv_hex(v->spec_hash, sizeof v->spec_hash, spec_hash);
    pv_hex(s->package, sizeof s->package, package);
    json_t *o = json_pack(
        "{s:I, s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:o, s:o, s:b, s:s, s:s, s:s, s:s, s:s, s:o}",
        "version", (json_int_t)s->version, "measurement", package, "spec_hash", spec_hash, "state",
        gw_version_state_name(v), "mode", v->mode, "reason", reason_json(v), "argv",
        list_json(&s->argv), "root", s->root_dir, "calls", list_json(&s->calls), "egress",
        list_json(&s->egress), "cgi", s->cgi, "prepare", pv_prepare_names[s->prepare], "audit",
        pv_audit_names[s->audit], "loss", pv_loss_names[s->loss], "class", pv_class_names[s->class],
        "finish", pv_finish_names[s->finish], "unknown_calls", words_json(v->unknown_calls));
    json_t *numbers =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "timeout_ms",
                  (json_int_t)s->timeout_ms, "output_bytes", (json_int_t)s->output_bytes,
                  "tmp_bytes", (json_int_t)s->tmp_bytes, "memory_bytes",
                  (json_int_t)s->memory_bytes, "cpu_millis", (json_int_t)s->cpu_millis, "processes",
                  (json_int_t)s->processes, "concurrency", (json_int_t)s->concurrency, "prepared",
                  (json_int_t)s->prepared, "instances_prepared", (json_int_t)v->prepared, "running",
                  (json_int_t)v->in_flight, "queued", (json_int_t)v->queued, "host_pid",
                  (json_int_t)v->pid, "responses", codes_json(&v->function->stats));
    (void)json_object_update(o, numbers);
    json_decref(numbers);
    return o;
}

json_t *gw_version_json(const struct gw_version *v)
{
    const struct pv_spec *s = &v->spec;
    json_t *annotations = v->annotations ? json_incref(v->annotations) : json_object();
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:I, s:I, s:I, s:o, s:o}",
                     "name", s->name, "image", v->image, "namespace", GW_NAMESPACE, "envProcess",
                     joined_json(&s->argv), "envVars", map_json(&s->env), "secrets",
                     list_json(&s->secrets), "labels", map_json(&s->labels), "annotations",
                     annotations, "limits", limits_json(s), "readOnlyRootFilesystem", 1,
                     "invocationCount", (json_int_t)gw_stats_total(&v->function->stats), "replicas",
                     (json_int_t)s->concurrency, "availableReplicas",
                     (json_int_t)gw_version_available(v), "createdAt", time_json(v->created_ns),
                     "provost", extension_json(v));
}

/* Of which nothing is known but its name. */
static json_t *damaged_json(const struct gw_function *f)
{
    return json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:{s:i, s:s, s:s, s:s}}", "name", f->name,
                     "image", "", "namespace", GW_NAMESPACE, "invocationCount",
                     (json_int_t)gw_stats_total(&f->stats), "replicas", 0, "availableReplicas", 0,
                     "provost", "version", 0, "state", "damaged", "mode", "damaged", "reason",
                     f->damage);
}

void gw_functions_list(struct gw_conn *c)
{
    json_t *a = json_array();
    for (struct gw_function *f = c->gw->functions; f; f = gw_function_next(f))
        if (f->current)
            (void)json_array_append_new(a, gw_version_json(f->current));
        else if (f->damage[0])
            (void)json_array_append_new(a, damaged_json(f));
    gw_conn_json(c, 200, a);
}

/* The function that the target's rest names, which has been answered when there is none. */
static struct gw_version *named_version(struct gw_conn *c)
{
    char name[PV_NAME_MAX + 1];
    size_t len = strcspn(c->rest, "?");
    struct gw_function *f = NULL;
    if (len <= PV_NAME_MAX) {
        memcpy(name, c->rest, len);
        name[len] = 0;
        f = gw_function_find(c->gw, name);
    }
    if (f && f->current)
        return f->current;
    const char *why;
    unsigned status = gw_function_absent(f, &why);
    gw_conn_text(c, status, "%s", why);
    return NULL;
}

void gw_function_describe(struct gw_conn *c)
{
    struct gw_version *v = named_version(c);
    if (v)
        gw_conn_json(c, 200, gw_version_json(v));
}
