/* The event model (W3C PROV activities and entities as signed facts) and its canonical bytes.
 *
 * One encoding only: version u8 = 1, kind u16, domain 8 bytes, epoch u32, dseq u64, time u64 (ns
 * since the epoch), invocation 10 bytes (zero: none), then every field of the kind's schema in its
 * order, each as u32 length and bytes; a number is 8 big-endian bytes. The decoder refuses
 * everything else. docs/formats/event.md is the normative text. Kinds and fields are append-only.
 */
#pragma once
#include "pv/buf.h"
#include "pv/id.h"
#include "pv/limits.h"

#include <stdint.h>

enum pv_kind {
    /* any producer */
    PV_K_DOMAIN_OPEN = 1,  /* name, commitment (H(K_0)), pid, measurement */
    PV_K_DOMAIN_CLOSE = 2, /* closed_domain, reason (the auditor closes for the dead) */
    PV_K_DENIED = 3,       /* what, object, reason */
    PV_K_EPOCH_END =
        4, /* next_commitment (H of the next epoch's first key): the last of its epoch */
    /* gateway */
    PV_K_DEPLOYMENT = 10, /* function, version, measurement, spec_hash, agent */
    PV_K_REMOVAL = 11,    /* function, version, agent */
    PV_K_REQUEST = 12,  /* function, version, method, target, body_hash, body_len, caller, remote */
    PV_K_RESPONSE = 13, /* status, body_hash, body_len, duration_ns, outcome */
    PV_K_CALL = 14, /* connection, callee_function, callee, allowed, reason, body_hash, body_len */
    PV_K_CALL_RETURN = 15, /* connection, callee, status, body_hash, body_len */
    PV_K_EGRESS = 16,      /* connection, host, port, method, target, allowed, reason */
    PV_K_EGRESS_END = 17, /* connection, status, sent_hash, sent_len, received_hash, received_len */
    /* enclave host */
    PV_K_INSTANCE_PREPARED =
        20, /* instance, pid, start_ticks, mode, stdin_ino, stdout_ino, stderr_ino */
    PV_K_INVOCATION_BEGIN = 21,   /* instance, function, version, body_hash, body_len, env_hash */
    PV_K_INVOCATION_END = 22,     /* instance, outcome, exit_code, signal, body_hash, body_len,
                                     stderr_len, duration_ns, cpu_ns, peak_bytes */
    PV_K_INSTANCE_DESTROYED = 23, /* instance, reason */
    PV_K_CONNECTION = 24,         /* instance, connection, broker, source_port */
    PV_K_LIMIT = 25,              /* instance, limit, value */
    PV_K_SECRET_MOUNTED = 26,     /* name, content_hash */
    PV_K_SNAPSHOT = 27,           /* measurement, bytes, threads, start_ns, unknown */
    PV_K_ACCESS = 28,             /* instance, what, path, dev, ino, size, flags, result */
    /* supervisor */
    PV_K_ROLE_START = 30,    /* role, pid, uid */
    PV_K_ROLE_EXIT = 31,     /* role, pid, status, backoff_ms */
    PV_K_SECRET_CHANGE = 32, /* name, action, content_hash */
    /* auditor */
    PV_K_LOG_OPEN = 40, /* size, root, witness (eBPF features or "missing: reason") */
    PV_K_RECOVERY =
        41,        /* log_size, checkpointed_size, orphan_rings, orphan_events, discarded_bytes */
    PV_K_GAP = 42, /* witness, cpu, first_missing, count */
    PV_K_PRODUCER_FAULT = 43,   /* faulty_domain, expected_dseq, what */
    PV_K_WITNESS_COUNTERS = 44, /* cpu, emitted, lost */
    PV_K_KEY_ROTATION = 46,     /* old_key, new_key (Ed25519 public keys of the log) */
    PV_K_LOG_DETACHED = 47,    /* first, count (entries that the log need not hold), archive_hash */
    PV_K_KEY_DISCLOSED = 45,   /* disclosed_domain, disclosed_epoch, first_dseq, count, key */
    PV_K_MONITOR_WATCHED = 48, /* watched_domain, pid, threads */
    /* outside witness (eBPF), signed in the auditor's domain; proc is unique within a boot */
    PV_K_PROC_FORK = 64,      /* proc, parent, host_pid, pid, start_ticks, cgroup */
    PV_K_PROC_EXEC = 65,      /* proc, object, path, argv */
    PV_K_PROC_EXIT = 66,      /* proc, code, signal */
    PV_K_OBJECT = 67,         /* object, type, dev, ino, gen, path */
    PV_K_SOCKET = 68,         /* object, family, local_addr, local_port, remote_addr, remote_port */
    PV_K_OPEN = 69,           /* proc, object, flags, fd */
    PV_K_READ = 70,           /* proc, object, bytes */
    PV_K_WRITE = 71,          /* proc, object, bytes */
    PV_K_IO_TOTAL = 72,       /* proc, object, read_ops, read_bytes, write_ops, write_bytes */
    PV_K_PATH_OP = 73,        /* proc, op, path, new_path, result */
    PV_K_CONNECT = 74,        /* proc, object, family, addr, port, result */
    PV_K_ACCEPT = 75,         /* proc, object, family, addr, port */
    PV_K_MAP_EXEC = 76,       /* proc, object, prot */
    PV_K_ATTEMPT_DENIED = 77, /* proc, syscall, result */
    PV_K_INTERFERENCE = 78,   /* proc, syscall, arg0, arg1, result */
    PV_K_CREDENTIALS = 79,    /* proc, syscall, arg0, result */
    PV_K_FOREIGN_ENTRY = 80,  /* proc, entry (compat, x32, io_uring, unknown), syscall, result */
    PV_K_NAME_OP = 81,        /* proc, object, op, path, new_path */
    PV_K_INFLUENCE = 82,      /* proc, target, how (signal, end, proc-file) */
    PV_K_MONITOR_ALARM = 83,  /* pid, tid, what, object, syscall, arg0, arg1, result, claim */
    PV_K_MONITOR_OPEN = 84,   /* pid, tid, path, dev, ino, mode, flags, claim */
};

enum pv_field_type { PV_F_U64, PV_F_TEXT, PV_F_BYTES };

struct pv_field_schema {
    const char *name;
    enum pv_field_type type;
};
struct pv_kind_schema {
    enum pv_kind kind;
    const char *name; /* "invocation-begin" */
    unsigned n_fields;
    struct pv_field_schema fields[PV_EVENT_FIELDS_MAX];
};

/* The schema of a kind; NULL when unknown. Static storage. */
const struct pv_kind_schema *pv_kind_schema(unsigned kind);
/* Schema by name; NULL when unknown. */
const struct pv_kind_schema *pv_kind_by_name(const char *name);
/* Kinds that get a checkpoint at once: deployment, removal, secret-change, egress, key-rotation,
 * monitor-alarm. */
bool pv_kind_is_critical(unsigned kind);

struct pv_value {
    uint64_t u64;         /* PV_F_U64 */
    const uint8_t *bytes; /* PV_F_TEXT, PV_F_BYTES: borrowed */
    uint32_t len;
};
struct pv_event {
    uint16_t kind;
    struct pv_domain_id domain;
    uint32_t epoch;
    uint64_t dseq;                /* dense within the domain, from 0 */
    uint64_t time_ns;             /* realtime */
    struct pv_call_id invocation; /* none: all zero */
    unsigned n;                   /* fields set so far; must equal the schema's count */
    struct pv_value v[PV_EVENT_FIELDS_MAX];
};

/* Starts an event of that kind at the present time; domain, epoch and dseq are the producer's. */
void pv_event_init(struct pv_event *e, enum pv_kind kind, const struct pv_call_id *invocation);
/* The same of another time (realtime ns). */
void pv_event_init_at(struct pv_event *e, enum pv_kind kind, const struct pv_call_id *invocation,
                      uint64_t time_ns);
/* Append the next field. Bytes are borrowed until the event has been encoded. */
void pv_event_u64(struct pv_event *e, uint64_t v);
void pv_event_text(struct pv_event *e, const char *s);
void pv_event_bytes(struct pv_event *e, const void *p, size_t len);

/* Canonical bytes appended to b. -EINVAL when the fields do not match the schema, -EMSGSIZE past
 * PV_EVENT_MAX. */
PV_MUST_CHECK int pv_event_encode(const struct pv_event *e, struct pv_buf *b, struct pv_err *err);
/* Decodes exactly len bytes; values borrow from p. -EBADMSG for anything not canonical. */
PV_MUST_CHECK int pv_event_decode(const void *p, size_t len, struct pv_event *ret,
                                  struct pv_err *err);
/* Field by name; NULL when the kind has none of that name. */
const struct pv_value *pv_event_field(const struct pv_event *e, const char *name);
/* Number by name, 0 when absent. */
uint64_t pv_event_get_u64(const struct pv_event *e, const char *name);
/* Text or bytes by name copied into out as a C string (cut at cap - 1, NUL bytes become spaces). */
void pv_event_get_text(const struct pv_event *e, const char *name, char *out, size_t cap);
