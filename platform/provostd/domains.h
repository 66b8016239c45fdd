/* The producers' domains and their rings, as far as the auditor has not drained them: what a new
 * auditor must be told about. */
#pragma once
#include "channel.h"
#include "pv/id.h"
#include "pv/ratchet.h"

#include <stdbool.h>
#include <sys/types.h>

struct pv_domain {
    struct pv_domain *next;
    struct pv_domain_id id;
    char name[128];
    uint8_t k0[PV_KEY_BYTES]; /* erased once an auditor has said that it keeps it */
    bool has_k0;
    bool is_auditors; /* the running auditor knows its own domain from its start message */
    bool gone;        /* its producer has ended */
    pid_t pid;        /* whose children are to be traced; 0: none */
    bool hold;        /* and wait for room in the probes' ring */
    bool sealed;      /* that process is to be watched itself */
    uint64_t claim;   /* as it said when it sealed itself */
    int ring;         /* owned */
};
struct pv_domains {
    int dir;                /* borrowed: the rings directory */
    struct pv_domain *head; /* owned */
};

void pv_domains_init(struct pv_domains *d, int rings_dir);
/* Forgets all; rings whose key no auditor keeps are removed. */
void pv_domains_done(struct pv_domains *d);
/* Takes up the rings a killed run left as domains whose producers are gone. */
PV_MUST_CHECK int pv_domains_adopt(struct pv_domains *d, struct pv_err *err);
/* Whether rings go away by themselves, as the auditor drains them. */
bool pv_domains_draining(const struct pv_domains *d);
/* A new domain with a random id, key and ring file. The table owns it. */
PV_MUST_CHECK int pv_domains_add(struct pv_domains *d, const char *name, struct pv_domain **ret,
                                 struct pv_err *err);
/* NULL when unknown. */
struct pv_domain *pv_domains_find(struct pv_domains *d, const struct pv_domain_id *id);
/* Tells the auditor of one domain, with its key until one has acknowledged it: an auditor may die
 * before it has read the message. */
PV_MUST_CHECK int pv_domain_announce(struct pv_domain *d, struct pv_channel *auditor,
                                     struct pv_err *err);
/* It has sealed itself: tells the auditor, if there is one, now and every later one. */
PV_MUST_CHECK int pv_domain_sealed(struct pv_domain *d, uint64_t claim, struct pv_channel *auditor,
                                   struct pv_err *err);
/* The auditor keeps its key (PV_AUDIT_TRACING): forget it here. */
void pv_domain_acknowledged(struct pv_domain *d);
/* Tells a new auditor of all, and that these are all. */
PV_MUST_CHECK int pv_domains_announce_all(struct pv_domains *d, struct pv_channel *auditor,
                                          struct pv_err *err);
/* The producer has ended: tells the auditor, if there is one. */
PV_MUST_CHECK int pv_domain_end(struct pv_domain *d, struct pv_channel *auditor,
                                struct pv_err *err);
/* Drained: removes the ring file and forgets the domain. */
PV_MUST_CHECK int pv_domains_remove(struct pv_domains *d, const struct pv_domain_id *id,
                                    struct pv_err *err);
