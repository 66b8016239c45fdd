#include "event_show.h"

#include "pv/escape.h"
#include "pv/units.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

enum { FIELD_SHOWN_MAX = 160, HEX_SHOWN_BYTES = 8 };

/* Text that is not UTF-8 is given in its escaped form: the value must be JSON. */
static json_t *text_json(const struct pv_value *v)
{
    const char *p = v->len ? (const char *)v->bytes : "";
    json_t *text = memchr(p, 0, v->len) ? NULL : json_stringn(p, v->len);
    if (text)
        return text;
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, 8 * (size_t)PV_EVENT_MAX);
    cli_escape_append(&b, p, v->len, CLI_ESCAPE_LINE);
    return json_stringn((const char *)b.data, b.len);
}

/* Bytes that are the id of another call are written as every id of a call is. */
static bool other_call(const struct pv_field_schema *field, const struct pv_value *v,
                       char out[PV_CALL_ID_CHARS + 1])
{
    struct pv_call_id id;
    if (field->type != PV_F_BYTES || v->len != sizeof id.bytes ||
        (strcmp(field->name, "caller") != 0 && strcmp(field->name, "callee") != 0))
        return false;
    memcpy(id.bytes, v->bytes, sizeof id.bytes);
    pv_call_id_print(&id, out);
    return true;
}

static json_t *value_json(const struct pv_field_schema *field, const struct pv_value *v)
{
    char hex[2 * PV_EVENT_MAX + 1];
    char call[PV_CALL_ID_CHARS + 1];
    if (other_call(field, v, call))
        return json_string(call);
    switch (field->type) {
    case PV_F_U64:
        /* JSON readers lose what does not fit in a signed number: then a string */
        return v->u64 <= INT64_MAX ? json_integer((json_int_t)v->u64)
                                   : json_sprintf("%" PRIu64, v->u64);
    case PV_F_TEXT:
        return text_json(v);
    case PV_F_BYTES:
        pv_hex(v->bytes, v->len <= PV_EVENT_MAX ? v->len : PV_EVENT_MAX, hex);
        return json_string(hex);
    }
    return json_null();
}

json_t *cli_event_fields_json(const struct pv_event *e)
{
    const struct pv_kind_schema *schema = pv_kind_schema(e->kind);
    json_t *fields = json_object();
    for (unsigned i = 0; schema && i < schema->n_fields && i < e->n; i++)
        (void)json_object_set_new(fields, schema->fields[i].name,
                                  value_json(&schema->fields[i], &e->v[i]));
    return fields;
}

json_t *cli_event_json(uint64_t seq, const struct pv_event *e)
{
    const struct pv_kind_schema *schema = pv_kind_schema(e->kind);
    char call[PV_CALL_ID_CHARS + 1] = "";
    char domain[2 * PV_DOMAIN_ID_BYTES + 1];
    char stamp[64];
    pv_hex(e->domain.bytes, PV_DOMAIN_ID_BYTES, domain);
    if (!pv_call_id_is_none(&e->invocation))
        pv_call_id_print(&e->invocation, call);
    return json_pack(
        "{s:o, s:I, s:s, s:s, s:I, s:s, s:s?, s:o}", "id", json_sprintf("e%" PRIu64, seq), "seq",
        (json_int_t)seq, "kind", schema ? schema->name : "?", "time",
        cli_format_time(e->time_ns, stamp, sizeof stamp), "time_ns", (json_int_t)e->time_ns,
        "domain", domain, "invocation", *call ? call : NULL, "fields", cli_event_fields_json(e));
}

/* Arguments as the kernel keeps them: each ends in a zero byte. */
static void print_arguments(FILE *f, const struct pv_value *v)
{
    char text[FIELD_SHOWN_MAX + 1] = "";
    char shown[4 * FIELD_SHOWN_MAX];
    size_t n = v->len < FIELD_SHOWN_MAX ? v->len : FIELD_SHOWN_MAX;
    for (size_t i = 0; i < n; i++)
        text[i] = v->bytes[i] ? (char)v->bytes[i] : ' ';
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = '\0';
    fputs(cli_escape_str(text, shown, sizeof shown), f);
}

static void print_value(FILE *f, const struct pv_field_schema *field, const struct pv_value *v)
{
    char text[FIELD_SHOWN_MAX + 1] = "";
    char shown[4 * FIELD_SHOWN_MAX];
    char call[PV_CALL_ID_CHARS + 1];
    if (other_call(field, v, call)) {
        fputs(call, f);
        return;
    }
    switch (field->type) {
    case PV_F_U64:
        fprintf(f, "%" PRIu64, v->u64);
        return;
    case PV_F_TEXT: {
        size_t n = v->len < FIELD_SHOWN_MAX ? v->len : FIELD_SHOWN_MAX;
        if (n > 0)
            memcpy(text, v->bytes, n);
        text[n] = '\0';
        fputs(cli_escape_str(text, shown, sizeof shown), f);
        return;
    }
    case PV_F_BYTES: {
        char hex[2 * HEX_SHOWN_BYTES + 1];
        pv_hex(v->bytes, v->len < HEX_SHOWN_BYTES ? v->len : HEX_SHOWN_BYTES, hex);
        fprintf(f, "%s%s", hex, v->len > HEX_SHOWN_BYTES ? "\xe2\x80\xa6" : "");
        return;
    }
    }
}

void cli_event_print(FILE *f, uint64_t seq, const struct pv_event *e)
{
    const struct pv_kind_schema *schema = pv_kind_schema(e->kind);
    char call[PV_CALL_ID_CHARS + 1] = "-";
    char stamp[64];
    if (!pv_call_id_is_none(&e->invocation))
        pv_call_id_print(&e->invocation, call);
    fprintf(f, "e%-8" PRIu64 " %s  %-20s %-16s ", seq,
            cli_format_time(e->time_ns, stamp, sizeof stamp), schema ? schema->name : "?", call);
    for (unsigned i = 0; schema && i < schema->n_fields && i < e->n; i++) {
        fprintf(f, " %s=", schema->fields[i].name);
        if (strcmp(schema->fields[i].name, "argv") == 0)
            print_arguments(f, &e->v[i]);
        else
            print_value(f, &schema->fields[i], &e->v[i]);
    }
    fputc('\n', f);
}

bool cli_event_matches(const struct pv_event *e, const char *text)
{
    const struct pv_kind_schema *schema = pv_kind_schema(e->kind);
    char call[PV_CALL_ID_CHARS + 1];
    size_t len = strlen(text);
    pv_call_id_print(&e->invocation, call);
    if (len >= 4 && len <= PV_CALL_ID_CHARS && strncasecmp(call, text, len) == 0)
        return true;
    for (unsigned i = 0; schema && i < schema->n_fields && i < e->n; i++)
        if ((schema->fields[i].type == PV_F_TEXT || strcmp(schema->fields[i].name, "argv") == 0) &&
            e->v[i].len >= len && memmem(e->v[i].bytes, e->v[i].len, text, len))
            return true;
    return false;
}
