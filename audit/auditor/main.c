/* provost-auditor: checks and orders the producers' events, keeps the evidence log, signs it.
 * Started by provostd only. */
#include "auditor.h"
#include "witness.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"
#include "pv/privilege.h"
#include "pv/role.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

struct start {
    struct pv_role_start role;
    uint8_t source; /* enum pv_witness_source */
    char without_reason[256];
    uid_t uid;
    gid_t gid;
    char bpffs_path[PV_PATH_MAX];
    char witness[320];    /* for log-open */
    int log_dir, key_dir; /* owned */
    int stream;           /* owned: to be replayed; -1: none */
    bool no_witness;      /* it could not be begun */
};

static int read_start(struct start *s, struct pv_err *err)
{
    pv_automsg struct pv_msg m = {.type = 0};
    struct pv_reader r;
    PV_TRY(pv_role_wait_start(&m, &r, &s->role, err));
    s->source = pv_read_u8(&r);
    pv_read_str(&r, s->without_reason, sizeof s->without_reason);
    s->uid = pv_read_u32(&r);
    s->gid = pv_read_u32(&r);
    pv_read_str(&r, s->bpffs_path, sizeof s->bpffs_path);
    PV_TRY(pv_reader_end(&r, "start message", err));
    /* Descriptor 0 is a ring as every role gets one; the auditor appends its events itself. */
    s->log_dir = pv_msg_take_fd(&m, 1);
    s->key_dir = pv_msg_take_fd(&m, 2);
    if (s->source == PV_WITNESS_REPLAY)
        s->stream = pv_msg_take_fd(&m, 3);
    explicit_bzero(m.body.data, m.body.len);
    if (s->log_dir < 0 || s->key_dir < 0)
        return pv_refuse(err, EBADMSG, "the start message lacks the log or key directory");
    return 0;
}

/* Opens what needs privileges, then gives them up. */
static int confine(struct auditor *a, struct start *s, struct pv_err *err)
{
    uint64_t caps = 0;
    if (s->source == PV_WITNESS_REPLAY) {
        PV_TRY(witness_open_replay(&a->witness, PV_TAKE_FD(s->stream), s->witness,
                                   sizeof s->witness, err));
    } else if (s->source == PV_WITNESS_BPF) {
        s->no_witness = true;
        PV_TRY(witness_open(&a->witness, s->key_dir, s->bpffs_path, s->witness, sizeof s->witness,
                            err));
        s->no_witness = false;
        caps = PV_CAP_MASK(CAP_BPF) | PV_CAP_MASK(CAP_PERFMON) | PV_CAP_MASK(CAP_KILL);
    } else {
        snprintf(s->witness, sizeof s->witness, "missing: %s", s->without_reason);
    }
    PV_TRY(pv_privilege_drop(s->uid, s->gid, caps, err));
    return auditor_confine(s->source == PV_WITNESS_BPF, err);
}

static int add_self(struct auditor *a, struct start *s, struct pv_err *err)
{
    unsigned slot;
    struct producer *self = producers_get(&a->producers, &s->role.domain);
    if (!self)
        return pv_fail(err, ENOMEM, "remember the auditor's domain");
    chain_init(&self->chain, s->role.k0);
    explicit_bzero(s->role.k0, sizeof s->role.k0);
    snprintf(self->name, sizeof self->name, "%s", s->role.name);
    PV_TRY(ratchets_add(a->ratchets, &self->id, &self->chain, &slot, err));
    self->slot = (int)slot;
    a->self = self;
    a->epoch_since_ns = pv_now_mono_ns();
    return 0;
}

static int commit_or_wait(struct auditor *a, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    int rc = auditor_commit(a, &why);
    return auditor_tolerate(a, rc, &why, err);
}

/* Rings that the supervisor found were announced with the start: what they hold is part of the
 * recovery. Living producers may be among them, and the disk may be full: then the loop takes the
 * rest. */
static int take_up_orphans(struct auditor *a, struct pv_err *err)
{
    unsigned taken;
    PV_TRY(auditor_control(a, err));
    do {
        PV_TRY(auditor_drain(a, PV_LOG_BATCH_MAX, &taken, err));
        PV_TRY(commit_or_wait(a, err));
    } while (taken > 0 && !a->full);
    return a->full ? 0 : auditor_finish_gone(a, err);
}

/* Those that are closed wait only for their last key to be disclosed: above all the domain of the
 * auditor before this one. Whether any other is left: then the end was not a clean one. */
static bool see_off_closed(struct auditor *a)
{
    bool open_left = false;
    for (struct producer *p = a->producers.head; p; p = p->hh.next) {
        p->gone |= p->closed;
        open_left |= !p->closed;
    }
    return open_left;
}

/* A scan can step the ratchets over what the journal holds, and over nothing before it. */
static int sync_ratchets(void *ctx, struct pv_err *err)
{
    return ratchets_sync(((struct auditor *)ctx)->ratchets, err);
}

static int open_log(struct auditor *a, struct start *s, struct pv_err *err)
{
    a->log_dir = s->log_dir;
    a->key_dir = s->key_dir;
    PV_TRY(ratchets_open(&a->ratchets, s->key_dir, err));
    PV_TRY(auditor_load_ratchets(a, err));
    PV_TRY(pv_log_open(&a->log, s->log_dir, s->key_dir, auditor_scan_entry, a, &a->found, err));
    a->from_first |= a->found.scanned_from == 0;
    PV_TRY(auditor_check_proven(a, err));
    PV_TRY(auditor_rotation_found(a, err));
    auditor_settle_unmet(a);
    pv_log_before_drop(a->log, sync_ratchets, a);
    /* After a clean end every domain is closed and forgotten. */
    bool unclean = see_off_closed(a) || a->found.discarded_bytes ||
                   a->found.size != a->found.checkpointed_size;
    if (a->found.size != pv_log_signed_size(a->log) || a->found.discarded_bytes)
        pv_log(PV_LOG_WARN, "recovered the log: %ju entries, %ju under a checkpoint, %ju bytes cut",
               (uintmax_t)a->found.size, (uintmax_t)a->found.checkpointed_size,
               (uintmax_t)a->found.discarded_bytes);
    if (a->witness)
        witness_resume(a->witness, a->found.size);
    /* Before any ratchet goes on: their older states are to be of durable checkpoints. */
    if (a->found.size != pv_log_signed_size(a->log))
        PV_TRY(commit_or_wait(a, err));
    PV_TRY(add_self(a, s, err));
    PV_TRY(auditor_emit_open(a, s->role.name, s->role.measurement, s->witness, err));
    PV_TRY(take_up_orphans(a, err));
    if (unclean || a->orphan_rings)
        PV_TRY(auditor_emit_recovery(a, err));
    a->last_heartbeat_ns = pv_now_mono_ns();
    PV_TRY(commit_or_wait(a, err));
    struct pv_err why = PV_ERR_INIT;
    int rc = pv_log_publish(a->log, true, &why);
    return auditor_tolerate(a, rc, &why, err);
}

static int say_ready(const struct auditor *a, const char *witness, struct pv_err *err)
{
    pv_automsg struct pv_msg m;
    char text[512];
    pv_msg_init(&m, PV_ROLE_READY);
    snprintf(text, sizeof text, "log %s of %ju entries; outside witness: %s",
             pv_log_key(a->log)->name, (uintmax_t)pv_log_size(a->log), witness);
    pv_buf_str(&m.body, text);
    return pv_msg_send(PV_ROLE_CONTROL_FD, &m, err);
}

static int serve(struct auditor *a, struct start *s, struct pv_err *err)
{
    sigset_t terminate;
    sigemptyset(&terminate);
    sigaddset(&terminate, SIGTERM);
    sigaddset(&terminate, SIGINT);
    if (sigprocmask(SIG_BLOCK, &terminate, NULL) < 0)
        return pv_fail(err, errno, "block signals");
    pv_autoclose int signal_fd = signalfd(-1, &terminate, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signal_fd < 0)
        return pv_fail(err, errno, "create a signalfd");
    PV_TRY(read_start(s, err));
    for (int fd = PV_ROLE_CONTROL_FD; fd <= PV_ROLE_BELL_FD; fd++)
        if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
            return pv_fail(err, errno, "make descriptor %d non-blocking", fd);
    PV_TRY(pv_crypto_init(err));
    PV_TRY(confine(a, s, err));
    PV_TRY(open_log(a, s, err));
    PV_TRY(say_ready(a, s->witness, err));
    return auditor_run(a, signal_fd, err);
}

int main(void)
{
    struct auditor a = {0};
    static struct start s = {.log_dir = -1, .key_dir = -1, .stream = -1};
    struct pv_err err = PV_ERR_INIT;
    pv_log_init("auditor", PV_LOG_INFO);
    umask(0027);
    pv_buf_init(&a.scratch, PV_EVENT_MAX);
    int rc = serve(&a, &s, &err);
    if (rc < 0)
        pv_log(PV_LOG_ERROR, "%s", err.text);
    /* Only an orderly stop takes the probes away; otherwise the next auditor finds them running. */
    witness_close(a.witness, rc == 0 && a.draining);
    pv_log_free(a.log);
    producers_done(&a.producers);
    ratchets_close(a.ratchets);
    pv_buf_done(&a.scratch);
    return rc == 0 ? 0 : s.no_witness ? PV_AUDITOR_NO_WITNESS : 1;
}
