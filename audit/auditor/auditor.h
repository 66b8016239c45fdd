/* The auditor: what its parts share. One thread; every part runs from the loop. */
#pragma once
#include "producers.h"
#include "ratchets.h"

#include "pv/evidence_log.h"

struct witness;

struct auditor {
    struct pv_log *log;           /* owned */
    struct ratchets *ratchets;    /* owned */
    struct producers producers;   /* by domain, with what the log says of domains no longer there */
    struct producer *self;        /* the auditor's own domain, one of producers; borrowed */
    struct witness *witness;      /* owned; NULL without eBPF */
    struct pv_buf scratch;        /* canonical bytes of the auditor's own event at hand */
    struct pv_log_recovery found; /* at opening */
    bool from_first;              /* opening it has looked at its first entry */
    bool proven;                  /* and found what keys/ratchets says was signed */
    uint64_t orphan_rings;        /* taken up at the start */
    uint64_t orphan_events;
    uint64_t oldest_unsigned_ns; /* monotonic; 0: everything is signed */
    uint64_t last_commit_ns;
    uint64_t last_heartbeat_ns;
    uint64_t heartbeat_size; /* of the log, with the last heartbeat */
    uint64_t epoch_since_ns; /* the auditor's own */
    bool epoch_tells;        /* it has an event that tells something of others */
    int log_dir;             /* borrowed */
    uint64_t looked_detach_ns;
    int key_dir;        /* borrowed; where a request to change the key is left */
    uint64_t looked_ns; /* for such a request, last */
    bool rotating;      /* a change of the key is begun: until it is done nothing else is signed */
    uint64_t rotation_size; /* of the log with its event; 0: that is not in it */
    bool critical;          /* an event waits that gets a checkpoint at once */
    bool stalled;           /* the last write failed: the rings keep their records */
    bool full;              /* the disk is; said once */
    bool draining;          /* told to finish */
    bool control_closed;
};

/* --- self.c: the auditor's own events --- */
/* Sets domain and dseq, tags, and adds to the batch. */
PV_MUST_CHECK int auditor_emit(struct auditor *a, struct pv_event *e, struct pv_err *err);
PV_MUST_CHECK int auditor_emit_open(struct auditor *a, const char *name,
                                    const uint8_t measurement[PV_HASH_BYTES], const char *witness,
                                    struct pv_err *err);
PV_MUST_CHECK int auditor_emit_recovery(struct auditor *a, struct pv_err *err);
PV_MUST_CHECK int auditor_emit_close(struct auditor *a, const struct pv_domain_id *closed,
                                     const char *reason, struct pv_err *err);
/* What the producer's process had noted and taken along. */
PV_MUST_CHECK int auditor_emit_unrecorded(struct auditor *a, const struct producer *p,
                                          uint64_t count, struct pv_err *err);
PV_MUST_CHECK int auditor_emit_fault(struct auditor *a, const struct producer *faulty,
                                     const char *what, struct pv_err *err);
/* Remembers that something waits for a signature. */
void auditor_note_unsigned(struct auditor *a, unsigned kind);

/* --- disclose.c: the keys of signed epochs --- */
PV_MUST_CHECK int auditor_disclose(struct auditor *a, struct producer *p, struct pv_err *err);
PV_MUST_CHECK int auditor_end_own_epoch(struct auditor *a, struct pv_err *err);

/* --- rotation.c: a new log key, when the file keys/rotate asks for one --- */
PV_MUST_CHECK int auditor_rotate_if_asked(struct auditor *a, struct pv_err *err);
/* The change that was begun, from the step on that failed. */
PV_MUST_CHECK int auditor_rotate_on(struct auditor *a, struct pv_err *err);
/* The request for a change that opening the log has finished is done with. */
PV_MUST_CHECK int auditor_rotation_found(struct auditor *a, struct pv_err *err);

/* --- detach.c: old entries leave the log, when the file keys/detach asks for it --- */
PV_MUST_CHECK int auditor_detach_if_asked(struct auditor *a, struct pv_err *err);

/* --- recovery.c --- */
/* pv_log_scan_fn: learns each domain's position, checks the tags of what no checkpoint covers. */
int auditor_scan_entry(void *ctx, const struct pv_log_entry *entry, const struct pv_event *event,
                       bool is_signed, struct pv_err *err);
/* Whether what the ratchets say lay under a durable checkpoint does so in this log; -EBADMSG when
 * not. Once, when all that is signed was looked at. */
PV_MUST_CHECK int auditor_check_proven(struct auditor *a, struct pv_err *err);
/* Of domains without an event among those looked at. */
void auditor_settle_unmet(struct auditor *a);
/* Takes the ratchets found on disk as the starting points of the scan. */
PV_MUST_CHECK int auditor_load_ratchets(struct auditor *a, struct pv_err *err);

/* --- drain.c: from the rings into the batch --- */
/* The ring is read no further; the fault is evidence of its own, logged when there is room. */
void auditor_condemn(struct producer *p, const char *what);
PV_MUST_CHECK int auditor_report_fault(struct auditor *a, struct producer *p, struct pv_err *err);
/* Takes at most budget records; *ret_taken counts. Refused rings are condemned, not errors. */
PV_MUST_CHECK int auditor_drain(struct auditor *a, unsigned budget, unsigned *ret_taken,
                                struct pv_err *err);
/* write(), then gives the rings' space back. A failure leaves everything to be tried again. */
PV_MUST_CHECK int auditor_write(struct auditor *a, struct pv_err *err);
/* Signs what is there, then keeps the ratchets and tells the producers. */
PV_MUST_CHECK int auditor_commit(struct auditor *a, struct pv_err *err);
/* 0 when the failure rc may pass (the disk is full); the events stay where they are. */
PV_MUST_CHECK int auditor_tolerate(struct auditor *a, int rc, const struct pv_err *why,
                                   struct pv_err *err);

/* --- control.c: what the supervisor says --- */
/* Handles every message that waits. */
PV_MUST_CHECK int auditor_control(struct auditor *a, struct pv_err *err);
/* Closes domains whose process is gone and whose ring is empty, and says so; answers what could not
 * be answered at once. */
PV_MUST_CHECK int auditor_finish_gone(struct auditor *a, struct pv_err *err);
PV_MUST_CHECK int auditor_say(uint16_t type, const struct pv_domain_id *domain, struct pv_err *err);

/* --- watch.c: sealed monitors --- */
/* Has the probes watch that sealed host's process, and logs that they do. Where they cannot, only
 * the log says less. claim: as in pv/bpf_record.h. */
PV_MUST_CHECK int auditor_watch(struct auditor *a, struct producer *p, int64_t claim,
                                struct pv_err *err);
/* An alarm is said aloud, too. */
void auditor_say_alarm(const struct pv_event *e);

/* --- loop.c --- */
/* Runs until the supervisor is gone or has said to finish; everything is signed then. */
PV_MUST_CHECK int auditor_run(struct auditor *a, int signal_fd, struct pv_err *err);

/* --- seccomp.c --- */
PV_MUST_CHECK int auditor_confine(bool with_bpf, struct pv_err *err);
