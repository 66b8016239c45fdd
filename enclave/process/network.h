/* A slot's network: a namespace with loopback only and the brokers' listening sockets in it. */
#pragma once
#include "pv/domain.h"

struct pv_slot_network {
    int netns_fd;
    int listeners[2]; /* PV_BROKER_GATEWAY, PV_BROKER_PROXY */
};

/* Moves the calling process into a new network namespace, which becomes the slot's. */
PV_MUST_CHECK int pv_slot_network_open(struct pv_slot_network *ret, struct pv_err *err);
void pv_slot_network_close(struct pv_slot_network *n);
