/* One event as a sentence. Templates name fields in braces; what is in them is made printable. */
#include "graph_core.h"
#include "state.h"

#include "pv/graph_export.h"

#include <inttypes.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct template
{
    unsigned kind;
    const char *text;
};

/* {field} as it is; {object}, {proc} and {target} by their name in the graph; {syscall} by its
 * name; {result} by the error's name, if there is one; {parent} with its verb; {callee} as a call
 * id. */
static const struct template templates[] = {
    {PV_K_DOMAIN_OPEN, "domain {name} opens (pid {pid})"},
    {PV_K_DOMAIN_CLOSE, "domain closes: {reason}"},
    {PV_K_EPOCH_END, "key epoch ends"},
    {PV_K_KEY_DISCLOSED, "key of epoch {disclosed_epoch} is disclosed ({count} events)"},
    {PV_K_KEY_ROTATION, "the log's key changes"},
    {PV_K_LOG_DETACHED, "{count} events from e{first} on move from the log into an archive"},
    {PV_K_DENIED, "denied: {what} {object}: {reason}"},
    {PV_K_DEPLOYMENT, "{function} version {version} is deployed by {agent}"},
    {PV_K_REMOVAL, "{function} version {version} is removed by {agent}"},
    {PV_K_REQUEST, "request for {function}: {method} {target}, {body_len} bytes, from {remote}"},
    {PV_K_RESPONSE, "the gateway answers {status}, {body_len} bytes ({outcome})"},
    {PV_K_CALL, "calls {callee_function} with {body_len} bytes as call {callee}"},
    {PV_K_CALL_RETURN, "call {callee} returns {status}, {body_len} bytes"},
    {PV_K_EGRESS, "connects to {host}:{port}: {method} {target}"},
    {PV_K_EGRESS_END, "connection ends: status {status}, {sent_len} bytes sent, {received_len} "
                      "received"},
    {PV_K_INSTANCE_PREPARED, "instance {instance} is prepared ({mode}, host pid {pid})"},
    {PV_K_INVOCATION_BEGIN, "{function} version {version} begins in instance {instance}"},
    {PV_K_INVOCATION_END, "ends: {outcome}, exit code {exit_code}, {body_len} bytes answered"},
    {PV_K_INSTANCE_DESTROYED, "instance {instance} is destroyed: {reason}"},
    {PV_K_CONNECTION, "opens a connection to the {broker} from port {source_port}"},
    {PV_K_LIMIT, "hits the limit {limit} at {value}"},
    {PV_K_SECRET_MOUNTED, "secret {name} is mounted"},
    {PV_K_SNAPSHOT, "a snapshot of {bytes} bytes is made, measured {measurement}"},
    {PV_K_ACCESS, "instance {instance}: {what} {path}"},
    {PV_K_ROLE_START, "{role} starts (pid {pid}, uid {uid})"},
    {PV_K_ROLE_EXIT, "{role} ended (pid {pid}, status {status})"},
    {PV_K_SECRET_CHANGE, "secret {name}: {action}"},
    {PV_K_LOG_OPEN, "the log opens with {size} entries; outside witness: {witness}"},
    {PV_K_RECOVERY, "recovery: {log_size} entries, {orphan_events} from rings, {discarded_bytes} "
                    "bytes discarded"},
    {PV_K_GAP, "gap: {count} records of the witness {witness} are missing (cpu {cpu}, from "
               "{first_missing})"},
    {PV_K_PRODUCER_FAULT, "a producer broke the rules: {what}"},
    {PV_K_WITNESS_COUNTERS, "cpu {cpu}: {emitted} records, {lost} lost"},
    {PV_K_PROC_FORK, "{parent} process (host pid {host_pid})"},
    {PV_K_PROC_EXEC, "a process executes {path} ({argv})"},
    {PV_K_PROC_EXIT, "{proc} exits with code {code}, signal {signal}"},
    {PV_K_OBJECT, "{type} {path}"},
    {PV_K_SOCKET, "socket {local_addr}:{local_port} to {remote_addr}:{remote_port}"},
    {PV_K_OPEN, "{proc} opens {object}"},
    {PV_K_READ, "{proc} reads {object}"},
    {PV_K_WRITE, "{proc} writes {object}"},
    {PV_K_IO_TOTAL, "{proc} and {object}: {read_bytes} bytes read, {write_bytes} written in all"},
    {PV_K_PATH_OP, "{proc}: {op} {path} {new_path} {result}"},
    {PV_K_CONNECT, "{proc} connects to {addr}:{port} {result}"},
    {PV_K_ACCEPT, "{proc} accepts a connection from {addr}:{port}"},
    {PV_K_MAP_EXEC, "{proc} maps {object} executable"},
    {PV_K_ATTEMPT_DENIED, "{proc} is refused {syscall} {result}"},
    {PV_K_INTERFERENCE, "{proc} tries to interfere by {syscall} {result}"},
    {PV_K_CREDENTIALS, "{proc} changes credentials by {syscall} {result}"},
    {PV_K_FOREIGN_ENTRY, "{proc} enters the kernel by {entry}: {syscall} {result}"},
    {PV_K_NAME_OP, "{proc}: {op} {path} {new_path} ({object})"},
    {PV_K_INFLUENCE, "{proc} influences {target} ({how})"},
    {PV_K_MONITOR_WATCHED, "the monitor with pid {pid} is sealed and watched ({threads} threads)"},
    {PV_K_MONITOR_ALARM,
     "ALARM: the monitor with pid {pid} does what none has to: {what} {object} by "
     "{syscall} {result} (claim: {claim})"},
    {PV_K_MONITOR_OPEN, "the monitor with pid {pid} opens {path} (claim: {claim})"},
};

/* What was asked for and not granted, in place of the sentence that says it took place. */
static const struct template refusals[] = {
    {PV_K_CALL, "is refused a call to {callee_function}: {reason}"},
    {PV_K_EGRESS, "is refused {host}:{port} ({method} {target}): {reason}"},
};

/* One number out of the stitcher's state; the key's layout is in state.c. */
static bool state_number(struct pv_graph *g, uint8_t kind, uint64_t id, size_t at, uint64_t *ret)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    struct pv_err err = PV_ERR_INIT;
    uint8_t key[25] = {kind};
    for (unsigned i = 0; i < 8; i++)
        key[1 + i] = (uint8_t)(id >> (56 - 8 * i));
    if (pv_db_prepare(g->db, &st, "SELECT value FROM state WHERE key = ?", &err) < 0)
        return false;
    pv_bind_blob(st, 1, key, sizeof key);
    if (pv_db_step(st, &err) != 1 || (size_t)sqlite3_column_bytes(st, 0) < at + sizeof *ret)
        return false;
    memcpy(ret, (const uint8_t *)sqlite3_column_blob(st, 0) + at, sizeof *ret);
    return true;
}

static bool state_name(struct pv_graph *g, uint8_t kind, uint64_t id, size_t name_at, char *out,
                       size_t cap)
{
    pv_autostmt sqlite3_stmt *text = NULL;
    struct pv_err err = PV_ERR_INIT;
    uint64_t name = 0;
    if (!state_number(g, kind, id, name_at, &name) ||
        pv_db_prepare(g->db, &text, "SELECT text FROM str WHERE id = ?", &err) < 0)
        return false;
    pv_bind_u64(text, 1, name);
    if (pv_db_step(text, &err) != 1)
        return false;
    pv_graph_printable((const char *)sqlite3_column_text(text, 0), 120, out, cap);
    return true;
}

bool pv_is_runtime_noise(struct pv_graph *g, const struct pv_event *e)
{
    uint64_t flags = 0;
    if (e->kind == PV_K_MAP_EXEC)
        return true;
    if (e->kind < PV_K_OPEN || e->kind > PV_K_IO_TOTAL)
        return false;
    return state_number(g, PV_S_OBJDEF, pv_event_get_u64(e, "object"),
                        offsetof(struct pv_s_objdef, flags), &flags) &&
           flags & PV_NF_RUNTIME;
}

static void syscall_name(uint64_t number, char *out, size_t cap)
{
    char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number);
    if (name)
        (void)snprintf(out, cap, "%s", name);
    else
        (void)snprintf(out, cap, "system call %" PRIu64, number);
    free(name);
}

/* What a system call returned: nothing to say when it went well. Witnesses give errors with and
 * without a sign. */
static void result_text(int64_t result, char *out, size_t cap)
{
    const char *name = result > -4096 && result < 4096
                           ? strerrorname_np((int)(result < 0 ? -result : result))
                           : NULL;
    if (result == 0 || result == EINPROGRESS || result == -EINPROGRESS)
        out[0] = 0; /* a connection under way is none that failed */
    else if (name)
        (void)snprintf(out, cap, "(%s)", name);
    else
        (void)snprintf(out, cap, "(result %" PRId64 ")", result);
}

/* Whoever forks; a process without a parent is an instance's first. */
static void parent_text(struct pv_graph *g, uint64_t parent, char *out, size_t cap)
{
    char name[400];
    if (parent == 0)
        (void)snprintf(out, cap, "the host starts a");
    else if (state_name(g, PV_S_PROC, parent, offsetof(struct pv_s_proc, name), name, sizeof name))
        (void)snprintf(out, cap, "%s forks a", name);
    else
        (void)snprintf(out, cap, "process %" PRIu64 " forks a", parent);
}

static void field_text(struct pv_graph *g, const struct pv_event *e, const char *name, char *out,
                       size_t cap)
{
    const struct pv_value *v = pv_event_field(e, name);
    const struct pv_kind_schema *schema = pv_kind_schema(e->kind);
    char raw[512];
    enum pv_field_type type = PV_F_TEXT;
    out[0] = 0;
    for (unsigned i = 0; v && schema && i < schema->n_fields; i++)
        if (strcmp(schema->fields[i].name, name) == 0)
            type = schema->fields[i].type;
    if (!v)
        return;
    if (type == PV_F_U64) {
        bool proc =
            strcmp(name, "proc") == 0 || (strcmp(name, "target") == 0 && e->kind == PV_K_INFLUENCE);
        if (strcmp(name, "parent") == 0) {
            parent_text(g, v->u64, out, cap);
            return;
        }
        if (strcmp(name, "object") == 0 &&
            state_name(g, PV_S_OBJDEF, v->u64, offsetof(struct pv_s_objdef, name), out, cap))
            return;
        if (proc && state_name(g, PV_S_PROC, v->u64, offsetof(struct pv_s_proc, name), out, cap))
            return;
        if (strcmp(name, "syscall") == 0)
            syscall_name(v->u64, out, cap);
        else if (strcmp(name, "result") == 0)
            result_text((int64_t)v->u64, out, cap);
        else
            (void)snprintf(out, cap, "%" PRId64, (int64_t)v->u64);
    } else if (strcmp(name, "callee") == 0 && v->len == PV_CALL_ID_BYTES) {
        struct pv_call_id id;
        memcpy(id.bytes, v->bytes, sizeof id.bytes);
        pv_call_id_print(&id, raw);
        (void)snprintf(out, cap, "%s", raw);
    } else {
        pv_event_get_text(e, name, raw, sizeof raw);
        size_t len = strlen(raw);
        while (len > 0 && raw[len - 1] == ' ')
            raw[--len] = 0;
        pv_graph_printable(raw, 120, out, cap);
    }
}

bool pv_event_is_refusal(const struct pv_event *e)
{
    switch (e->kind) {
    case PV_K_DENIED:
        return true;
    case PV_K_CALL:
    case PV_K_EGRESS:
        return pv_event_get_u64(e, "allowed") == 0;
    default:
        return false;
    }
}

static const char *template_of(const struct pv_event *e)
{
    if (pv_event_is_refusal(e))
        for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
            if (refusals[i].kind == e->kind)
                return refusals[i].text;
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++)
        if (templates[i].kind == e->kind)
            return templates[i].text;
    return "an event of a kind this version does not know";
}

void pv_sentence(struct pv_graph *g, const struct pv_event *e, char *out, size_t cap)
{
    const char *t = template_of(e);
    size_t len = 0;
    while (*t && len + 1 < cap) {
        char name[32], text[600];
        const char *end = *t == '{' ? strchr(t, '}') : NULL;
        if (!end || (size_t)(end - t) > sizeof name) {
            out[len++] = *t++;
            continue;
        }
        (void)snprintf(name, sizeof name, "%.*s", (int)(end - t - 1), t + 1);
        field_text(g, e, name, text, sizeof text);
        int n = snprintf(out + len, cap - len, "%s", text);
        len = n >= 0 && len + (size_t)n < cap ? len + (size_t)n : cap - 1;
        t = end + 1;
    }
    out[len] = 0;
    while (len > 0 && out[len - 1] == ' ')
        len--;
    out[len] = 0;
}
