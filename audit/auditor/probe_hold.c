#include "probe_hold.h"

#include "pv/bpf_record.h"

#include <bpf/bpf.h>
#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

unsigned pv_probe_hold_end(int held_fd)
{
    uint32_t pid = 0;
    unsigned n = 0;

    /* more come only from processes that go on: bounded, lest these keep us here */
    for (; n < PV_BPF_HELD_MAX && bpf_map_get_next_key(held_fd, NULL, &pid) == 0; n++) {
        /* the entry first: stopped anew in between, it is found anew */
        (void)bpf_map_delete_elem(held_fd, &pid);
        (void)kill((pid_t)pid, SIGCONT);
    }
    return n;
}
