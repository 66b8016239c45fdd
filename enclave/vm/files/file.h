/* Open files (Linux's open file descriptions) and the table of descriptors. */
#pragma once
#include "files/io.h"
#include "files/node.h"

#include <fcntl.h>
#include <unistd.h>

enum pv_file_kind {
    PV_FILE_MEMORY = 1, /* file in memory */
    PV_FILE_TREE,       /* file of the host's tree */
    PV_FILE_DIR,
    PV_FILE_STREAM,
    PV_FILE_DEVICE,
    PV_FILE_TEXT, /* of /proc */
    PV_FILE_PIPE,
    PV_FILE_EVENT,
    PV_FILE_TIMER,
    PV_FILE_EPOLL,
    PV_FILE_UNIX,
    PV_FILE_INET,
    PV_FILE_PATH, /* O_PATH */
    PV_FILE_KINDS,
};

struct pv_file {
    uint32_t refs;  /* descriptors */
    uint8_t kind;   /* enum pv_file_kind */
    bool read_seen; /* the first read was reported */
    bool write_seen;
    bool peer_closed; /* room for the kinds */
    uint32_t flags;   /* access mode and status flags, O_* */
    pv_ref dentry;    /* referenced */
    pv_ref object;    /* what the kind keeps, owned */
    int32_t host;     /* slot of a host descriptor, or -1 */
    int64_t offset;
    pv_ref watchers; /* entries of epoll sets that watch this file */
    uint32_t extra;
};

struct pv_fd {
    pv_ref file;    /* 0: free */
    uint32_t flags; /* FD_CLOEXEC */
};

/* What a kind of file does; NULL members give Linux's error for a file that lacks the operation.
 * -EAGAIN says that a call would block. off is where to start for files with positions. */
struct pv_file_ops {
    const char *name; /* for messages */
    bool seekable;    /* has positions */
    bool whole;       /* a blocking write goes on until everything is written */
    int64_t (*read)(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off);
    int64_t (*write)(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off);
    /* NULL: always readable and writable, and epoll refuses it. */
    short (*poll)(struct pv_files *f, pv_ref file);
    /* Counts of what woke readers (high half) and writers (low half), for edges. NULL: nobody
     * counts, and each look at a ready file is an edge. */
    uint64_t (*wakes)(struct pv_files *f, pv_ref file);
    int64_t (*seek)(struct pv_files *f, pv_ref file, int64_t off, int whence);
    /* The int argument of FIONREAD and its kin. */
    int64_t (*ioctl)(struct pv_files *f, pv_ref file, unsigned long request, int *value);
    /* The last descriptor is closed. */
    void (*release)(struct pv_files *f, pv_ref file);
};

const struct pv_file_ops *pv_file_ops(enum pv_file_kind kind);

static inline const struct pv_file *pv_file(const struct pv_files *f, pv_ref ref)
{
    return pv_at(&f->arena, ref);
}

static inline struct pv_file *pv_file_edit(struct pv_files *f, pv_ref ref)
{
    return pv_edit(&f->arena, ref, 0, sizeof(struct pv_file));
}

static inline pv_ref pv_file_node(const struct pv_files *f, pv_ref ref)
{
    return pv_dentry_node(f, pv_file(f, ref)->dentry);
}

static inline const struct pv_file_ops *pv_file_ops_of(const struct pv_files *f, pv_ref ref)
{
    return pv_file_ops(pv_file(f, ref)->kind);
}

/* A file with one reference, which the caller has; takes over the caller's reference of dentry when
 * it succeeds. 0 when there is no room. */
PV_MUST_CHECK pv_ref pv_file_new(struct pv_files *f, enum pv_file_kind kind, pv_ref dentry,
                                 uint32_t flags);
/* A file behind an object without a place: "pipe:[7]". mode has type and rights. */
PV_MUST_CHECK pv_ref pv_file_new_anonymous(struct pv_files *f, enum pv_file_kind kind,
                                           enum pv_fs fs, uint32_t mode, const char *name,
                                           uint32_t flags);
void pv_file_put(struct pv_files *f, pv_ref file);

/* The file behind a descriptor, without a reference; 0: EBADF. O_PATH files are found by
 * pv_fd_any only. */
pv_ref pv_fd_file(const struct pv_files *f, int fd);
pv_ref pv_fd_any(const struct pv_files *f, int fd);
const struct pv_fd *pv_fd_slot(const struct pv_files *f, int fd);
/* Lowest free descriptor >= min, or -EMFILE. Does not take it. */
int pv_fd_free(struct pv_files *f, int min);
/* Puts file (whose reference goes into the table) at a free descriptor. */
void pv_fd_put(struct pv_files *f, int fd, pv_ref file, uint32_t flags);
/* Lowest free descriptor for file, taking its reference over also when it fails (-EMFILE). */
int64_t pv_fd_install(struct pv_files *f, pv_ref file, bool cloexec);
