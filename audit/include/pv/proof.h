/* Merkle proofs (RFC 6962 section 2.1.1 and 2.1.2; verification as in RFC 9162 section 2.1.3.2 and
 * 2.1.4.2), made from the log's tiles and checked with nothing. */
#pragma once
#include "pv/buf.h"
#include "pv/log_source.h"
#include "pv/merkle.h"
#include "pv/note.h"

enum { PV_PROOF_MAX = 64 };
struct pv_proof {
    unsigned n;
    uint8_t hash[PV_PROOF_MAX][PV_HASH_BYTES];
};

/* Whether the leaf is the index-th of the tree of that size and root. */
bool pv_proof_includes(const struct pv_proof *p, uint64_t index, uint64_t size,
                       const uint8_t leaf[PV_HASH_BYTES], const uint8_t root[PV_HASH_BYTES]);
/* Whether the tree of size and root begins with the older one, which is not empty: every tree
 * begins with an empty one, so that would show nothing. */
bool pv_proof_is_consistent(const struct pv_proof *p, uint64_t old_size,
                            const uint8_t old_root[PV_HASH_BYTES], uint64_t size,
                            const uint8_t root[PV_HASH_BYTES]);

struct pv_tree_reader;
/* The tree of the first size entries of the log in dir_fd, which is duplicated. */
PV_MUST_CHECK int pv_tree_reader_open(struct pv_tree_reader **ret, int dir_fd, uint64_t size,
                                      struct pv_err *err);
/* The same of a log whose tiles come from that source, which is copied; what it reads with is
 * borrowed. */
PV_MUST_CHECK int pv_tree_reader_open_source(struct pv_tree_reader **ret,
                                             const struct pv_log_source *source, uint64_t size,
                                             struct pv_err *err);
/* -EBADMSG when the log lacks the hashes. What comes out proves nothing until it was checked. */
PV_MUST_CHECK int pv_tree_root(struct pv_tree_reader *r, uint8_t ret[PV_HASH_BYTES],
                               struct pv_err *err);
PV_MUST_CHECK int pv_tree_inclusion(struct pv_tree_reader *r, uint64_t index, struct pv_proof *ret,
                                    struct pv_err *err);
PV_MUST_CHECK int pv_tree_consistency(struct pv_tree_reader *r, uint64_t old_size,
                                      struct pv_proof *ret, struct pv_err *err);
/* The frontier of that tree, from which it can be continued. */
PV_MUST_CHECK int pv_tree_frontier(struct pv_tree_reader *r, struct pv_frontier *ret,
                                   struct pv_err *err);
/* The hashes of the tree's last tile of a level that is not full; how many there are (0 to 255). */
PV_MUST_CHECK int pv_tree_last_tile(struct pv_tree_reader *r, int level,
                                    uint8_t (*ret)[PV_HASH_BYTES], struct pv_err *err);
void pv_tree_reader_free(struct pv_tree_reader *r);
static inline void pv_tree_reader_cleanup_(struct pv_tree_reader **r)
{
    pv_tree_reader_free(*r);
}
#define pv_auto_tree_reader __attribute__((cleanup(pv_tree_reader_cleanup_)))

/* c2sp.org/tlog-proof@v1, without extra data. */
struct pv_tlog_proof {
    uint64_t index;
    struct pv_proof path;
    const uint8_t *checkpoint; /* the note, borrowed */
    size_t checkpoint_len;
};
PV_MUST_CHECK int pv_tlog_proof_print(const struct pv_tlog_proof *p, struct pv_buf *out,
                                      struct pv_err *err);
/* Parses; an extra line is skipped. -EBADMSG. The checkpoint is borrowed from text. */
PV_MUST_CHECK int pv_tlog_proof_parse(const void *text, size_t len, struct pv_tlog_proof *ret,
                                      struct pv_err *err);
