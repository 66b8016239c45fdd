/* The text of a bundle: header, one line an entry, the checkpoint. */
#pragma once
#include "pv/bundle.h"

struct pv_bundle_line {
    uint64_t seq;
    size_t len;
    struct pv_proof path;
    uint8_t entry[PV_LOG_ENTRY_MAX];
};
struct pv_bundle_text {
    struct pv_call_id calls[PV_BUNDLE_CALLS_MAX];
    size_t n_calls;
    const char *rotations; /* lines of pv/rotations.h; borrowed */
    size_t rotations_len;
    const char *at, *end; /* lines still to be read; end: the empty line */
    const uint8_t *note;
    size_t note_len;
};

void pv_bundle_put_head(struct pv_buf *out, const struct pv_call_id *calls, size_t n);
void pv_bundle_put_line(struct pv_buf *out, uint64_t seq, const uint8_t *entry, size_t len,
                        const struct pv_proof *path);
void pv_bundle_put_note(struct pv_buf *out, const void *note, size_t len);

/* Borrows from text. -EBADMSG. */
PV_MUST_CHECK int pv_bundle_text_open(struct pv_bundle_text *t, const void *text, size_t len,
                                      struct pv_err *err);
/* 1 = a line, 0 = no more, -EBADMSG. */
PV_MUST_CHECK int pv_bundle_text_next(struct pv_bundle_text *t, struct pv_bundle_line *ret,
                                      struct pv_err *err);
