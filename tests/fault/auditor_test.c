/* Runs the real auditor, plays its supervisor and its producers, kills it, and looks at the log. */
#include "pv/clock.h"
#include "pv/evidence_log.h"
#include "pv/io.h"
#include "pv/msg.h"
#include "pv/ring.h"
#include "pv/role.h"
#include "pv/rotations.h"
#include "pv/verify.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { UID = 65534, SKIP = 77 };

static struct {
    char dir[40];
    int dir_fd, log_fd, key_fd, bell, control;
    pid_t pid;
} t;

struct client {
    struct pv_domain_id id;
    uint8_t k0[32];
    int ring;
    struct pv_producer *producer;
};

static int open_dir(const char *name)
{
    assert_int_equal(mkdirat(t.dir_fd, name, 0700), 0);
    int fd = openat(t.dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fchown(fd, UID, UID), 0);
    return fd;
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    t.control = -1;
    snprintf(t.dir, sizeof t.dir, "/tmp/pv-auditor-XXXXXX");
    assert_non_null(mkdtemp(t.dir));
    assert_int_equal(chmod(t.dir, 0711), 0);
    t.dir_fd = open(t.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    t.log_fd = open_dir("log");
    t.key_fd = open_dir("keys");
    t.bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return 0;
}

static int reap(void)
{
    int status = 0;
    if (t.pid > 0)
        assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
    t.pid = 0;
    if (t.control >= 0)
        close(t.control);
    t.control = -1;
    return status;
}

static void kill_auditor(void)
{
    kill(t.pid, SIGKILL);
    (void)reap();
}

static int teardown(void **state)
{
    (void)state;
    char command[80];
    if (t.pid > 0)
        kill_auditor();
    close(t.log_fd);
    close(t.key_fd);
    close(t.dir_fd);
    close(t.bell);
    snprintf(command, sizeof command, "rm -rf '%s'", t.dir);
    assert_int_equal(system(command), 0);
    return 0;
}

static void send_msg(struct pv_msg *m)
{
    struct pv_err err = PV_ERR_INIT;
    if (pv_msg_send(t.control, m, &err) < 0)
        fail_msg("%s", err.text);
}

static void say(uint16_t type, const struct pv_domain_id *id)
{
    pv_automsg struct pv_msg m;
    pv_msg_init(&m, type);
    if (id)
        pv_buf_raw(&m.body, id->bytes, sizeof id->bytes);
    send_msg(&m);
}

/* Waits for that message (about that domain, or any). */
static void await(uint16_t type, const struct pv_domain_id *id)
{
    for (;;) {
        struct pollfd p = {.fd = t.control, .events = POLLIN};
        pv_automsg struct pv_msg m = {.type = 0};
        struct pv_err err = PV_ERR_INIT;
        assert_int_equal(poll(&p, 1, 10000), 1);
        assert_int_equal(pv_msg_recv(t.control, &m, &err), 1);
        if (m.type == type && (!id || (m.body.len == sizeof id->bytes &&
                                       memcmp(m.body.data, id->bytes, m.body.len) == 0)))
            return;
    }
}

static void start_auditor(void)
{
    int pair[2];
    struct pv_err err = PV_ERR_INIT;
    struct pv_role_start s = {.name = "auditor", .domain = pv_domain_id_new()};
    pv_automsg struct pv_msg m;
    arc4random_buf(s.k0, sizeof s.k0);
    assert_int_equal(pv_msg_pair(pair, &err), 0);
    t.pid = fork();
    if (t.pid == 0) {
        dup2(fcntl(t.bell, F_DUPFD, 10), PV_ROLE_BELL_FD);
        dup2(pair[1] == PV_ROLE_CONTROL_FD ? fcntl(pair[1], F_DUPFD, 10) : pair[1],
             PV_ROLE_CONTROL_FD);
        fcntl(PV_ROLE_CONTROL_FD, F_SETFD, 0);
        fcntl(PV_ROLE_BELL_FD, F_SETFD, 0);
        execl(AUDITOR, "provost-auditor", (char *)NULL);
        _exit(127);
    }
    close(pair[1]);
    t.control = pair[0];
    pv_msg_init(&m, PV_ROLE_START);
    pv_role_start_put(&m, &s);
    pv_buf_u8(&m.body, 0);
    pv_buf_str(&m.body, "test");
    pv_buf_u32(&m.body, UID);
    pv_buf_u32(&m.body, UID);
    pv_buf_str(&m.body, "");
    pv_msg_put_fd(&m, open("/dev/null", O_RDONLY));
    pv_msg_put_fd(&m, dup(t.log_fd));
    pv_msg_put_fd(&m, dup(t.key_fd));
    send_msg(&m);
}

static void announce(struct client *c, bool with_key, bool gone)
{
    pv_automsg struct pv_msg m, end;
    pv_msg_init(&m, PV_AUDIT_DOMAIN);
    pv_buf_raw(&m.body, c->id.bytes, sizeof c->id.bytes);
    pv_buf_str(&m.body, "client");
    pv_buf_bytes(&m.body, c->k0, with_key ? sizeof c->k0 : 0);
    pv_buf_u64(&m.body, 0);
    pv_buf_u8(&m.body, 0);
    pv_msg_put_fd(&m, dup(c->ring));
    send_msg(&m);
    pv_msg_init(&end, PV_AUDIT_DOMAIN_GONE);
    pv_buf_raw(&end.body, c->id.bytes, sizeof c->id.bytes);
    if (gone)
        send_msg(&end);
}

/* Without a witness nothing comes of it but the answer. */
static void announce_seal(const struct client *c)
{
    pv_automsg struct pv_msg m;
    pv_msg_init(&m, PV_AUDIT_SEALED);
    pv_buf_raw(&m.body, c->id.bytes, sizeof c->id.bytes);
    pv_buf_u64(&m.body, 0);
    send_msg(&m);
}

static void open_client(struct client *c)
{
    static unsigned n;
    char name[16];
    uint8_t measurement[32] = {0};
    struct pv_err err = PV_ERR_INIT;
    memset(c, 0, sizeof *c);
    c->id = pv_domain_id_new();
    arc4random_buf(c->k0, sizeof c->k0);
    snprintf(name, sizeof name, "ring%u", n++);
    c->ring = pv_ring_create(t.dir_fd, name, &c->id, &err);
    assert_true(c->ring >= 0);
    announce(c, true, false);
    await(PV_AUDIT_TRACING, &c->id);
    announce_seal(c);
    await(PV_AUDIT_WATCHED, &c->id);
    assert_int_equal(pv_producer_open(&c->producer, dup(c->ring), dup(t.bell), &c->id, c->k0,
                                      "client", measurement, &err),
                     0);
}

static void emit(struct client *c, unsigned n)
{
    struct pv_err err = PV_ERR_INIT;
    for (unsigned i = 0; i < n;) {
        struct pv_event e;
        pv_event_init(&e, PV_K_LIMIT, NULL);
        pv_event_u64(&e, 1);
        pv_event_text(&e, "memory");
        pv_event_u64(&e, i);
        int rc = pv_producer_emit(c->producer, &e, &err);
        assert_true(rc == 0 || rc == -EAGAIN);
        if (rc == 0)
            i++;
        else
            usleep(1000);
    }
}

static void await_signed(struct client *c)
{
    uint64_t until = pv_now_mono_ns() + 10 * PV_NS_PER_S;
    while (pv_producer_signed_dseq(c->producer) < pv_producer_next_dseq(c->producer)) {
        assert_true(pv_now_mono_ns() < until);
        usleep(1000);
    }
}

static void drain_auditor(void)
{
    pv_automsg struct pv_msg m;
    pv_msg_init(&m, PV_ROLE_DRAIN);
    send_msg(&m);
    int status = reap();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static struct pv_verify_result verify(enum pv_verdict verdict)
{
    struct pv_verify_result res;
    struct pv_note_key key;
    struct pv_err err = PV_ERR_INIT;
    char text[512];
    int fd = openat(t.key_fd, "log.pub", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    assert_true(n > 0);
    assert_int_equal(pv_note_key_parse(text, (size_t)n, &key, &err), 0);
    struct pv_verify_options opt = {.key = &key};
    if (pv_verify_log(t.log_fd, &opt, &res, &err) < 0)
        fail_msg("%s", err.text);
    if (res.verdict != verdict)
        fail_msg("%s: %s", pv_verdict_name(res.verdict), res.text);
    return res;
}

/* Events of that domain in the log; the last event of a kind is kept in ret. */
static uint64_t count_events(const struct pv_domain_id *id, unsigned kind, char *last_what)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_err err = PV_ERR_INIT;
    struct pv_log_entry entry;
    struct pv_event e;
    uint64_t n = 0;
    assert_int_equal(pv_log_reader_open(&r, t.log_fd, 0, &err), 0);
    int rc;
    while ((rc = pv_log_reader_next(r, &entry, &err)) == 1) {
        assert_int_equal(pv_event_decode(entry.event, entry.event_len, &e, &err), 0);
        if (e.kind != kind || (id && memcmp(e.domain.bytes, id->bytes, 8) != 0))
            continue;
        n++;
        if (last_what)
            pv_event_get_text(&e, "what", last_what, 100);
    }
    if (rc < 0)
        fail_msg("read the log: %s", err.text);
    return n;
}

static void events_are_signed_and_a_drain_is_clean(void **state)
{
    (void)state;
    struct client c;
    start_auditor();
    open_client(&c);
    emit(&c, 5000);
    await_signed(&c);
    usleep(300 * 1000); /* the auditor sleeps now: the bell must wake it */
    emit(&c, 1);
    await_signed(&c);
    pv_producer_close(c.producer, "done");
    drain_auditor();
    close(c.ring);
    assert_int_equal(count_events(&c.id, PV_K_LIMIT, NULL), 5001);
    verify(PV_VERDICT_OK);
}

/* Many epochs of a busy producer and of the auditor itself, across a kill; in the end every tag but
 * the last auditor's can be rechecked by anyone. */
static void epochs_are_disclosed(void **state)
{
    (void)state;
    struct client c;
    enum { ROUNDS = 3, EVENTS = 9000 };
    start_auditor();
    open_client(&c);
    for (unsigned i = 0; i < ROUNDS; i++) {
        emit(&c, EVENTS);
        await_signed(&c);
        emit(&c, 10);
        kill_auditor();
        start_auditor();
        announce(&c, false, false);
        say(PV_AUDIT_DOMAINS_END, NULL);
        await(PV_ROLE_READY, NULL);
    }
    await_signed(&c);
    pv_producer_close(c.producer, "done");
    say(PV_AUDIT_DOMAIN_GONE, &c.id);
    await(PV_AUDIT_DOMAIN_DONE, &c.id);
    drain_auditor();
    start_auditor();
    await(PV_ROLE_READY, NULL);
    drain_auditor();
    struct pv_verify_result res = verify(PV_VERDICT_OK);
    assert_int_equal(res.faults, 0);
    assert_int_equal(res.open_domains, 0);
    assert_true(count_events(&c.id, PV_K_EPOCH_END, NULL) >= ROUNDS);
    assert_int_equal(count_events(&c.id, PV_K_LIMIT, NULL), ROUNDS * (EVENTS + 10));
    assert_true(res.rechecked_tags > ROUNDS * EVENTS);
    assert_in_range(res.entries - res.rechecked_tags, 3, 12); /* the last auditor's own */
    close(c.ring);
}

static void a_domain_is_closed_and_given_back(void **state)
{
    (void)state;
    struct client c;
    pv_automsg struct pv_msg end;
    start_auditor();
    open_client(&c);
    emit(&c, 10);
    pv_msg_init(&end, PV_AUDIT_DOMAIN_GONE);
    pv_buf_raw(&end.body, c.id.bytes, sizeof c.id.bytes);
    send_msg(&end); /* it died without a word */
    await(PV_AUDIT_DOMAIN_DONE, &c.id);
    drain_auditor();
    struct pv_verify_result res = verify(PV_VERDICT_OK);
    assert_int_equal(res.open_domains, 0);
    assert_int_equal(res.recoveries, 0);
    assert_int_equal(count_events(&c.id, PV_K_LIMIT, NULL), 10);
    assert_true(res.outside_missing);
    start_auditor();
    await(PV_ROLE_READY, NULL);
    drain_auditor();
    assert_int_equal(verify(PV_VERDICT_OK).recoveries, 0); /* a clean end needs none */
    pv_producer_close(c.producer, "end");
    close(c.ring);
}

static void killing_it_loses_nothing(void **state)
{
    (void)state;
    struct client c;
    enum { ROUNDS = 12, EVENTS = 3000 };
    start_auditor();
    open_client(&c);
    for (unsigned i = 0; i < ROUNDS; i++) {
        emit(&c, EVENTS);
        usleep(i * 700);
        kill_auditor();
        emit(&c, 100); /* into the ring, nobody listens */
        start_auditor();
        announce(&c, false, false);
        await(PV_ROLE_READY, NULL);
    }
    await_signed(&c);
    drain_auditor();
    struct pv_verify_result res = verify(PV_VERDICT_OK);
    assert_int_equal(res.faults, 0);
    assert_int_equal(count_events(&c.id, PV_K_LIMIT, NULL), ROUNDS * (EVENTS + 100));
    assert_int_equal(res.recoveries, ROUNDS);
    pv_producer_close(c.producer, "end");
    close(c.ring);
}

/* Opening reads the journal alone: a producer that was silent for longer than that goes on where it
 * stopped, whether its epoch was disclosed meanwhile or not, after a kill and after another. */
static void the_silent_are_not_forgotten(void **state)
{
    (void)state;
    struct client busy, silent;
    enum { MANY = 4 * PV_LOG_SEGMENT_ENTRIES, ROUNDS = 2 };
    start_auditor();
    open_client(&silent);
    open_client(&busy);
    emit(&silent, 10);
    await_signed(&silent);
    emit(&silent, 5000); /* ends an epoch */
    await_signed(&silent);
    for (unsigned i = 0; i < ROUNDS; i++) {
        emit(&busy, MANY);
        await_signed(&busy);
        usleep(20000);
        emit(&busy, 1);
        usleep(6000); /* a checkpoint was just signed: what comes now is written at once and signed
                         later */
        emit(&silent, 1);
        emit(&busy, 5);
        usleep(7000);
        kill_auditor();
        emit(&silent, 1);
        start_auditor();
        announce(&silent, false, false);
        announce(&busy, false, false);
        await(PV_ROLE_READY, NULL);
        await_signed(&silent);
    }
    emit(&silent, 5000);
    await_signed(&silent);
    pv_producer_close(silent.producer, "end");
    pv_producer_close(busy.producer, "end");
    drain_auditor();
    struct pv_verify_result res = verify(PV_VERDICT_OK);
    assert_int_equal(res.faults, 0);
    assert_int_equal(res.recoveries, ROUNDS);
    assert_int_equal(count_events(&silent.id, PV_K_LIMIT, NULL), 10010 + 2 * ROUNDS);
    assert_int_equal(count_events(&busy.id, PV_K_LIMIT, NULL), ROUNDS * (MANY + 6));
    close(silent.ring);
    close(busy.ring);
}

static void leftover_rings_are_taken_up(void **state)
{
    (void)state;
    struct client c;
    start_auditor();
    open_client(&c);
    emit(&c, 500);
    kill_auditor();
    emit(&c, 500);
    start_auditor(); /* everything died; only the file is there */
    announce(&c, false, true);
    await(PV_AUDIT_DOMAIN_DONE, &c.id);
    drain_auditor();
    struct pv_verify_result res = verify(PV_VERDICT_OK);
    assert_int_equal(res.faults, 0);
    assert_int_equal(res.recoveries, 1);
    assert_int_equal(count_events(&c.id, PV_K_LIMIT, NULL), 1000);
    pv_producer_close(c.producer, "end");
    close(c.ring);
}

/* An auditor that is started goes on with the log, in which c then has that many events. */
static void takes_ten_more(struct client *c, int events)
{
    start_auditor();
    announce(c, false, false);
    emit(c, 10);
    await_signed(c);
    drain_auditor();
    assert_int_equal(verify(PV_VERDICT_OK).faults, 0);
    assert_int_equal(count_events(&c->id, PV_K_LIMIT, NULL), events);
    pv_producer_close(c->producer, "end");
    close(c->ring);
}

static void a_forged_tail_is_not_signed(void **state)
{
    (void)state;
    struct client c;
    start_auditor();
    open_client(&c);
    emit(&c, 10);
    await_signed(&c);
    kill_auditor();
    /* A well-formed entry of that domain, at the right number, without its key. */
    struct pv_event e;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf b, framed;
    uint8_t tag[32] = {0};
    pv_buf_init(&b, PV_EVENT_MAX);
    pv_buf_init(&framed, PV_EVENT_MAX);
    pv_event_init(&e, PV_K_LIMIT, NULL);
    e.domain = c.id;
    e.dseq = 11;
    pv_event_u64(&e, 666);
    pv_event_text(&e, "forged");
    pv_event_u64(&e, 0);
    assert_int_equal(pv_event_encode(&e, &b, &err), 0);
    pv_buf_u16(&framed, (uint16_t)(b.len + 32));
    pv_buf_raw(&framed, b.data, b.len);
    pv_buf_raw(&framed, tag, sizeof tag);
    int fd = openat(t.log_fd, "journal/000000", O_WRONLY | O_APPEND);
    assert_int_equal(write(fd, framed.data, framed.len), framed.len);
    close(fd);
    takes_ten_more(&c, 20);
}

static void a_wrong_tag_condemns_the_producer(void **state)
{
    (void)state;
    struct client c, good;
    char what[100];
    start_auditor();
    open_client(&c);
    open_client(&good);
    emit(&c, 3);
    await_signed(&c);
    usleep(300 * 1000);
    /* The auditor sleeps until the bell rings, so the record can be changed under its hands. */
    struct pv_event e;
    struct pv_err err = PV_ERR_INIT;
    uint64_t head, zero = 0, one = 1;
    assert_int_equal(pread(c.ring, &head, 8, offsetof(struct pv_ring_header, head)), 8);
    assert_int_equal(pwrite(c.ring, &zero, 4, offsetof(struct pv_ring_header, sleeping)), 4);
    pv_event_init(&e, PV_K_LIMIT, NULL);
    pv_event_u64(&e, 1);
    pv_event_text(&e, "memory");
    pv_event_u64(&e, 1);
    assert_int_equal(pv_producer_emit(c.producer, &e, &err), 0);
    /* The last byte of the invocation: still canonical, no longer what was tagged. */
    assert_int_equal(pwrite(c.ring, "\x99", 1, 4096 + (off_t)head + 4 + 40), 1);
    assert_int_equal(write(t.bell, &one, sizeof one), 8);
    emit(&good, 100);
    await_signed(&good);
    drain_auditor();
    struct pv_verify_result res = verify(PV_VERDICT_OK);
    assert_int_equal(res.faults, 1);
    assert_int_equal(count_events(&c.id, PV_K_LIMIT, NULL), 3);
    assert_int_equal(count_events(NULL, PV_K_PRODUCER_FAULT, what), 1);
    assert_string_equal(what, "carries a wrong tag");
    pv_producer_close(c.producer, "end");
    pv_producer_close(good.producer, "end");
    close(c.ring);
    close(good.ring);
}

/* A power failure may take the newest checkpoint, whose own sync comes with the next one, and leave
 * the mapped file of ratchets as it was after it. */
static void a_lost_checkpoint_loses_no_event(void **state)
{
    (void)state;
    struct client c;
    uint8_t notes[1 << 16];
    start_auditor();
    open_client(&c);
    for (unsigned i = 0; i < 5; i++) {
        emit(&c, 10);
        await_signed(&c);
    }
    kill_auditor();
    int fd = openat(t.log_fd, "checkpoints", O_RDWR);
    ssize_t n = read(fd, notes, sizeof notes), last = 0;
    for (ssize_t at = 0; at < n; at += 2 + (notes[at] << 8 | notes[at + 1]))
        last = at;
    assert_true(last > 0);
    assert_int_equal(ftruncate(fd, last), 0);
    close(fd);
    start_auditor();
    announce(&c, false, false);
    emit(&c, 10);
    await_signed(&c);
    drain_auditor();
    struct pv_verify_result res = verify(PV_VERDICT_OK);
    assert_int_equal(res.faults, 0);
    assert_int_equal(count_events(&c.id, PV_K_LIMIT, NULL), 60);
    pv_producer_close(c.producer, "end");
    close(c.ring);
}

/* It ends before it says a word. */
static void await_refusal(void)
{
    struct pv_err err = PV_ERR_INIT;
    pv_automsg struct pv_msg m = {.type = 0};
    int status;
    start_auditor();
    say(PV_AUDIT_DOMAINS_END, NULL);
    assert_int_equal(pv_msg_recv(t.control, &m, &err), 0);
    status = reap();
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static void copy_log(const char *from, const char *to)
{
    char command[160];
    snprintf(command, sizeof command, "cd '%s' && rm -rf '%s'/* && cp -a '%s'/. '%s'", t.dir, to,
             from, to);
    assert_int_equal(system(command), 0);
}

static off_t size_in_log(const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(t.log_fd, name, &st, 0), 0);
    return st.st_size;
}

/* A whole log of some checkpoints, and what it was before most of them, in "earlier". */
static void sign_much(struct client *c)
{
    start_auditor();
    open_client(c);
    emit(c, 10);
    await_signed(c);
    assert_int_equal(mkdirat(t.dir_fd, "earlier", 0700), 0);
    copy_log("log", "earlier");
    for (unsigned i = 0; i < 5; i++) {
        emit(c, 10);
        await_signed(c);
    }
    kill_auditor();
    assert_int_equal(mkdirat(t.dir_fd, "kept", 0700), 0);
    copy_log("log", "kept");
    assert_int_equal(mkdirat(t.dir_fd, "nothing", 0700), 0);
}

/* The ratchets say what was signed when no checkpoint says so any more: of a log whose checkpoints
 * were cut nothing is cut, an older one is not gone on with, and a missing one not begun anew. */
static void a_log_that_lost_its_checkpoints_is_left_alone(void **state)
{
    (void)state;
    struct client c;
    sign_much(&c);
    off_t journal = size_in_log("journal/000000");
    int fd = openat(t.log_fd, "checkpoints", O_WRONLY);
    assert_int_equal(unlinkat(t.log_fd, "checkpoint", 0), 0);
    assert_int_equal(ftruncate(fd, size_in_log("checkpoints") / 4), 0);
    close(fd);
    await_refusal();
    assert_int_equal(size_in_log("journal/000000"), journal);

    copy_log("earlier", "log");
    await_refusal();
    copy_log("nothing", "log");
    await_refusal();

    copy_log("kept", "log");
    takes_ten_more(&c, 70);
}

/* Somebody removed the ring of a dead producer: its key and its place in memory are not kept. */
static void a_ring_removed_by_hand_leaves_no_key(void **state)
{
    (void)state;
    struct client c;
    struct slot {
        char used;
        char rest[399];
    } slot;
    unsigned in_use = 0;
    start_auditor();
    open_client(&c);
    emit(&c, 10);
    await_signed(&c);
    kill_auditor();
    for (unsigned i = 0; i < 2; i++) {
        start_auditor();
        say(PV_AUDIT_DOMAINS_END, NULL);
        await(PV_ROLE_READY, NULL);
        usleep(100 * 1000);
        drain_auditor();
    }
    struct pv_verify_result res = verify(PV_VERDICT_OK);
    assert_int_equal(res.open_domains, 0);
    assert_int_equal(res.recoveries, 1); /* the second start found nothing to mend */
    int fd = openat(t.key_fd, "ratchets", O_RDONLY);
    while (read(fd, &slot, sizeof slot) == (ssize_t)sizeof slot)
        in_use += slot.used != 0;
    assert_int_equal(in_use, 1); /* the last auditor's own, which the next one discloses */
    close(fd);
    pv_producer_close(c.producer, "end");
    close(c.ring);
}

static void remount_log(const char *options, unsigned long flags)
{
    char path[64];
    snprintf(path, sizeof path, "%s/log", t.dir);
    if (mount("pv-auditor", path, "tmpfs", flags, options) != 0)
        fail_msg("mount: %s", strerror(errno));
}

static void mount_log(const char *options)
{
    close(t.log_fd);
    remount_log(options, 0);
    t.log_fd = openat(t.dir_fd, "log", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void unmount_log(void)
{
    char path[64];
    close(t.log_fd);
    snprintf(path, sizeof path, "%s/log", t.dir);
    assert_int_equal(umount(path), 0);
    t.log_fd = -1;
}

/* Producers come, go and misbehave while the disk is full; afterwards everything is there, by
 * itself. */
static void a_full_disk_only_delays(void **state)
{
    (void)state;
    struct client c, dying, bad;
    enum { EVENTS = 20000 };
    uint8_t garbage[8] = {1, 0, 0, 0};
    uint64_t head;
    mount_log("size=512k,mode=0700,uid=65534,gid=65534");
    start_auditor();
    open_client(&c);
    emit(&c, EVENTS); /* three times what the disk holds, less than the ring does */
    usleep(500 * 1000);
    assert_true(pv_producer_signed_dseq(c.producer) < EVENTS);
    open_client(&dying); /* still answered */
    emit(&dying, 100);
    open_client(&bad);
    assert_int_equal(pread(bad.ring, &head, 8, offsetof(struct pv_ring_header, head)), 8);
    assert_int_equal(pwrite(bad.ring, garbage, 8, 4096 + (off_t)head), 8);
    head += 8;
    assert_int_equal(pwrite(bad.ring, &head, 8, offsetof(struct pv_ring_header, head)), 8);
    say(PV_AUDIT_DOMAIN_GONE, &dying.id);
    usleep(500 * 1000);
    assert_int_equal(waitpid(t.pid, NULL, WNOHANG), 0); /* alive, and waiting */
    remount_log("size=64m", MS_REMOUNT);
    await_signed(&c);
    await(PV_AUDIT_DOMAIN_DONE, &dying.id);
    drain_auditor();
    struct pv_verify_result res = verify(PV_VERDICT_OK);
    assert_int_equal(res.faults, 1);
    assert_int_equal(res.recoveries, 0);
    assert_int_equal(count_events(&c.id, PV_K_LIMIT, NULL), EVENTS);
    assert_int_equal(count_events(&dying.id, PV_K_LIMIT, NULL), 100);
    pv_producer_close(c.producer, "end");
    pv_producer_close(dying.producer, "end");
    pv_producer_close(bad.producer, "end");
    close(c.ring);
    close(dying.ring);
    close(bad.ring);
    unmount_log();
}

enum { FILES_MAX = 100 };

/* No file can be made any more; those that are there still grow. */
static void use_up_inodes(bool undo)
{
    char name[16];
    for (unsigned i = 0; i < FILES_MAX; i++) {
        snprintf(name, sizeof name, "filler%u", i);
        if (undo) {
            (void)unlinkat(t.log_fd, name, 0);
            continue;
        }
        int fd = openat(t.log_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        if (fd < 0)
            assert_int_equal(errno, ENOSPC);
        else
            close(fd);
    }
}

static bool has_key_file(const char *name)
{
    return faccessat(t.key_fd, name, F_OK, 0) == 0;
}

static void await_key_file(const char *name, bool there)
{
    uint64_t until = pv_now_mono_ns() + 10 * PV_NS_PER_S;
    while (has_key_file(name) != there) {
        assert_true(pv_now_mono_ns() < until);
        usleep(1000);
    }
}

static void read_key(struct pv_note_key *ret)
{
    pv_autobuf struct pv_buf text;
    struct pv_err err = PV_ERR_INIT;
    pv_buf_init(&text, 8192);
    assert_int_equal(pv_read_file_at(t.log_fd, "log.pub", &text, &err), 0);
    assert_int_equal(pv_note_key_parse((const char *)text.data, text.len, ret, &err), 0);
}

enum end { HERE, KILLED, DRAINED };

/* A change of key that begins on a full disk, where no file can be made. Nothing else is signed
 * until it is through, which it is once there is room: by this auditor, or by the next one. */
static void change_key_without_room(struct client *c, enum end then)
{
    pv_automsg struct pv_msg m;
    use_up_inodes(false);
    close(openat(t.key_fd, "rotate", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    for (unsigned i = 0; i < 30 && !has_key_file("log.key.next"); i++) {
        emit(c, 1); /* an idle auditor tries to publish first, which takes a file */
        usleep(300 * 1000);
    }
    emit(c, 5);
    usleep(1200 * 1000); /* it tries again, several times */
    assert_true(has_key_file("log.key.next"));
    assert_true(pv_producer_signed_dseq(c->producer) < pv_producer_next_dseq(c->producer));
    pv_msg_init(&m, PV_ROLE_DRAIN);
    if (then == DRAINED)
        send_msg(&m);
    if (then == DRAINED)
        assert_int_not_equal(reap(), 0); /* it says that not everything is signed */
    if (then == KILLED)
        kill_auditor();
    use_up_inodes(true);
    if (then != HERE) {
        start_auditor();
        announce(c, false, false);
    }
    await_key_file("log.key.next", false);
    await_key_file("rotate", false);
    await_signed(c);
}

static void a_change_of_key_waits_for_room(void **state)
{
    (void)state;
    struct client c;
    struct pv_note_key key, last;
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf rotations;
    mount_log("nr_inodes=100,mode=0700,uid=65534,gid=65534");
    start_auditor();
    open_client(&c);
    emit(&c, 10);
    await_signed(&c);
    read_key(&key);
    change_key_without_room(&c, HERE);
    change_key_without_room(&c, KILLED);
    change_key_without_room(&c, DRAINED);
    drain_auditor();
    struct pv_verify_result res = verify(PV_VERDICT_OK);
    assert_int_equal(res.faults, 0);
    assert_int_equal(res.rotations, 3);
    assert_int_equal(count_events(NULL, PV_K_KEY_ROTATION, NULL), 3);
    assert_int_equal(count_events(&c.id, PV_K_LIMIT, NULL), pv_producer_next_dseq(c.producer) - 1);
    pv_buf_init(&rotations, PV_ROTATIONS_MAX);
    assert_int_equal(pv_read_file_at(t.log_fd, "rotations", &rotations, &err), 0);
    if (pv_rotations_follow(&key, rotations.data, rotations.len, &err) < 0)
        fail_msg("%s", err.text);
    read_key(&last);
    assert_memory_equal(key.public_key, last.public_key, sizeof key.public_key);
    pv_producer_close(c.producer, "end");
    close(c.ring);
    unmount_log();
}

/* The auditor dies before its supervisor has read that a domain is done with: asked again, the next
 * one does not say again what was lost. */
static void what_was_not_recorded_is_said_once(void **state)
{
    (void)state;
    struct client c;
    start_auditor();
    open_client(&c);
    emit(&c, 10);
    await_signed(&c);
    atomic_store(pv_producer_unrecorded(c.producer), 7);
    say(PV_AUDIT_DOMAIN_GONE, &c.id);
    await(PV_AUDIT_DOMAIN_DONE, &c.id);
    kill_auditor();
    start_auditor();
    announce(&c, false, true);
    say(PV_AUDIT_DOMAINS_END, NULL);
    await(PV_AUDIT_DOMAIN_DONE, &c.id);
    drain_auditor();
    assert_int_equal(count_events(NULL, PV_K_GAP, NULL), 1);
    assert_int_equal(verify(PV_VERDICT_OK).open_domains, 0);
    pv_producer_close(c.producer, "end");
    close(c.ring);
}

/* The request waits while it cannot be read; one that makes no sense is dropped. */
static void a_request_to_detach_outlives_a_failed_read(void **state)
{
    (void)state;
    struct client c;
    int fd = openat(t.key_fd, "detach", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "junk\n", 5), 5); /* root's own: the auditor may not read it */
    start_auditor();
    open_client(&c);
    for (unsigned i = 0; i < 4; i++) {
        emit(&c, 1);
        await_signed(&c);
        usleep(300 * 1000);
    }
    assert_true(has_key_file("detach"));
    assert_int_equal(fchmod(fd, 0644), 0);
    close(fd);
    await_key_file("detach", false);
    pv_producer_close(c.producer, "end");
    drain_auditor();
    close(c.ring);
}

/* The supervisor keeps a key until it is told that the auditor does: the message may come again. */
static void a_key_may_be_sent_twice(void **state)
{
    (void)state;
    struct client c;
    start_auditor();
    open_client(&c);
    emit(&c, 10);
    await_signed(&c);
    kill_auditor();
    emit(&c, 10);
    start_auditor();
    announce(&c, true, false);
    await_signed(&c);
    drain_auditor();
    assert_int_equal(verify(PV_VERDICT_OK).faults, 0);
    assert_int_equal(count_events(&c.id, PV_K_LIMIT, NULL), 20);
    pv_producer_close(c.producer, "end");
    close(c.ring);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(events_are_signed_and_a_drain_is_clean),
        CASE(epochs_are_disclosed),
        CASE(a_domain_is_closed_and_given_back),
        CASE(killing_it_loses_nothing),
        CASE(the_silent_are_not_forgotten),
        CASE(leftover_rings_are_taken_up),
        CASE(a_forged_tail_is_not_signed),
        CASE(a_wrong_tag_condemns_the_producer),
        CASE(a_lost_checkpoint_loses_no_event),
        CASE(a_log_that_lost_its_checkpoints_is_left_alone),
        CASE(a_ring_removed_by_hand_leaves_no_key),
        CASE(a_full_disk_only_delays),
        CASE(a_change_of_key_waits_for_room),
        CASE(what_was_not_recorded_is_said_once),
        CASE(a_request_to_detach_outlives_a_failed_read),
        CASE(a_key_may_be_sent_twice),
    };
    if (geteuid() != 0) {
        fprintf(stderr, "skipped: the auditor gives up privileges, which takes root\n");
        return SKIP;
    }
    /* a mount namespace of its own: what a case mounts vanishes with it, whatever happens */
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        fprintf(stderr, "skipped: no mount namespace: %s\n", strerror(errno));
        return SKIP;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
