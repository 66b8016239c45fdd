/* The outside witness as the auditor uses it: eBPF records become events of the auditor's domain.
 */
#pragma once
#include "auditor.h"

struct witness;
/* Loads the probes or takes up those that are pinned; text says what is there, for log-open. Call
 * witness_resume before anything is taken from it. */
PV_MUST_CHECK int witness_open(struct witness **ret, int key_dir_fd, const char *bpffs_path,
                               char *ret_text, size_t text_cap, struct pv_err *err);
/* A recorded stream instead, in fd, which is taken: nothing is loaded, and nobody is traced. */
PV_MUST_CHECK int witness_open_replay(struct witness **ret, int fd, char *ret_text, size_t text_cap,
                                      struct pv_err *err);
/* The log was opened with that many entries: what it holds already is not taken again. */
void witness_resume(struct witness *w, uint64_t log_size);
int witness_fd(const struct witness *w);
/* hold: the children wait for room in the ring rather than run on while records are lost. */
PV_MUST_CHECK int witness_trace(struct witness *w, uint64_t pid, bool hold, struct pv_err *err);
/* Watches the process itself; *ret_threads: so many it has. -ENOTSUP: nothing can. */
PV_MUST_CHECK int witness_watch(struct witness *w, uint64_t pid, bool hold, int64_t claim,
                                uint64_t *ret_threads, struct pv_err *err);
void witness_untrace(struct witness *w, uint64_t pid);
/* Adds at most budget records to the batch as events. */
PV_MUST_CHECK int witness_drain(struct auditor *a, unsigned budget, unsigned *ret_taken,
                                struct pv_err *err);
/* Gives their space back: call it once they are written. */
void witness_release(struct witness *w);
/* Emits the counters of each CPU where they have changed since; of CPU 0 (or, without eBPF, zeroes)
 * where none has, as a heartbeat. */
PV_MUST_CHECK int witness_emit_counters(struct auditor *a, struct pv_err *err);
/* unpin: nothing is to be found by a next auditor. Accepts NULL. */
void witness_close(struct witness *w, bool unpin);
