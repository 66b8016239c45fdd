/* pv_reconcile, rule by rule: an account in which everything has its counterpart, then the same
 * with one half missing. */
#include "pv/ratchet.h"
#include "pv/reconcile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { AUDITOR = 9, HOST = 2, VM_HOST = 3, GATEWAY = 1 };
enum { HOST_PID = 100, VM_PID = 200, PID = 500, TICKS = 77, PROC = 12, STDOUT = 900, PORT = 4000 };

static struct {
    struct pv_reconcile *r;
    uint64_t seq;
    uint64_t found[PV_FIND_KINDS];
    char text[512];
    uint64_t at; /* of the last finding */
} t;

static const struct pv_call_id call = {{1, 2, 3}};
static const struct pv_call_id none;

static int note(void *ctx, const struct pv_finding *f)
{
    (void)ctx;
    t.found[f->kind]++;
    t.at = f->seq;
    (void)snprintf(t.text, sizeof t.text, "%s", f->text);
    return 0;
}

static void begin_at(uint64_t seq, uint64_t since)
{
    struct pv_err err = PV_ERR_INIT;

    memset(&t, 0, sizeof t);
    t.seq = seq;
    assert_int_equal(pv_reconcile_new(&t.r, since, UINT64_MAX, note, NULL, &err), 0);
}

static struct pv_reconcile_totals finish(void)
{
    struct pv_reconcile_totals totals;
    struct pv_err err = PV_ERR_INIT;

    assert_int_equal(pv_reconcile_end(t.r, &totals, &err), 0);
    pv_reconcile_free(t.r);
    return totals;
}

/* Nothing but n of that kind. */
static void expect(enum pv_finding_kind kind, uint64_t n)
{
    struct pv_reconcile_totals totals = finish();

    if (totals.findings != n)
        fail_msg("%ju findings, the last: %s", (uintmax_t)totals.findings, t.text);
    assert_int_equal(t.found[kind], n);
}

/* format: u number, t text, h hash, d domain, c call id */
static void say(unsigned domain, enum pv_kind kind, const struct pv_call_id *of, const char *format,
                ...)
{
    static const uint8_t hash[PV_HASH_BYTES];
    struct pv_domain_id about;
    struct pv_err err = PV_ERR_INIT;
    struct pv_event e;
    va_list ap;

    pv_event_init(&e, kind, of);
    memset(e.domain.bytes, (int)domain, sizeof e.domain.bytes);
    va_start(ap, format);
    for (const char *f = format; *f; f++) {
        if (*f == 'u') {
            pv_event_u64(&e, va_arg(ap, unsigned));
        } else if (*f == 't') {
            pv_event_text(&e, va_arg(ap, const char *));
        } else if (*f == 'h') {
            pv_event_bytes(&e, hash, sizeof hash);
        } else if (*f == 'c') {
            pv_event_bytes(&e, call.bytes, sizeof call.bytes);
        } else {
            memset(about.bytes, va_arg(ap, int), sizeof about.bytes);
            pv_event_bytes(&e, about.bytes, sizeof about.bytes);
        }
    }
    va_end(ap);
    assert_int_equal(e.n, pv_kind_schema(kind)->n_fields);
    assert_int_equal(pv_reconcile_event(t.r, t.seq++, &e, &err), 0);
}

static void open_log(const char *witness)
{
    say(AUDITOR, PV_K_DOMAIN_OPEN, &none, "thuh", "auditor", 1u);
    say(AUDITOR, PV_K_LOG_OPEN, &none, "uht", 0u, witness);
}

static void open_hosts(void)
{
    say(HOST, PV_K_DOMAIN_OPEN, &none, "thuh", "host:f@1", (unsigned)HOST_PID);
    say(VM_HOST, PV_K_DOMAIN_OPEN, &none, "thuh", "host:v@1", (unsigned)VM_PID);
    say(AUDITOR, PV_K_MONITOR_WATCHED, &none, "duu", VM_HOST, (unsigned)VM_PID, 3u);
}

/* The two accounts of one process instance that calls out and answers. */
enum part {
    PREPARED,
    BEGIN,
    CONNECTION,
    SERVED,
    END,
    DESTROYED,
    FORK,
    EXEC,
    PIPE,
    SOCKET,
    CONNECT,
    WRITE,
    EXIT,
    N_PARTS
};

static void tell(enum part part)
{
    switch (part) {
    case PREPARED:
        say(HOST, PV_K_INSTANCE_PREPARED, &none, "uuutuuu", 1u, (unsigned)PID, (unsigned)TICKS,
            "exec", 899u, (unsigned)STDOUT, 901u);
        return;
    case BEGIN:
        say(HOST, PV_K_INVOCATION_BEGIN, &call, "utuhuh", 1u, "f", 1u, 5u);
        return;
    case CONNECTION:
        say(HOST, PV_K_CONNECTION, &call, "uutu", 1u, 7u, "gateway", (unsigned)PORT);
        return;
    case SERVED:
        say(GATEWAY, PV_K_CALL, &call, "utcuthu", 7u, "g", 1u, "", 0u);
        return;
    case END:
        say(HOST, PV_K_INVOCATION_END, &call, "utuuhuuuuu", 1u, "ok", 0u, 0u, 5u, 0u, 1u, 1u, 1u);
        return;
    case DESTROYED:
        say(HOST, PV_K_INSTANCE_DESTROYED, &call, "ut", 1u, "done");
        return;
    case FORK:
        say(AUDITOR, PV_K_PROC_FORK, &none, "uuuuuu", (unsigned)PROC, 0u, (unsigned)PID, 1u,
            (unsigned)TICKS, 1u);
        return;
    case EXEC:
        say(AUDITOR, PV_K_PROC_EXEC, &none, "uuth", (unsigned)PROC, 30u, "/bin/f");
        return;
    case PIPE:
        say(AUDITOR, PV_K_OBJECT, &none, "utuuut", 31u, "pipe", 13u, (unsigned)STDOUT, 0u,
            "pipe:[900]");
        return;
    case SOCKET:
        say(AUDITOR, PV_K_SOCKET, &none, "uututu", 32u, 2u, "127.0.0.1", (unsigned)PORT,
            "127.0.0.1", 8080u);
        return;
    case CONNECT:
        say(AUDITOR, PV_K_CONNECT, &none, "uuutuu", (unsigned)PROC, 32u, 2u, "127.0.0.1", 8080u,
            115u);
        return;
    case WRITE:
        say(AUDITOR, PV_K_WRITE, &none, "uuu", (unsigned)PROC, 31u, 5u);
        return;
    case EXIT:
        say(AUDITOR, PV_K_PROC_EXIT, &none, "uuu", (unsigned)PROC, 0u, 0u);
        return;
    case N_PARTS:
        return;
    }
}

static const enum part by_time[] = {FORK,   EXEC, PREPARED, BEGIN, SOCKET, CONNECT,  CONNECTION,
                                    SERVED, PIPE, WRITE,    EXIT,  END,    DESTROYED};
static const enum part inside_first[] = {PREPARED,  BEGIN, CONNECTION, SERVED, END,
                                         DESTROYED, FORK,  EXEC,       SOCKET, CONNECT,
                                         PIPE,      WRITE, EXIT};
static const enum part outside_first[] = {FORK,       EXEC, SOCKET,   CONNECT,  PIPE,
                                          WRITE,      EXIT, SERVED,   PREPARED, BEGIN,
                                          CONNECTION, END,  DESTROYED};
static const enum part *const orders[] = {by_time, inside_first, outside_first};
enum { N_ORDERS = 3 };

static void tell_all_but(const enum part *order, enum part left_out)
{
    begin_at(0, 0);
    open_log("ebpf loaded");
    open_hosts();
    for (unsigned i = 0; i < N_PARTS; i++)
        if (order[i] != left_out)
            tell(order[i]);
}

static void test_all_is_told_twice(void **state)
{
    (void)state;
    for (unsigned i = 0; i < N_ORDERS; i++) {
        tell_all_but(orders[i], N_PARTS);
        struct pv_reconcile_totals totals = finish();
        assert_int_equal(totals.findings, 0);
        assert_int_equal(totals.excused, 0);
        for (unsigned k = 0; k < PV_PAIR_OPEN; k++)
            assert_int_equal(totals.pairs[k], 1);
    }
}

static void test_a_missing_half_is_named(void **state)
{
    static const struct {
        enum part left_out;
        enum pv_finding_kind kind;
    } cases[] = {
        {CONNECT, PV_FIND_CONNECTION_UNSEEN},
        {SOCKET, PV_FIND_CONNECTION_UNSEEN},
        {WRITE, PV_FIND_ANSWER_UNSEEN},
        {PIPE, PV_FIND_ANSWER_UNSEEN},
    };

    (void)state;
    for (unsigned i = 0; i < N_ORDERS; i++)
        for (unsigned c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            tell_all_but(orders[i], cases[c].left_out);
            expect(cases[c].kind, 1);
        }
    /* without its fork nothing is known of what the process did */
    tell_all_but(by_time, FORK);
    struct pv_reconcile_totals totals = finish();
    assert_int_equal(totals.findings, 3);
    assert_int_equal(t.found[PV_FIND_INSTANCE_UNSEEN], 1);
    assert_int_equal(t.found[PV_FIND_CONNECTION_UNSEEN], 1);
    assert_int_equal(t.found[PV_FIND_ANSWER_UNSEEN], 1);
    /* a call that the host does not tell of was a connection that it does not tell of either */
    tell_all_but(by_time, CONNECTION);
    totals = finish();
    assert_int_equal(totals.findings, 2);
    assert_int_equal(t.found[PV_FIND_CALL_UNCONNECTED], 1);
    assert_int_equal(t.found[PV_FIND_CONNECTION_UNTOLD], 1);
}

static void test_what_need_not_be_told(void **state)
{
    (void)state;
    /* who connects need not ask; what is written is no answer when the call fails */
    tell_all_but(by_time, SERVED);
    expect(PV_FIND_ALARM, 0);
    tell_all_but(by_time, END);
    expect(PV_FIND_ALARM, 0);
    /* a child of the host that never executes */
    begin_at(0, 0);
    open_log("ebpf loaded");
    open_hosts();
    tell(FORK);
    tell(EXIT);
    expect(PV_FIND_ALARM, 0);
}

static void test_a_program_of_no_instance(void **state)
{
    (void)state;
    begin_at(0, 0);
    open_log("ebpf loaded");
    open_hosts();
    tell(FORK);
    tell(EXEC);
    tell(EXIT);
    expect(PV_FIND_PROCESS_UNTOLD, 1);
    assert_non_null(strstr(t.text, "/bin/f"));
}

/* Another process of the instance may connect and answer, one of another instance may not. */
static void test_whose_process_it_was(void **state)
{
    (void)state;
    for (unsigned parent = PROC; parent <= PROC + 1; parent++) {
        begin_at(0, 0);
        open_log("ebpf loaded");
        open_hosts();
        tell(FORK);
        tell(EXEC);
        tell(PREPARED);
        tell(BEGIN);
        say(AUDITOR, PV_K_PROC_FORK, &none, "uuuuuu", PROC + 1u, 0u, PID + 1u, 1u, (unsigned)TICKS,
            1u);
        say(AUDITOR, PV_K_PROC_FORK, &none, "uuuuuu", PROC + 2u, parent, PID + 2u, 2u, TICKS + 1u,
            1u);
        tell(PIPE);
        tell(SOCKET);
        say(AUDITOR, PV_K_CONNECT, &none, "uuutuu", PROC + 2u, 32u, 2u, "127.0.0.1", 8080u, 0u);
        say(AUDITOR, PV_K_WRITE, &none, "uuu", PROC + 2u, 31u, 5u);
        tell(CONNECTION);
        tell(END);
        struct pv_reconcile_totals totals = finish();
        bool own = parent == PROC;
        assert_int_equal(t.found[PV_FIND_ANSWER_UNSEEN], own ? 0 : 1);
        assert_int_equal(t.found[PV_FIND_CONNECTION_UNSEEN], own ? 0 : 1);
        assert_int_equal(totals.findings, own ? 0 : 3);
    }
}

/* The host says that it turned a connection away, of no instance: once for each. */
static void test_connections_turned_away(void **state)
{
    (void)state;
    for (unsigned twice = 0; twice < 2; twice++) {
        tell_all_but(by_time, N_PARTS);
        say(HOST, PV_K_DENIED, &none, "ttt", "connection", "127.0.0.1:8080", "none is running");
        tell(FORK);
        for (unsigned i = 0; i <= twice; i++) {
            say(AUDITOR, PV_K_SOCKET, &none, "uututu", 32u, 2u, "127.0.0.1", 5000u + i, "127.0.0.1",
                8080u);
            tell(CONNECT);
        }
        expect(PV_FIND_CONNECTION_UNTOLD, twice);
    }
}

static void test_a_dead_host_is_excused(void **state)
{
    (void)state;
    tell_all_but(by_time, CONNECTION);
    say(AUDITOR, PV_K_DOMAIN_CLOSE, &none, "dt", HOST, "process ended");
    struct pv_reconcile_totals totals = finish();
    assert_int_equal(t.found[PV_FIND_CONNECTION_UNTOLD], 0);
    assert_int_equal(totals.excused, 1);
}

/* --- micro-VMs --- */

static void vm_request(void)
{
    say(VM_HOST, PV_K_INSTANCE_PREPARED, &none, "uuutuuu", 1u, 0u, 0u, "microvm", 0u, 0u, 0u);
    say(VM_HOST, PV_K_INVOCATION_BEGIN, &call, "utuhuh", 1u, "v", 1u, 5u);
}

static void inside_open(unsigned ino)
{
    say(VM_HOST, PV_K_ACCESS, &call, "uttuuuuu", 1u, "open", "/etc/passwd", 5u, ino, 10u, 0u, 3u);
}

static void outside_open(const struct pv_call_id *of, unsigned pid, unsigned ino, unsigned mode,
                         const char *claim)
{
    say(AUDITOR, PV_K_MONITOR_OPEN, of, "uutuuuut", pid, pid, "/etc/passwd", 5u, ino, mode, 0u,
        claim);
}

static void begin_vm(void)
{
    begin_at(0, 0);
    open_log("ebpf loaded");
    open_hosts();
    vm_request();
}

static void test_opens_of_a_monitor(void **state)
{
    static const struct pv_call_id other = {{9}};

    (void)state;
    begin_vm();
    inside_open(44);
    inside_open(44);
    outside_open(&call, VM_PID, 44, 0100644, "request");
    outside_open(&none, VM_PID, 45, 0040755, "upkeep");
    struct pv_reconcile_totals totals = finish();
    assert_int_equal(totals.findings, 0);
    assert_int_equal(totals.pairs[PV_PAIR_OPEN], 1);
    begin_vm();
    inside_open(44);
    expect(PV_FIND_OPEN_UNSEEN, 1);
    begin_vm();
    outside_open(&call, VM_PID, 44, 0100644, "request");
    expect(PV_FIND_OPEN_UNTOLD, 1);
    /* the host counts what is too much to keep */
    begin_vm();
    outside_open(&call, VM_PID, 44, 0100644, "request");
    say(VM_HOST, PV_K_ACCESS, &call, "uttuuuuu", 1u, "lost", "", 0u, 0u, 90u, 0u, 0u);
    assert_int_equal(finish().excused, 1);
    assert_int_equal(t.found[PV_FIND_OPEN_UNTOLD], 0);
    /* the claim of another call, or of another host, does not do */
    begin_vm();
    inside_open(44);
    outside_open(&other, VM_PID, 44, 0100644, "request");
    totals = finish();
    assert_int_equal(totals.findings, 2);
    begin_vm();
    inside_open(44);
    outside_open(&call, HOST_PID, 44, 0100644, "request");
    totals = finish();
    assert_int_equal(totals.findings, 2);
    /* upkeep opens no files, and nobody knows other purposes */
    begin_vm();
    outside_open(&none, VM_PID, 44, 0100644, "upkeep");
    outside_open(&none, VM_PID, 44, 0040755, "unknown");
    expect(PV_FIND_BAD_CLAIM, 2);
}

/* A host took its notes with it. */
static void test_a_dead_monitor(void **state)
{
    (void)state;
    begin_vm();
    outside_open(&call, VM_PID, 44, 0100644, "request");
    say(AUDITOR, PV_K_GAP, &none, "tuuu", "inside 0303030303030303", 0u, 5u, 3u);
    assert_int_equal(finish().findings, 2);
    assert_int_equal(t.found[PV_FIND_GAP], 1);
    /* of which its account would have told */
    assert_int_equal(t.found[PV_FIND_OPEN_UNTOLD], 1);
}

static void test_what_leaves_no_trace_of_a_monitor(void **state)
{
    (void)state;
    begin_vm();
    inside_open(0); /* it lives in the VM's memory */
    say(VM_HOST, PV_K_ACCESS, &call, "uttuuuuu", 1u, "read", "/etc/passwd", 5u, 44u, 10u, 0u, 0u);
    say(VM_HOST, PV_K_CONNECTION, &call, "uutu", 1u, 8u, "gateway", 0u);
    say(VM_HOST, PV_K_INVOCATION_END, &call, "utuuhuuuuu", 1u, "ok", 0u, 0u, 5u, 0u, 1u, 1u, 1u);
    expect(PV_FIND_ALARM, 0);
}

static void test_alarms(void **state)
{
    (void)state;
    begin_vm();
    say(AUDITOR, PV_K_MONITOR_ALARM, &call, "uuttuuuut", (unsigned)VM_PID, 201u, "connect",
        "10.0.0.1:80", 42u, 0u, 0u, 0u, "request");
    expect(PV_FIND_ALARM, 1);
    assert_non_null(strstr(t.text, "connect 10.0.0.1:80"));
}

static void test_an_unwatched_monitor(void **state)
{
    (void)state;
    begin_at(0, 0);
    open_log("ebpf loaded");
    say(VM_HOST, PV_K_DOMAIN_OPEN, &none, "thuh", "host:v@1", (unsigned)VM_PID);
    vm_request();
    expect(PV_FIND_UNWATCHED, 1);
    /* a new auditor hears of the host before it reads what the host said first */
    begin_at(0, 0);
    open_log("ebpf loaded");
    say(AUDITOR, PV_K_MONITOR_WATCHED, &none, "duu", VM_HOST, (unsigned)VM_PID, 3u);
    say(VM_HOST, PV_K_DOMAIN_OPEN, &none, "thuh", "host:v@1", (unsigned)VM_PID);
    vm_request();
    expect(PV_FIND_ALARM, 0);
    /* an auditor that finds the probes at work finds the watch as well, one that loads them not */
    for (unsigned anew = 0; anew < 2; anew++) {
        begin_vm();
        say(AUDITOR, PV_K_LOG_OPEN, &none, "uht", 9u, anew ? "ebpf loaded" : "ebpf reused");
        vm_request();
        expect(PV_FIND_UNWATCHED, anew);
    }
}

/* --- what is not there --- */

static void test_no_witness(void **state)
{
    (void)state;
    begin_at(0, 0);
    open_log("missing: no eBPF");
    open_hosts();
    for (enum part p = PREPARED; p < FORK; p++)
        tell(p);
    vm_request();
    expect(PV_FIND_NO_WITNESS, 1);
}

static void test_gaps(void **state)
{
    (void)state;
    tell_all_but(by_time, N_PARTS);
    say(AUDITOR, PV_K_GAP, &none, "tuuu", "ebpf", 1u, 5u, 3u);
    expect(PV_FIND_GAP, 1);
}

/* The probes were loaded anew: they know nobody from before. */
static void test_a_reload_is_excused(void **state)
{
    (void)state;
    begin_at(0, 0);
    open_log("ebpf loaded");
    open_hosts();
    tell(FORK);
    tell(PREPARED);
    say(AUDITOR, PV_K_LOG_OPEN, &none, "uht", 5u, "ebpf loaded");
    tell(BEGIN);
    tell(CONNECTION);
    tell(END);
    struct pv_reconcile_totals totals = finish();
    assert_int_equal(totals.findings, 0);
    assert_int_equal(totals.excused, 2);
}

static void test_since(void **state)
{
    (void)state;
    for (unsigned late = 0; late < 2; late++) {
        begin_at(0, 0);
        pv_reconcile_free(t.r);
        begin_at(0, late ? 100 : 6);
        open_log("ebpf loaded");
        open_hosts();
        tell(PREPARED); /* e5 */
        tell(FORK);
        tell(CONNECTION);
        expect(PV_FIND_CONNECTION_UNSEEN, !late);
    }
}

/* A log that begins late lacks halves, and what it has of them is no finding. */
static void test_a_log_without_its_beginning(void **state)
{
    (void)state;
    begin_at(1000, 0);
    tell(PREPARED);
    tell(CONNECTION);
    tell(WRITE);
    tell(CONNECT);
    tell(END);
    struct pv_reconcile_totals totals = finish();
    assert_int_equal(totals.findings, 0);
    assert_int_equal(totals.excused, 3);
}

/* A half waits for so many entries and no longer: memory does not grow with the log. */
static void test_the_window(void **state)
{
    (void)state;
    for (unsigned beyond = 0; beyond < 2; beyond++) {
        begin_at(0, 0);
        open_log("ebpf loaded");
        open_hosts();
        tell(PREPARED);
        uint64_t at = t.seq - 1;
        while (t.seq < at + PV_RECONCILE_WINDOW - 1 + beyond)
            say(HOST, PV_K_LIMIT, &none, "utu", 1u, "memory", 1u);
        assert_true(pv_reconcile_waits(t.r));
        tell(FORK);
        assert_int_equal(t.found[PV_FIND_INSTANCE_UNSEEN], beyond);
        if (beyond)
            assert_int_equal(t.at, at);
        assert_false(pv_reconcile_waits(t.r));
        (void)finish();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_is_told_twice),
        cmocka_unit_test(test_a_missing_half_is_named),
        cmocka_unit_test(test_what_need_not_be_told),
        cmocka_unit_test(test_a_program_of_no_instance),
        cmocka_unit_test(test_whose_process_it_was),
        cmocka_unit_test(test_connections_turned_away),
        cmocka_unit_test(test_a_dead_host_is_excused),
        cmocka_unit_test(test_opens_of_a_monitor),
        cmocka_unit_test(test_a_dead_monitor),
        cmocka_unit_test(test_what_leaves_no_trace_of_a_monitor),
        cmocka_unit_test(test_alarms),
        cmocka_unit_test(test_an_unwatched_monitor),
        cmocka_unit_test(test_no_witness),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_a_reload_is_excused),
        cmocka_unit_test(test_since),
        cmocka_unit_test(test_a_log_without_its_beginning),
        cmocka_unit_test(test_the_window),
    };

    return cmocka_run_group_tests_name("reconcile", tests, NULL, NULL);
}
