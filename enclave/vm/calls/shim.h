/* The monitor's side of the shim (machine/shim.S): what it may answer, and taking over what it
 * answered. Everything read from the shared page is the guest's word. */
#pragma once
#include "guest.h"

/* For a program that begins: what needs no snapshot. */
void pv_shim_boot(struct pv_vm *vm);
/* At the first read, before the snapshot: descriptors' state, memory for the heap to grow into. */
void pv_shim_freeze(struct pv_vm *vm);
/* At the start of a run. */
void pv_shim_begin(struct pv_vm *vm);
/* Another thread runs. */
void pv_shim_thread(struct pv_vm *vm, int tid);
/* At each call that leaves the guest: what the shim changed becomes the monitor's state. */
void pv_shim_sync(struct pv_vm *vm);
/* The monitor has moved the end of the heap. */
void pv_shim_heap(struct pv_vm *vm);
/* At the end of a run: the response, and what has to be told. */
void pv_shim_end(struct pv_vm *vm);
/* The program changes what this descriptor is: the shim must not speak for it any more. */
void pv_shim_forbid(struct pv_vm *vm, int fd);
/* Puts the rest of the body where the shim finds it. */
void pv_shim_stage(struct pv_vm *vm);
/* Takes back what was staged, so that the monitor answers reads. */
void pv_shim_unstage(struct pv_vm *vm);
/* Whether the address is within the shim. */
bool pv_shim_holds(uint64_t rip);
/* A fault within the shim: the call ends with -EFAULT. */
void pv_shim_fault(struct pv_vm *vm, struct pv_thread *t);
