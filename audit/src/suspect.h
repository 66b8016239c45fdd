/* Naming what was done to a stretch of the log whose root does not match its checkpoint. */
#pragma once
#include "pv/merkle.h"
#include "pv/verify.h"

struct pv_suspect {
    const struct pv_frontier *before; /* the tree at the last checkpoint that matched */
    uint64_t size;                    /* of the checkpoint that does not match */
    const uint8_t *root;              /* its root */
};

/* Fills in verdict, has_seq, first_bad_seq and text. The cached leaf hashes are believed only when
 * they give the signed root; when all entries agree with them, nothing can be named: -EAGAIN. */
PV_MUST_CHECK int pv_suspect_name(int dir_fd, const struct pv_suspect *s,
                                  struct pv_verify_result *ret, struct pv_err *err);
