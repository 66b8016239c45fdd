/* The log's entries in order, with what can be computed of each alone done by several threads: leaf
 * hashes ahead of the reader, tags behind it. Memory is bounded by the number of threads. */
#pragma once
#include "pv/log_reader.h"
#include "pv/ratchet.h"

struct pv_entry_stream;
/* Reads through r, which is borrowed and must not be moved while entries are taken. jobs: threads
 * all together, the caller's too; at least 1. */
PV_MUST_CHECK int pv_entry_stream_new(struct pv_entry_stream **ret, struct pv_log_reader *r,
                                      unsigned jobs, struct pv_err *err);
/* As pv_log_reader_next, with the leaf hash; both are borrowed until the next call. What is not 1
 * is given once everything before it was, and the reader stands there then: it may be moved, and
 * the next call reads on. */
PV_MUST_CHECK int pv_entry_stream_next(struct pv_entry_stream *s, struct pv_log_entry *ret,
                                       const uint8_t **ret_leaf, struct pv_err *err);
/* The entry given last must have the tag that this key gives. */
void pv_entry_stream_expect(struct pv_entry_stream *s, const uint8_t key[PV_KEY_BYTES]);
/* The first entry known to have a wrong tag, UINT64_MAX while there is none: others before it may
 * still be under way. */
uint64_t pv_entry_stream_wrong(const struct pv_entry_stream *s);
/* Waits for what is under way; the first entry with a wrong tag, and its domain. */
uint64_t pv_entry_stream_settle(struct pv_entry_stream *s, struct pv_domain_id *ret_domain);
void pv_entry_stream_free(struct pv_entry_stream *s);
