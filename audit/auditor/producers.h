/* The producers the auditor knows, by domain. */
#pragma once
#include "chain.h"

#include "pv/id.h"
#include "pv/ring.h"

#include <stdbool.h>
#include <uthash.h>

enum { PRODUCER_NO_SLOT = -1 };
/* The witness that a gap event names, before the domain in hex. */
#define PRODUCER_GAP_WITNESS "inside "

struct producer {
    struct pv_domain_id id; /* key; drawn by the supervisor, so the hash needs no key */
    char name[128];
    struct pv_ring_reader *ring; /* owned; NULL: none (yet) */
    struct chain chain;          /* state after the last event in the batch */
    int slot;                    /* in ratchets, or PRODUCER_NO_SLOT: the key is not known */
    uint64_t next_dseq;          /* of the next event to be taken */
    uint64_t proven_dseq;        /* while the log is opened: a durable checkpoint covered its events
                                    below this */
    uint64_t traced_pid;         /* its children are traced; 0: none */
    bool hold;                   /* and wait for room in the probes' ring */
    bool touched;                /* events since the last checkpoint */
    bool taken;                  /* records read since the last release */
    bool closed;                 /* its domain-close is in the log */
    bool condemned;              /* a fault was found; its ring is read no more */
    char fault[160];             /* what was found and is not in the log yet; or empty */
    bool announced;              /* the supervisor knows it */
    bool owes_tracing;           /* PV_AUDIT_TRACING could not be said yet */
    bool owes_watched;           /* nor PV_AUDIT_WATCHED */
    bool gone;                   /* its process ended */
    bool unrecorded_said;        /* the gap that it left behind, if any, is in the log */
    bool empty;                  /* its ring was, when last looked at */
    bool finished;               /* drained and closed; DONE once finish_size is signed */
    bool disclosed;              /* its last key is in the log */
    bool met;                    /* while the log is opened: an event of it was */
    bool last_signed;            /* while the log is opened: so is its last event */
    bool ended_signed;           /* and the last of the epoch before */
    uint64_t finish_size;
    UT_hash_handle hh;
};

struct producers {
    struct producer *head;
};

struct producer *producers_find(struct producers *p, const struct pv_domain_id *id);
/* Finds or adds; NULL when memory ran out. */
struct producer *producers_get(struct producers *p, const struct pv_domain_id *id);
/* Takes it out and frees it. */
void producers_remove(struct producers *p, struct producer *gone);
void producers_done(struct producers *p);
