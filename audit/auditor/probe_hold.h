/* Letting those go on that the probes have stopped while the ring was half full (bpf/src/hold.h).
 */
#pragma once

/* Empties the map `held` and sends SIGCONT to whom it names; how many. Needs CAP_KILL for processes
 * of others, and CAP_BPF for the map. */
unsigned pv_probe_hold_end(int held_fd);
