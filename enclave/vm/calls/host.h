/* What the files layer asks of the domain: streams, clocks, randomness, texts of /proc, events. */
#pragma once
#include "guest.h"

/* Fills vm->files_host; the ctx of every callback is the VM. */
void pv_host_callbacks(struct pv_vm *vm);
