/* Retention (docs/formats/archive.md): old entries move out of the log into archives, one file for
 * a stretch of them; their hashes stay in the log's tiles, so that the tree and all proofs stand.
 */
#pragma once
#include "pv/checkpoint.h"
#include "pv/merkle.h"
#include "pv/proof.h"

/* Entries below *ret are detached: the log's bundles need not have them. 0 when none are; what it
 * says proves nothing, a log-detached event does. -EBADMSG. */
PV_MUST_CHECK int pv_log_detached(int dir_fd, uint64_t *ret, struct pv_err *err);
/* The end of what may be detached at most, a multiple of 256: those who follow the log, and its
 * opening, keep a segment before the journal. */
PV_MUST_CHECK int pv_log_detachable(int dir_fd, uint64_t *ret, struct pv_err *err);

/* What stands in front of an archive's entries. */
struct pv_archive_head {
    uint64_t first, end;       /* its entries: multiples of 256, first < end */
    struct pv_frontier before; /* the tree of the entries before first, as the archive says */
    struct pv_proof proof;     /* that the checkpoint's tree begins with the end entries */
    char note[PV_NOTE_MAX];    /* the checkpoint */
    size_t note_len;
    size_t bytes; /* of the head; the first entry's frame follows */
};
/* Parses the beginning of a file; len bytes of it are there, at most PV_ARCHIVE_HEAD_MAX are looked
 * at. -EBADMSG. */
PV_MUST_CHECK int pv_archive_head_parse(const void *p, size_t len, struct pv_archive_head *ret,
                                        struct pv_err *err);

struct pv_archive_info {
    uint64_t first, end;
    uint8_t root[PV_HASH_BYTES];     /* of the tree of the first end entries */
    struct pv_checkpoint checkpoint; /* that signs them */
    uint8_t hash[PV_HASH_BYTES];     /* SHA-256 of the whole file */
};
/* Writes the entries first to end (multiples of 256) of the log in dir_fd as an archive to fd. Each
 * entry is compared with its stored hash, and all of them with the published checkpoint. */
PV_MUST_CHECK int pv_archive_write(int dir_fd, const struct pv_note_key *key, uint64_t first,
                                   uint64_t end, int fd, struct pv_archive_info *ret,
                                   struct pv_err *err);
/* Checks an archive with nothing but the log's public key. -EBADMSG, -ENOKEY, -EKEYREJECTED. */
PV_MUST_CHECK int pv_archive_check(int fd, const struct pv_note_key *key,
                                   struct pv_archive_info *ret, struct pv_err *err);

/* 0 when its entries are those of the log in log_fd; -EBADMSG. */
PV_MUST_CHECK int pv_archive_is_of(const struct pv_archive_info *info, int log_fd,
                                   struct pv_err *err);
/* Makes the archive of the entries info->first to end as the file `name` in dir_fd, whole and
 * durable when it returns. A file of that name is there when this was interrupted before: then it
 * must be an archive of this log that begins with info->first and goes no further than info->end,
 * or of entries before, which the log has let go of by then. info becomes what the file holds. */
PV_MUST_CHECK int pv_archive_store(int dir_fd, const char *name, int log_fd,
                                   const struct pv_note_key *key, struct pv_archive_info *info,
                                   struct pv_err *err);

/* The request to the auditor to let go of what stands in an archive: a file that only root can
 * leave in the key directory, "END SHA256-OF-THE-ARCHIVE". */
struct pv_detach_request {
    uint64_t end;
    uint8_t archive[PV_HASH_BYTES];
};
PV_MUST_CHECK int pv_detach_ask(int key_dir_fd, const struct pv_archive_info *info,
                                struct pv_err *err);
/* 1 = there is one, 0 = none, -EBADMSG = it is malformed. */
PV_MUST_CHECK int pv_detach_asked(int key_dir_fd, struct pv_detach_request *ret,
                                  struct pv_err *err);
/* Removes it. */
PV_MUST_CHECK int pv_detach_answered(int key_dir_fd, struct pv_err *err);

/* The name under which the log's readers look for an archive: "archive/FIRST-END". */
enum { PV_ARCHIVE_NAME_MAX = 64 };
void pv_archive_name(uint64_t first, uint64_t end, char out[PV_ARCHIVE_NAME_MAX]);
