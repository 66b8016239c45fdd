/* The schema table: which fields an event of each kind carries, in which order and of which type.
 * It is what the canonical bytes mean, so lines are only ever added, never changed. */
#include "pv/event.h"

#include <string.h>

#define U(n)                                                                                       \
    {                                                                                              \
#n, PV_F_U64                                                                               \
    }
#define T(n)                                                                                       \
    {                                                                                              \
#n, PV_F_TEXT                                                                              \
    }
#define B(n)                                                                                       \
    {                                                                                              \
#n, PV_F_BYTES                                                                             \
    }
#define COUNT(...)                                                                                 \
    (sizeof((struct pv_field_schema[]){__VA_ARGS__}) / sizeof(struct pv_field_schema))
#define KIND(k, text, ...) [k] = {k, text, COUNT(__VA_ARGS__), {__VA_ARGS__}}

enum { KINDS_END = PV_K_MONITOR_OPEN + 1 };

/* clang-format off */
static const struct pv_kind_schema schemas[KINDS_END] = {
    KIND(PV_K_DOMAIN_OPEN, "domain-open", T(name), B(commitment), U(pid), B(measurement)),
    KIND(PV_K_DOMAIN_CLOSE, "domain-close", B(closed_domain), T(reason)),
    KIND(PV_K_DENIED, "denied", T(what), T(object), T(reason)),
    KIND(PV_K_EPOCH_END, "epoch-end", B(next_commitment)),

    KIND(PV_K_DEPLOYMENT, "deployment", T(function), U(version), B(measurement), B(spec_hash), T(agent)),
    KIND(PV_K_REMOVAL, "removal", T(function), U(version), T(agent)),
    KIND(PV_K_REQUEST, "request", T(function), U(version), T(method), T(target), B(body_hash),
         U(body_len), B(caller), T(remote)),
    KIND(PV_K_RESPONSE, "response", U(status), B(body_hash), U(body_len), U(duration_ns), T(outcome)),
    KIND(PV_K_CALL, "call", U(connection), T(callee_function), B(callee), U(allowed), T(reason),
         B(body_hash), U(body_len)),
    KIND(PV_K_CALL_RETURN, "call-return", U(connection), B(callee), U(status), B(body_hash), U(body_len)),
    KIND(PV_K_EGRESS, "egress", U(connection), T(host), U(port), T(method), T(target), U(allowed), T(reason)),
    KIND(PV_K_EGRESS_END, "egress-end", U(connection), U(status), B(sent_hash), U(sent_len),
         B(received_hash), U(received_len)),

    KIND(PV_K_INSTANCE_PREPARED, "instance-prepared", U(instance), U(pid), U(start_ticks), T(mode),
         U(stdin_ino), U(stdout_ino), U(stderr_ino)),
    KIND(PV_K_INVOCATION_BEGIN, "invocation-begin", U(instance), T(function), U(version),
         B(body_hash), U(body_len), B(env_hash)),
    KIND(PV_K_INVOCATION_END, "invocation-end", U(instance), T(outcome), U(exit_code), U(signal),
         B(body_hash), U(body_len), U(stderr_len), U(duration_ns), U(cpu_ns), U(peak_bytes)),
    KIND(PV_K_INSTANCE_DESTROYED, "instance-destroyed", U(instance), T(reason)),
    KIND(PV_K_CONNECTION, "connection", U(instance), U(connection), T(broker), U(source_port)),
    KIND(PV_K_LIMIT, "limit", U(instance), T(limit), U(value)),
    KIND(PV_K_SECRET_MOUNTED, "secret-mounted", T(name), B(content_hash)),
    KIND(PV_K_SNAPSHOT, "snapshot", B(measurement), U(bytes), U(threads), U(start_ns), T(unknown)),
    KIND(PV_K_ACCESS, "access", U(instance), T(what), T(path), U(dev), U(ino), U(size), U(flags),
         U(result)),

    KIND(PV_K_ROLE_START, "role-start", T(role), U(pid), U(uid)),
    KIND(PV_K_ROLE_EXIT, "role-exit", T(role), U(pid), U(status), U(backoff_ms)),
    KIND(PV_K_SECRET_CHANGE, "secret-change", T(name), T(action), B(content_hash)),

    KIND(PV_K_LOG_OPEN, "log-open", U(size), B(root), T(witness)),
    KIND(PV_K_RECOVERY, "recovery", U(log_size), U(checkpointed_size), U(orphan_rings),
         U(orphan_events), U(discarded_bytes)),
    KIND(PV_K_GAP, "gap", T(witness), U(cpu), U(first_missing), U(count)),
    KIND(PV_K_PRODUCER_FAULT, "producer-fault", B(faulty_domain), U(expected_dseq), T(what)),
    KIND(PV_K_WITNESS_COUNTERS, "witness-counters", U(cpu), U(emitted), U(lost)),
    KIND(PV_K_KEY_DISCLOSED, "key-disclosed", B(disclosed_domain), U(disclosed_epoch), U(first_dseq),
         U(count), B(key)),
    KIND(PV_K_KEY_ROTATION, "key-rotation", B(old_key), B(new_key)),
    KIND(PV_K_LOG_DETACHED, "log-detached", U(first), U(count), B(archive_hash)),
    KIND(PV_K_MONITOR_WATCHED, "monitor-watched", B(watched_domain), U(pid), U(threads)),

    KIND(PV_K_PROC_FORK, "proc-fork", U(proc), U(parent), U(host_pid), U(pid), U(start_ticks), U(cgroup)),
    KIND(PV_K_PROC_EXEC, "proc-exec", U(proc), U(object), T(path), B(argv)),
    KIND(PV_K_PROC_EXIT, "proc-exit", U(proc), U(code), U(signal)),
    KIND(PV_K_OBJECT, "object", U(object), T(type), U(dev), U(ino), U(gen), T(path)),
    KIND(PV_K_SOCKET, "socket", U(object), U(family), T(local_addr), U(local_port), T(remote_addr),
         U(remote_port)),
    KIND(PV_K_OPEN, "open", U(proc), U(object), U(flags), U(fd)),
    KIND(PV_K_READ, "read", U(proc), U(object), U(bytes)),
    KIND(PV_K_WRITE, "write", U(proc), U(object), U(bytes)),
    KIND(PV_K_IO_TOTAL, "io-total", U(proc), U(object), U(read_ops), U(read_bytes), U(write_ops),
         U(write_bytes)),
    KIND(PV_K_PATH_OP, "path-op", U(proc), T(op), T(path), T(new_path), U(result)),
    KIND(PV_K_CONNECT, "connect", U(proc), U(object), U(family), T(addr), U(port), U(result)),
    KIND(PV_K_ACCEPT, "accept", U(proc), U(object), U(family), T(addr), U(port)),
    KIND(PV_K_MAP_EXEC, "map-exec", U(proc), U(object), U(prot)),
    KIND(PV_K_ATTEMPT_DENIED, "attempt-denied", U(proc), U(syscall), U(result)),
    KIND(PV_K_INTERFERENCE, "interference", U(proc), U(syscall), U(arg0), U(arg1), U(result)),
    KIND(PV_K_CREDENTIALS, "credentials", U(proc), U(syscall), U(arg0), U(result)),
    KIND(PV_K_FOREIGN_ENTRY, "foreign-entry", U(proc), T(entry), U(syscall), U(result)),
    KIND(PV_K_NAME_OP, "name-op", U(proc), U(object), T(op), T(path), T(new_path)),
    KIND(PV_K_INFLUENCE, "influence", U(proc), U(target), T(how)),
    KIND(PV_K_MONITOR_ALARM, "monitor-alarm", U(pid), U(tid), T(what), T(object), U(syscall), U(arg0),
         U(arg1), U(result), T(claim)),
    KIND(PV_K_MONITOR_OPEN, "monitor-open", U(pid), U(tid), T(path), U(dev), U(ino), U(mode), U(flags),
         T(claim)),
};
/* clang-format on */

const struct pv_kind_schema *pv_kind_schema(unsigned kind)
{
    return kind < KINDS_END && schemas[kind].name ? &schemas[kind] : NULL;
}

const struct pv_kind_schema *pv_kind_by_name(const char *name)
{
    for (unsigned i = 0; i < KINDS_END; i++)
        if (schemas[i].name && strcmp(schemas[i].name, name) == 0)
            return &schemas[i];
    return NULL;
}

bool pv_kind_is_critical(unsigned kind)
{
    return kind == PV_K_DEPLOYMENT || kind == PV_K_REMOVAL || kind == PV_K_SECRET_CHANGE ||
           kind == PV_K_EGRESS || kind == PV_K_KEY_ROTATION ||
           kind == PV_K_MONITOR_ALARM;
}
