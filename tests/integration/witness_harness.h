/* Runs programs under the probes and looks at what these say. Needs root, bpffs and kernel BTF. */
#pragma once
#include "probe.h"
#include "pv/bpf_record.h"
#include "pv/own.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { EVENTS_MAX = 200000, TEXT_MAX = 512 };

/* Everything was encoded and decoded, so that each event is also proven canonical. */
struct log_of {
    struct pv_buf bytes[EVENTS_MAX];
    struct pv_event e[EVENTS_MAX];
    size_t n;
};
extern struct log_of log_of;
extern char root[64];
extern char bpffs[80];
extern struct pv_probe *probe;
extern bool hold;        /* policy of open_probe: what it starts waits for room in the ring */
extern uint32_t present; /* what open_probe has found: enum pv_bpf_feature */
extern uint64_t last_start_ticks;

void forget(void);
void collect(bool release);
void text_of(size_t i, const char *field, char out[TEXT_MAX]);
uint64_t number_of(size_t i, const char *field);
bool text_is(size_t i, const char *field, const char *want);
/* Index of the next event of that kind from `from` on, or -1. */
long next_of(size_t from, unsigned kind);
long with_text(unsigned kind, const char *field, const char *want);
long with_number(unsigned kind, const char *field, uint64_t want);
size_t count_of(unsigned kind, const char *field, uint64_t want);
/* proc 0: of any process */
long edge(unsigned kind, uint64_t proc, uint64_t object, size_t from);
/* The path of that file in the directory of the test. */
const char *at(const char *name);
/* The object announced under that path; checks it against stat. */
uint64_t object_at(const char *path);
void put_file(const char *name, const char *text);
/* Runs the program as a child, which does what a host does before exec; and as start, not waiting
 * for it. The list of arguments ends with NULL. */
pid_t run(const char *program, ...);
pid_t start(const char *program, ...);
int open_probe(uint32_t ring_bytes, struct pv_probe_info *info);
int with_probe(void **state);
/* Skips the test where the kernel does not have it. */
void needs(uint32_t feature);
int without_probe(void **state);
/* A directory and a bpffs in a mount namespace of its own; false and why not. */
bool prepare(char *reason, size_t cap);
/* prepare, the tests, and 77 with the reason (1 with PROVOST_REQUIRE_BPF=1) where BPF is missing.
 */
#define RUN_WITNESS_TESTS(name, tests, setup)                                                      \
    run_witness_tests(name, tests, sizeof tests / sizeof(tests)[0], setup)
int run_witness_tests(const char *name, const struct CMUnitTest *tests, size_t n,
                      CMFixtureFunction setup);

/* What a test's own program does when it is started under the probes, by its first argument. */
struct act {
    const char *name;
    int (*run)(void);
};
/* Runs that one, if there is one, and ends with its result: at once, because a leak check at exit
 * traces the process, and its SIGSTOP is lost to the SIGCONT of a collector. */
void run_act(const char *name, const struct act *acts, size_t n);
