#include "probe_monitor.h"

#include "probe_text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

static const char *const alarms[PV_BPF_ALARMS_END] = {
    [PV_BPF_ALARM_FORK] = "fork",           [PV_BPF_ALARM_THREAD] = "thread",
    [PV_BPF_ALARM_EXEC] = "exec",           [PV_BPF_ALARM_MAP_EXEC] = "executable-mapping",
    [PV_BPF_ALARM_INTERFERE] = "interfere", [PV_BPF_ALARM_URING] = "io-uring",
    [PV_BPF_ALARM_CONNECT] = "connect",     [PV_BPF_ALARM_BIND] = "bind",
    [PV_BPF_ALARM_OPEN] = "open",           [PV_BPF_ALARM_DENIED] = "denied",
    [PV_BPF_ALARM_SIGNAL] = "signal",       [PV_BPF_ALARM_RIGHTS] = "rights",
    [PV_BPF_ALARM_NAME] = "name",           [PV_BPF_ALARM_ENTRY] = "foreign-entry",
    [PV_BPF_ALARM_KILLED] = "killed",
};

static const char *claim_of(const struct pv_bpf_monitor *r)
{
    switch (r->claim.purpose) {
    case PV_BPF_NO_CLAIM:
        return "";
    case PV_BPF_FOR_REQUEST:
        return "request";
    case PV_BPF_FOR_UPKEEP:
        return "upkeep";
    default:
        return "unknown";
    }
}

/* Memory of who is not trusted: a call is taken as what it says only where it says so. */
static void take_call(const struct pv_bpf_monitor *r, struct pv_event *e)
{
    _Static_assert(sizeof r->claim.call == sizeof e->invocation.bytes, "a call id");
    if (r->claim.purpose == PV_BPF_FOR_REQUEST)
        memcpy(e->invocation.bytes, r->claim.call, sizeof e->invocation.bytes);
}

/* "127.0.0.1:80", "[::1]:80", a path, or the family's number. */
static void address_text(const struct pv_bpf_monitor *r, char *out, size_t cap)
{
    char host[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;
    uint16_t family = 0;

    out[0] = 0;
    if (r->address_bytes < sizeof family)
        return;
    memcpy(&family, r->address, sizeof family);
    memcpy(&v4, r->address, sizeof v4);
    memcpy(&v6, r->address, sizeof v6);
    if (family == AF_INET)
        snprintf(out, cap, "%s:%u", inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host),
                 ntohs(v4.sin_port));
    else if (family == AF_INET6)
        snprintf(out, cap, "[%s]:%u", inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host),
                 ntohs(v6.sin6_port));
    else if (family == AF_UNIX && r->address_bytes > sizeof family)
        /* as in /proc/net/unix: an abstract name starts with @ */
        snprintf(out, cap, "%s%.*s", r->address[2] ? "" : "@",
                 (int)(r->address_bytes - sizeof family - !r->address[2]),
                 (const char *)r->address + sizeof family + !r->address[2]);
    else
        snprintf(out, cap, "address family %u", family);
}

static bool is_whole(const struct pv_bpf_monitor *r, struct pv_probe_texts *texts)
{
    if (r->address_bytes > sizeof r->address ||
        offsetof(struct pv_bpf_monitor, text) + (uint64_t)r->path_bytes != r->head.bytes ||
        !pv_probe_path(r->text, r->path_bytes, r->path_cut, texts->a, sizeof texts->a))
        return false;
    if (!r->ino)
        texts->a[0] = 0;
    return true;
}

int pv_probe_from_alarm(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_monitor *r = rec;
    int64_t result = r->head.result;

    if (!is_whole(r, texts) || r->what >= PV_BPF_ALARMS_END || !alarms[r->what])
        return -EBADMSG;
    address_text(r, texts->b, sizeof texts->b);
    take_call(r, e);
    pv_event_u64(e, r->pid);
    pv_event_u64(e, r->tid);
    pv_event_text(e, alarms[r->what]);
    pv_event_text(e, texts->b[0] ? texts->b : texts->a);
    pv_event_u64(e, r->head.sysno);
    pv_event_u64(e, r->arg0);
    pv_event_u64(e, r->arg1);
    pv_event_u64(e, result < 0 && result > -4096 ? (uint64_t)-result : 0);
    pv_event_text(e, claim_of(r));
    return 0;
}

int pv_probe_from_monitor_open(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_monitor *r = rec;

    if (!is_whole(r, texts))
        return -EBADMSG;
    take_call(r, e);
    pv_event_u64(e, r->pid);
    pv_event_u64(e, r->tid);
    pv_event_text(e, texts->a);
    pv_event_u64(e, makedev(r->dev >> 20, r->dev & 0xfffff));
    pv_event_u64(e, r->ino);
    pv_event_u64(e, r->mode);
    pv_event_u64(e, r->flags);
    pv_event_text(e, claim_of(r));
    return 0;
}
