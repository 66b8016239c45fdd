/* Reading the evidence log (docs/formats/log.md) while the auditor may be appending to it. Nothing
 * is trusted: every length is bounded, and a reader proves nothing; pv/verify.h does. */
#pragma once
#include "pv/checkpoint.h"
#include "pv/event.h"

/* Entries in a segment of the journal; 64 bundles of C2SP tlog-tiles. */
enum { PV_LOG_SEGMENT_ENTRIES = 16384, PV_LOG_ENTRY_MAX = PV_EVENT_MAX + PV_TAG_BYTES };

/* One entry: event || tag. All bytes are borrowed until the next call of the reader. */
struct pv_log_entry {
    uint64_t seq; /* position in the log, from 0 */
    const uint8_t *bytes;
    size_t len;
    const uint8_t *event; /* = bytes */
    size_t event_len;
    const uint8_t *tag; /* PV_TAG_BYTES */
};

struct pv_log_reader;
/* Number of the journal's first and last segment; -ENOENT when there is none. */
PV_MUST_CHECK int pv_log_journal(int dir_fd, uint64_t *ret_first, uint64_t *ret_last,
                                 struct pv_err *err);
/* Entries in the log as its files' lengths tell; proves nothing. */
PV_MUST_CHECK int pv_log_written(int dir_fd, uint64_t *ret, struct pv_err *err);
/* Starts at entry from. dir_fd is the log directory; it is duplicated. -ESTALE when the log has
 * fewer entries than that. Entries that were detached are read from attached archives; without
 * them next says that they are not there. */
PV_MUST_CHECK int pv_log_reader_open(struct pv_log_reader **ret, int dir_fd, uint64_t from,
                                     struct pv_err *err);
/* 1 = an entry, 0 = no complete entry there yet (call again later), -EBADMSG = a length that cannot
 * be. */
PV_MUST_CHECK int pv_log_reader_next(struct pv_log_reader *r, struct pv_log_entry *ret,
                                     struct pv_err *err);
/* As next, but passes over whole bundles below the entry detached (pv/archive.h) that are not
 * there; the entry's seq tells. */
PV_MUST_CHECK int pv_log_reader_next_held(struct pv_log_reader *r, uint64_t detached,
                                          struct pv_log_entry *ret, struct pv_err *err);
/* Goes on at that entry, whether it is there or not. */
void pv_log_reader_skip(struct pv_log_reader *r, uint64_t seq);
/* The next entry's seq, and where it starts: segment number and byte offset in the journal. */
uint64_t pv_log_reader_seq(const struct pv_log_reader *r);
void pv_log_reader_place(const struct pv_log_reader *r, uint64_t *ret_segment,
                         uint64_t *ret_offset);
/* Whether somebody has the log open for writing, on this machine. */
bool pv_log_is_live(int dir_fd);
/* What is half written may be whole soon: waits a moment and says whether to look again, for a
 * second at most; where nobody writes, at once and once only. *round begins with 0. */
bool pv_log_look_again(int dir_fd, unsigned *round);
bool pv_log_reader_look_again(const struct pv_log_reader *r, unsigned *round);
/* Bytes of an entry that is not complete, after next returned 0. */
size_t pv_log_reader_torn(const struct pv_log_reader *r);
/* Accepts NULL. */
void pv_log_reader_free(struct pv_log_reader *r);

struct pv_checkpoint_reader;
/* Reads the file "checkpoints" from that byte offset on (0, or what pv_checkpoint_reader_offset
 * said earlier). */
PV_MUST_CHECK int pv_checkpoint_reader_open(struct pv_checkpoint_reader **ret, int dir_fd,
                                            uint64_t offset, struct pv_err *err);
/* The same, beginning with one of the last notes; they all start with that origin. Where none can
 * be made out, at the first. */
PV_MUST_CHECK int pv_checkpoint_reader_open_late(struct pv_checkpoint_reader **ret, int dir_fd,
                                                 const char *origin, struct pv_err *err);
/* 1 = a note, borrowed until the next call (check it with pv_checkpoint_open), 0 = no complete one
 * there yet, -EBADMSG. */
PV_MUST_CHECK int pv_checkpoint_reader_next(struct pv_checkpoint_reader *r,
                                            const uint8_t **ret_note, size_t *ret_len,
                                            struct pv_err *err);
uint64_t pv_checkpoint_reader_offset(const struct pv_checkpoint_reader *r);
size_t pv_checkpoint_reader_torn(const struct pv_checkpoint_reader *r);
void pv_checkpoint_reader_free(struct pv_checkpoint_reader *r);

static inline void pv_log_reader_cleanup_(struct pv_log_reader **r)
{
    pv_log_reader_free(*r);
}
static inline void pv_checkpoint_reader_cleanup_(struct pv_checkpoint_reader **r)
{
    pv_checkpoint_reader_free(*r);
}
#define pv_auto_log_reader __attribute__((cleanup(pv_log_reader_cleanup_)))
#define pv_auto_checkpoint_reader __attribute__((cleanup(pv_checkpoint_reader_cleanup_)))
