/* The producer's forward-secure chain (DESIGN: tag = HMAC-SHA256(K_i, event), K_{i+1} =
 * SHA-256(0x02 || K_i), K_i erased), in epochs. A seed S_0 is drawn for the domain; epoch e starts
 * with the key SHA-256(0x03 || S_e), and S_{e+1} = SHA-256(0x04 || S_e). So the first key of an
 * epoch can be disclosed without giving away any other epoch's. A domain's first event commits to
 * SHA-256 of its first key, the last event of each epoch to that of the next. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PV_HASH_BYTES = 32, PV_TAG_BYTES = 32, PV_KEY_BYTES = 32 };

struct pv_ratchet {
    uint8_t key[PV_KEY_BYTES];  /* of the next event; secret */
    uint8_t seed[PV_KEY_BYTES]; /* S_{epoch+1}; secret */
    uint64_t index;             /* dseq of the next event */
    uint64_t first;             /* dseq of the epoch's first event */
    uint32_t epoch;
    uint32_t pad; /* part of a file of the auditor's */
};

/* SHA-256 of len bytes. The library must have been prepared with pv_crypto_init. */
void pv_sha256(const void *p, size_t len, uint8_t out[PV_HASH_BYTES]);
/* SHA-256 of two pieces, one after the other. Allocates nothing. */
void pv_sha256_pair(const void *a, size_t a_len, const void *b, size_t b_len,
                    uint8_t out[PV_HASH_BYTES]);
/* Prepares libgcrypt once per process; call it before anything else here. */
PV_MUST_CHECK int pv_crypto_init(struct pv_err *err);
void pv_ratchet_init(struct pv_ratchet *r, const uint8_t seed[PV_KEY_BYTES]);
/* A chain that can only follow one epoch: what a verifier has of a disclosed key. */
void pv_ratchet_of_epoch(struct pv_ratchet *r, uint32_t epoch, uint64_t first,
                         const uint8_t key[PV_KEY_BYTES]);
/* SHA-256 of the key at hand; at the epoch's first event what is committed to. */
void pv_ratchet_commitment(const struct pv_ratchet *r, uint8_t out[PV_HASH_BYTES]);
/* The same of the next epoch, for the last event of this one. */
void pv_ratchet_next_commitment(const struct pv_ratchet *r, uint8_t out[PV_HASH_BYTES]);
/* Ends the epoch; its keys are gone. */
void pv_ratchet_next_epoch(struct pv_ratchet *r);
/* Tags len bytes with K_i and steps to K_{i+1}. */
void pv_ratchet_tag(struct pv_ratchet *r, const void *p, size_t len, uint8_t tag[PV_TAG_BYTES]);
/* Steps to K_{i+1} without an event at hand; ret is K_i, secret until it is disclosed. */
void pv_ratchet_step(struct pv_ratchet *r, uint8_t ret[PV_KEY_BYTES]);
/* Whether K_i gives that tag. */
bool pv_ratchet_tag_is(const uint8_t key[PV_KEY_BYTES], const void *p, size_t len,
                       const uint8_t tag[PV_TAG_BYTES]);
/* Erases the key. */
void pv_ratchet_done(struct pv_ratchet *r);

/* Incremental SHA-256 for payloads that pass in pieces. */
struct pv_hasher;
PV_MUST_CHECK int pv_hasher_new(struct pv_hasher **ret, struct pv_err *err);
void pv_hasher_update(struct pv_hasher *h, const void *p, size_t len);
/* Writes the digest of what was fed and starts over. */
void pv_hasher_final(struct pv_hasher *h, uint8_t out[PV_HASH_BYTES]);
void pv_hasher_free(struct pv_hasher *h);
