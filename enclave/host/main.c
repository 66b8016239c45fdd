/* provost-host: started by the supervisor, one for each function version. */
#include "host.h"

#include "pv/log.h"
#include "pv/measure.h"
#include "pv/own.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

/* What the start message carries beyond struct pv_role_start. */
struct start {
    struct pv_role_start role;
    uint32_t uid, gid, n_slots;
    uint8_t machine; /* the supervisor's word about it (pv_vm_stand_by) */
    bool microvm;
    enum pv_cgroup_mode cgroup_mode;
    struct pv_slot_paths *slots; /* owned */
    int data, log, package, secrets;
};

static void slot_group(const char *dir, unsigned slot, char out[PV_PATH_MAX])
{
    out[0] = '\0';
    if (dir[0])
        (void)snprintf(out, PV_PATH_MAX, PV_SLOT_GROUP, dir, slot);
}

static int read_slots(struct pv_reader *r, struct start *s, struct pv_err *err)
{
    struct pv_slot_paths all = {0};

    if (r->failed || s->n_slots == 0 || s->n_slots > PV_CONCURRENCY_MAX)
        return pv_refuse(err, EBADMSG, "the start message's slots are malformed");
    s->slots = s->microvm ? NULL : calloc(s->n_slots, sizeof *s->slots);
    if (!s->slots && !s->microvm)
        return pv_fail(err, ENOMEM, "start with %u slots", s->n_slots);
    if (s->slots) {
        pv_read_str(r, all.memory, sizeof all.memory);
        pv_read_str(r, all.pids, sizeof all.pids);
        pv_read_str(r, all.cpu, sizeof all.cpu);
    }
    for (uint32_t i = 0; s->slots && i < s->n_slots; i++) {
        slot_group(all.memory, i, s->slots[i].memory);
        slot_group(all.pids, i, s->slots[i].pids);
        slot_group(all.cpu, i, s->slots[i].cpu);
    }
    return pv_reader_end(r, "the start message", err);
}

static int read_place(struct pv_reader *r, struct pv_host *h, struct start *s, struct pv_err *err)
{
    uint8_t mode, audit, microvm;

    s->uid = pv_read_u32(r);
    s->gid = pv_read_u32(r);
    s->n_slots = pv_read_u32(r);
    mode = pv_read_u8(r);
    audit = pv_read_u8(r);
    microvm = pv_read_u8(r);
    s->machine = pv_read_u8(r);
    pv_read_str(r, h->unfit, sizeof h->unfit);
    if (audit > 1 || microvm > 1 || mode > PV_CGROUP_V2)
        return pv_refuse(err, EBADMSG, "the start message is malformed");
    h->audit = audit != 0;
    s->microvm = microvm != 0;
    s->cgroup_mode = (enum pv_cgroup_mode)mode;
    return read_slots(r, s, err);
}

/* Fills in the host's producer, specification and descriptors, and what create needs. */
static int receive_start(struct pv_host *h, struct start *s, struct pv_err *err)
{
    pv_automsg struct pv_msg m = {0};
    struct pv_reader r;
    const uint8_t *spec;
    size_t len;
    int ring, rc;

    PV_TRY(pv_role_wait_start(&m, &r, &s->role, err));
    spec = pv_read_bytes(&r, PV_SPEC_MAX, &len);
    if (!spec)
        return pv_refuse(err, EBADMSG, "the start message holds no specification");
    PV_TRY(pv_spec_decode(spec, len, &h->spec, err));
    PV_TRY(read_place(&r, h, s, err));
    ring = pv_msg_take_fd(&m, 0);
    s->data = pv_msg_take_fd(&m, 1);
    s->log = pv_msg_take_fd(&m, 2);
    s->package = pv_msg_take_fd(&m, 3);
    s->secrets = pv_msg_take_fd(&m, 4);
    if (ring < 0 || s->data < 0 || s->log < 0 || s->package < 0)
        return pv_refuse(err, EBADMSG, "the start message lacks descriptors");
    rc = pv_producer_open(&h->producer, ring, PV_ROLE_BELL_FD, &s->role.domain, s->role.k0,
                          s->role.name, s->role.measurement, err);
    explicit_bzero(s->role.k0, sizeof s->role.k0);
    explicit_bzero(m.body.data, m.body.len);
    return rc;
}

static int on_secret(void *ctx, const char *name, const void *content, size_t len,
                     struct pv_err *err)
{
    struct pv_host *h = ctx;
    uint8_t hash[PV_HASH_BYTES];
    struct pv_event e;

    if (!h->audit)
        return 0;
    pv_sha256(content, len, hash);
    pv_event_init(&e, PV_K_SECRET_MOUNTED, NULL);
    pv_event_text(&e, name);
    pv_event_bytes(&e, hash, sizeof hash);
    return pv_producer_emit(h->producer, &e, err);
}

static int make_seats(struct pv_host *h, unsigned n, struct pv_err *err)
{
    h->seats = calloc(n, sizeof *h->seats);
    if (!h->seats)
        return pv_fail(err, ENOMEM, "start with %u slots", n);
    h->n_seats = n;
    h->wanted = h->spec.prepared < n ? h->spec.prepared : n;
    for (unsigned i = 0; i < n; i++) {
        h->seats[i].slot = i;
        h->seats[i].listener = -1;
        pv_buf_init(&h->seats[i].output, h->spec.output_bytes);
    }
    return 0;
}

/* The supervisor thought there was one. If the class leaves it open, it is told, and tells us to
 * end (-ECANCELED). */
static int no_machine(struct pv_host *h, const struct pv_err *why, struct pv_err *err)
{
    uint16_t heard = 0;

    if (h->spec.class == PV_CLASS_AUTO)
        PV_TRY(pv_prepare_make_way(h, why->text, err));
    while (h->spec.class == PV_CLASS_AUTO && heard != PV_ROLE_DRAIN) {
        pv_automsg struct pv_msg m = {0};

        if (pv_msg_recv(h->control, &m, err) <= 0)
            break;
        heard = m.type;
    }
    return pv_refuse(err, h->spec.class == PV_CLASS_AUTO ? ECANCELED : ENOTSUP,
                     "no micro-VM can run on this machine: %.255s", why->text);
}

static int create_domain(struct pv_host *h, const struct start *s, struct pv_err *err)
{
    struct pv_domain_config c = {&h->spec, s->uid,     s->gid,     s->n_slots, s->cgroup_mode,
                                 s->slots, s->package, s->secrets, on_secret,  h};
    struct pv_err why = PV_ERR_INIT;

    if (!s->microvm)
        return pv_process_class.create(&h->domain, &c, err);
    if (pv_microvm_open(s->machine, &why) < 0)
        return no_machine(h, &why, err);
    PV_TRY(pv_microvm_class.create(&h->domain, &c, err));
    h->microvm = true;
    h->domain->unrecorded = pv_producer_unrecorded(h->producer);
    return 0;
}

/* Here and not where it is stored: of the very directory that is mounted next, in a process that
 * holds up no other function however large the package is. */
static int check_package(struct pv_host *h, int package, struct pv_err *err)
{
    char name[2 * PV_MEASUREMENT_BYTES + 1];
    struct pv_err why = PV_ERR_INIT;
    int rc = pv_package_check(package, h->spec.package, &why);

    if (rc != -EBADMSG) {
        *err = why;
        return rc;
    }
    pv_hex(h->spec.package, sizeof h->spec.package, name);
    pv_record_denied(h, "package", name, "it was changed after it was stored");
    return pv_refuse(err, EBADMSG, "%.400s: deploy the function again", why.text);
}

static int say_ready(struct pv_err *err)
{
    pv_automsg struct pv_msg m;

    pv_msg_init(&m, PV_ROLE_READY);
    pv_buf_str(&m.body, "host");
    return pv_msg_send(PV_ROLE_CONTROL_FD, &m, err);
}

/* ret_end: what is said when it fails. */
static int start(struct pv_host *h, enum pv_host_msg *ret_end, struct pv_err *err)
{
    struct start s = {.data = -1, .log = -1, .package = -1, .secrets = -1};
    int rc = receive_start(h, &s, err);

    *ret_end = PV_HOST_FAULT;

    if (rc == 0) {
        h->data = s.data;
        h->control = PV_ROLE_CONTROL_FD;
        pv_log_file_init(&h->log, s.log);
        rc = make_seats(h, s.n_slots, err);
    }
    if (rc == 0) {
        rc = check_package(h, s.package, err);
        /* calls are refused, and not kept until another start has come to the same */
        *ret_end = rc < 0 ? PV_HOST_FAILED : PV_HOST_FAULT;
    }
    if (rc == 0)
        rc = create_domain(h, &s, err);
    free(s.slots);
    pv_close_fd_(&s.package);
    pv_close_fd_(&s.secrets);
    return rc;
}

/* The log has it too; a client of the gateway sees only this. */
static void say_end(const struct pv_host *h, enum pv_host_msg type, const struct pv_err *why)
{
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;

    pv_msg_init(&m, (uint16_t)type);
    pv_buf_str(&m.body, why->text);
    if (h->data >= 0 && pv_msg_send(h->data, &m, &err) < 0)
        pv_log(PV_LOG_WARN, "%s", err.text);
}

static void finish(struct pv_host *h, const char *reason)
{
    if (h->domain)
        h->domain->class->free(h->domain);
    for (unsigned i = 0; i < h->n_seats; i++) {
        pv_buf_done(&h->seats[i].output);
        pv_close_fd_(&h->seats[i].listener);
    }
    free(h->seats);
    pv_spec_done(&h->spec);
    pv_producer_close(h->producer, reason);
}

int main(void)
{
    struct pv_host h = {.epoll = -1, .data = -1, .idle_ns = UINT64_MAX};
    struct pv_err err = PV_ERR_INIT;
    enum pv_host_msg end;
    int rc;

    pv_log_init("host", PV_LOG_INFO);
    /* one arena, small: there may be a thousand hosts */
    (void)mallopt(M_ARENA_MAX, 1);
    (void)mallopt(M_TRIM_THRESHOLD, 256 << 10);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)fcntl(PV_ROLE_CONTROL_FD, F_SETFD, FD_CLOEXEC);
    (void)fcntl(PV_ROLE_BELL_FD, F_SETFD, FD_CLOEXEC);
    h.queue_end = &h.queue;
    h.out_end = &h.out;
    rc = start(&h, &end, &err);
    if (rc == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        rc = pv_fail(&err, errno, "tie the host to its supervisor");
    if (rc == 0)
        rc = say_ready(&err);
    if (rc == 0)
        rc = pv_loop_run(&h, &err);
    if (rc < 0) {
        pv_log(PV_LOG_ERROR, "%s", err.text);
        if (rc != -ECANCELED)
            say_end(&h, end, &err);
    }
    finish(&h, rc < 0 ? "fault" : "stopped");
    return rc < 0 ? 1 : 0;
}
