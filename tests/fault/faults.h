/* Calls of the system and the allocator that fail, or at which the process dies, as the test plans
 * it: by kill -9 (what was handed to the kernel stays), or by a power failure (each file falls back
 * to what its last sync made durable). The test is linked with --wrap for each of them. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FAULTS_DIED = 9, FAULTS_REFUSED = 3 };

struct faults {
    uint64_t at;  /* this call, counted from 0 */
    bool die;     /* instead of failing */
    bool power;   /* and what was not synced goes with it, in this run and those before */
    bool goes_on; /* it is not the first run of its kind: what is unsynced stays so */
    int error;    /* it fails with */
};
/* The power fails now: for a child alone. */
_Noreturn void faults_lose_power(void);
/* For the next run; nothing is struck until then. */
void faults_plan(const struct faults *f);
/* Whether calls count, from here on; what it was. */
bool faults_arm(bool on);
/* Runs work in a child with calls counted. FAULTS_DIED, FAULTS_REFUSED when work said so, 0. */
int faults_run(int (*work)(void *ctx, struct pv_err *err), void *ctx);
/* Calls of the last run. */
uint64_t faults_calls(void);
/* Memory that a child shares. */
void *faults_shared(size_t bytes);
/* Every which call is struck: each with PV_FAULT_ALL=1. */
uint64_t faults_stride(void);
