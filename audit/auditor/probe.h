/* The outside witness's user side: loads the eBPF programs (or finds them running), and turns their
 * records into events of the kinds 64 to 84 and PV_K_GAP. One thread.
 *
 * The programs, the ring and the counters are pinned, so the auditor may die at any moment: records
 * wait in the ring, and those not released are seen again. What a crash between append and release
 * would repeat is known by the sequence numbers: a caller that notes pv_probe_place with each event
 * it appends hands the places that reached its log to pv_probe_resume after a restart.
 *
 * Capabilities: opening needs CAP_BPF and CAP_PERFMON when it loads; afterwards only descriptors
 * and mapped pages are used. pv_probe_trace and pv_probe_untrace update a map through its
 * descriptor, which needs CAP_BPF on kernels before 5.19 with kernel.unprivileged_bpf_disabled set.
 * pv_probe_release sends SIGCONT to processes of others: CAP_KILL.
 */
#pragma once
#include "pv/event.h"

#include <stdbool.h>
#include <sys/types.h>

struct pv_probe;
struct pv_bpf_head; /* pv/bpf_record.h */
struct pv_probe_info {
    bool reused;      /* the programs of an earlier auditor were still running */
    uint64_t load_id; /* realtime ns of their loading; sequence numbers start there */
    uint32_t ring_bytes;
    uint32_t n_cpus;    /* possible CPUs */
    uint32_t present;   /* enum pv_bpf_feature */
    char features[160]; /* for PV_K_LOG_OPEN's witness field */
};
struct pv_probe_counters {
    uint64_t
        delivered;    /* seq of the last record handed out or reported missing: WITNESS_COUNTERS */
    uint64_t emitted; /* records the kernel has put into the ring since loading */
    uint64_t lost;    /* records that did not fit */
    uint64_t holds;   /* processes that were stopped to wait for room */
};

/* Whether eBPF can be had here; otherwise reason (cap bytes) says why not. */
bool pv_probe_available(char *reason, size_t cap);
/* Reuses the pins in bpffs_dir when they are of this build and size; otherwise removes them, loads,
 * attaches and pins. ring_bytes: 0 for the default, else a power of two of at least a page. */
PV_MUST_CHECK int pv_probe_open(struct pv_probe **ret, const char *bpffs_dir, uint32_t ring_bytes,
                                struct pv_probe_info *ret_info, struct pv_err *err);
/* Readable while records wait that have not been released. The programs wake it at a threshold or
 * for a critical record only: look every few milliseconds as well. Borrowed. */
int pv_probe_fd(const struct pv_probe *p);
/* From now on the children of that process (its id in the initial pid namespace) are followed. Ends
 * by itself when the process does. hold: they are stopped while the ring is half full, until
 * pv_probe_release has made room; otherwise they run on and records may be lost, counted. */
PV_MUST_CHECK int pv_probe_trace(struct pv_probe *p, pid_t host_pid, bool hold, struct pv_err *err);
/* That process has sealed itself: from now on its threads are watched, and what no monitor has to
 * do becomes an alarm. claim: where each thread keeps its claim (pv/bpf_record.h). *ret_threads: so
 * many it has. -ENOTSUP: this kernel does not allow it. */
PV_MUST_CHECK int pv_probe_watch(struct pv_probe *p, pid_t host_pid, bool hold, int64_t claim,
                                 uint64_t *ret_threads, struct pv_err *err);
/* New children are no longer followed; those that are, remain so. */
PV_MUST_CHECK int pv_probe_untrace(struct pv_probe *p, pid_t host_pid, struct pv_err *err);
/* 1 = an event, without domain, epoch and dseq; its values are borrowed until the next call. 0 = no
 * record waits. -EBADMSG: the ring is not what the programs write (the record has been passed).
 * Records that did not fit into the ring come as a gap event in their place, or, when nothing
 * followed them on their CPU, as soon as the ring is empty. */
PV_MUST_CHECK int pv_probe_next(struct pv_probe *p, struct pv_event *ret, struct pv_err *err);
/* What pv_probe_next makes its event of: a record, or a gap. */
struct pv_probe_raw {
    const struct pv_bpf_head *rec; /* borrowed until the next release; NULL: a gap */
    uint32_t cpu;
    uint64_t first, count; /* of a gap */
};
/* As pv_probe_next, untranslated. */
PV_MUST_CHECK int pv_probe_next_raw(struct pv_probe *p, struct pv_probe_raw *ret,
                                    struct pv_err *err);
/* What turns a record's time into the time of day now. */
int64_t pv_probe_real_minus_boot(const struct pv_probe *p);
/* Where the last call of pv_probe_next stands: every record of that CPU up to seq is accounted for.
 */
struct pv_probe_place {
    uint32_t cpu;
    uint64_t seq;
};
struct pv_probe_place pv_probe_place(const struct pv_probe *p);
/* Frees the ring space of every record returned so far: call it once the log holds them, and now
 * and then when nothing is to be released. Processes that were stopped for want of room go on as
 * soon as no more than an eighth of the ring waits. */
void pv_probe_release(struct pv_probe *p);
/* Records of that CPU up to seq are in the log: do not hand them out again. Only with the load_id
 * under which seq was written; before the first pv_probe_next. */
void pv_probe_resume(struct pv_probe *p, uint32_t cpu, uint64_t seq);
/* -EINVAL when there is no such CPU. */
PV_MUST_CHECK int pv_probe_counters(const struct pv_probe *p, uint32_t cpu,
                                    struct pv_probe_counters *ret);
/* Accepts NULL. unpin: also stop the programs and forget what waits. */
void pv_probe_close(struct pv_probe *p, bool unpin);
