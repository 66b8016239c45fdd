/* Two threads of one process use two objects that share a slot and a cell, under the probes'
 * reduction. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct race_result {
    unsigned wrong;   /* a descriptor was taken for the other object */
    unsigned missing; /* an object was used for the first time, and no edge says so */
};
/* They take turns, at every step that is visible to the other, as the seed says. Adds to *ret. */
typedef void race_in_turns_fn(uint64_t seed, struct race_result *ret);

race_in_turns_fn race_sound;    /* the reduction as it is */
race_in_turns_fn race_learning; /* fault: what one learns of a descriptor, the other believes */
race_in_turns_fn race_unmarked; /* fault: marks do not name the object */

/* The reduction as it is, each thread as fast as it can. */
void race_freely(unsigned rounds, struct race_result *ret);
