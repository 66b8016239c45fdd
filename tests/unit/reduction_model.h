/* A model of processes, threads and objects under the probes' reduction, one step of one thread at
 * a time. What is true is followed by what was really moved; what the records say, by reading them
 * in their order. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { MODEL_PROCS = 3, MODEL_THREADS = 3, MODEL_OBJECTS = 5, MODEL_STEPS = 48 };
enum { MODEL_ENTITIES = MODEL_PROCS + MODEL_OBJECTS };

struct model_result {
    /* per process, then per object: what it derives from, one bit an entity */
    uint32_t real[MODEL_ENTITIES];
    uint32_t told[MODEL_ENTITIES];
    unsigned records;
};
/* Runs the trace that the seed stands for; the same seed is the same trace in every variant. */
typedef void model_run_fn(uint64_t seed, struct model_result *ret);

model_run_fn reduction_sound;      /* the reduction as it is, each object in a cell of its own */
model_run_fn reduction_shared;     /* the same, objects share cells */
model_run_fn reduction_raw;        /* nothing is redundant */
model_run_fn reduction_per_thread; /* fault: versions are kept per thread */
model_run_fn reduction_no_object;  /* fault: a read forgets that the object has changed */
model_run_fn reduction_no_flights; /* fault: calls under way are not remembered */
model_run_fn reduction_stale_hint; /* fault: a descriptor is believed to be what it was */
model_run_fn reduction_no_exit;    /* fault: a write from a mapping is not looked at again */
model_run_fn reduction_crossed;    /* fault: several threads are taken for one */
