/* Evidence of some calls in one file that can be checked with the log's public key and nothing else
 * (docs/formats/bundle.md). */
#pragma once
#include "pv/checkpoint.h"
#include "pv/event.h"
#include "pv/log_reader.h"
#include "pv/proof.h"
#include "pv/published.h"

/* --- making --- */
/* Writes the bundle of the entries seqs (ascending, n) out of the log in dir_fd, with what it takes
 * to check them: domain openings, ends of epochs, disclosed keys, deployments, and the checkpoint.
 * calls names what it is about. -ESTALE: the checkpoint does not cover all of it; -EBADMSG: the log
 * is not what it signs. */
PV_MUST_CHECK int pv_bundle_make(int dir_fd, const struct pv_signed_checkpoint *under,
                                 const struct pv_call_id *calls, size_t n_calls,
                                 const uint64_t *seqs, size_t n, struct pv_buf *out,
                                 struct pv_err *err);

/* The last entry that such a bundle has when all of the log's first `size` entries may be in it: a
 * smaller checkpoint costs it what tells of the others, such as disclosed keys. */
PV_MUST_CHECK int pv_bundle_reach(int dir_fd, uint64_t size, const uint64_t *seqs, size_t n,
                                  uint64_t *ret_last, struct pv_err *err);

/* --- checking --- */
struct pv_bundle_item {
    uint64_t seq;
    const uint8_t *entry; /* borrowed until the next item */
    size_t len;
    struct pv_event event;
    bool rechecked;  /* its tag was recomputed with a disclosed key */
    bool supporting; /* it is there for what it tells about others */
};
typedef int (*pv_bundle_tell)(void *ctx, const struct pv_bundle_item *item);

struct pv_bundle_result {
    struct pv_checkpoint checkpoint;
    const uint8_t *note; /* its note, borrowed from the bundle */
    size_t note_len;
    uint64_t items, events; /* all; those of the calls */
    uint64_t rechecked;     /* tags */
    uint64_t waiting;       /* events of the calls whose key is not in the bundle */
    uint64_t deployments;
    bool has_seq; /* of a refusal: the entry it is about */
    uint64_t bad_seq;
};
/* Checks all of it: the checkpoint's signature, each entry's inclusion, order and encoding,
 * commitments, disclosed keys and tags. tell (or NULL) sees each entry, in order, as far as it is
 * good; a negative value stops. -EBADMSG, -ENOKEY, -EKEYREJECTED with the reason. */
PV_MUST_CHECK int pv_bundle_check(const struct pv_note_key *key, const void *text, size_t len,
                                  pv_bundle_tell tell, void *ctx, struct pv_bundle_result *ret,
                                  struct pv_err *err);
