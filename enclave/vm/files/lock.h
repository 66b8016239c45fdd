/* Advisory locks: flock, and byte ranges of the process (POSIX) and of open files (OFD). */
#pragma once
#include "files/node.h"

/* Removes every lock on a node that goes. */
void pv_locks_forget(struct pv_files *f, pv_ref node);
/* A descriptor of the node was closed: the process loses its ranges. */
void pv_locks_close(struct pv_files *f, pv_ref node);
/* The last descriptor of an open file was closed: its own locks go. */
void pv_locks_release(struct pv_files *f, pv_ref node, pv_ref file);
