/* Objects (nodes) and their names (dentries), as Linux has them: a dentry is what a descriptor, the
 * working directory or a child of a directory holds on to; a node lives as long as a dentry names
 * it. Names of the host's tree are remembered here too, and given up when room is needed. */
#pragma once
#include "files/domain.h"

enum {
    PV_NAME_BUCKETS = 2048,
    PV_NAME_BYTES = 255,
    PV_NAME_SHORT = 80,
    PV_NAME_COST = 20, /* what tmpfs counts for a name in its directory's size */
};

/* Which file system a node belongs to. */
enum pv_fs {
    PV_FS_TREE = 1, /* the host's, read-only */
    PV_FS_TMP,      /* in memory, writable */
    PV_FS_DEV,
    PV_FS_PROC,
    PV_FS_ANON, /* eventfd and its kin */
    PV_FS_PIPE,
    PV_FS_SOCK,
    PV_FS_MEMFD,
};

/* What a node of /dev or /proc is, and what stands behind an anonymous node. */
enum pv_special {
    PV_SPECIAL_NONE = 0,
    PV_SPECIAL_MADE, /* directory of the tree that the host does not have */
    PV_SPECIAL_NULL,
    PV_SPECIAL_ZERO,
    PV_SPECIAL_FULL,
    PV_SPECIAL_RANDOM,
    PV_SPECIAL_TTY,     /* opening gives ENXIO: there is no terminal */
    PV_SPECIAL_TEXT,    /* text of /proc; extra says which */
    PV_SPECIAL_FD_DIR,  /* /proc/self/fd */
    PV_SPECIAL_FD_LINK, /* in it; extra is the descriptor */
    PV_SPECIAL_EXE_LINK,
    PV_SPECIAL_CWD_LINK,
    PV_SPECIAL_ROOT_LINK,
    PV_SPECIAL_STREAM,  /* extra is its number */
    PV_SPECIAL_PIPE,    /* object is the pipe */
    PV_SPECIAL_NO_OPEN, /* exists by its descriptor only */
};

struct pv_node {
    uint32_t refs; /* dentries */
    uint8_t fs;    /* enum pv_fs */
    uint8_t special;
    uint8_t height; /* of the tree of pages under data */
    uint8_t seals;  /* F_SEAL_* of a memfd */
    uint32_t mode, uid, gid, nlink;
    uint32_t pages; /* of content */
    uint32_t extra;
    uint64_t dev, ino, rdev;
    uint64_t disk; /* of the tree: the device that probes see */
    int64_t size;
    int64_t blocks; /* of the tree: as the host counts; else from pages */
    struct timespec atime, mtime, ctime, btime;
    pv_ref data;     /* pages of content, or text of a link */
    pv_ref children; /* of a directory: first dentry, newest first */
    pv_ref object;
    pv_ref locks; /* chain of struct pv_lock */
    uint64_t next_cookie;
};

struct pv_dentry {
    uint32_t refs;
    pv_ref parent; /* referenced; 0 for the root and for anonymous objects */
    pv_ref node;   /* referenced */
    pv_ref hash_next;
    pv_ref next, prev;
    uint64_t cookie; /* place in the directory's listing */
    bool linked;     /* found by its name */
    bool pinned;     /* mount or built-in: never removed */
    uint8_t name_len;
    pv_ref long_name; /* of names that do not fit below */
    char short_name[PV_NAME_SHORT];
};

static inline const struct pv_node *pv_node(const struct pv_files *f, pv_ref ref)
{
    return pv_at(&f->arena, ref);
}

static inline struct pv_node *pv_node_edit(struct pv_files *f, pv_ref ref)
{
    return pv_edit(&f->arena, ref, 0, sizeof(struct pv_node));
}

static inline const struct pv_dentry *pv_dentry(const struct pv_files *f, pv_ref ref)
{
    return pv_at(&f->arena, ref);
}

static inline struct pv_dentry *pv_dentry_edit(struct pv_files *f, pv_ref ref)
{
    return pv_edit(&f->arena, ref, 0, sizeof(struct pv_dentry));
}

/* Not NUL-terminated; name_len bytes. */
static inline const char *pv_dentry_name(const struct pv_files *f, const struct pv_dentry *d)
{
    return d->long_name ? pv_at(&f->arena, d->long_name) : d->short_name;
}

static inline pv_ref pv_dentry_node(const struct pv_files *f, pv_ref ref)
{
    return pv_dentry(f, ref)->node;
}

/* A node without a name, owned by the domain's user, with the time of now; mode has type and
 * rights. Memory nodes count against the domain's limit. 0 when there is no room. */
PV_MUST_CHECK pv_ref pv_node_new(struct pv_files *f, enum pv_fs fs, uint32_t mode);
/* Gives up a node that never got a dentry. */
void pv_node_discard(struct pv_files *f, pv_ref node);

/* A dentry for node, found under parent by that name; parent 0 makes one without a place. The
 * caller gets a reference. 0 when there is no room (the node is then untouched). */
PV_MUST_CHECK pv_ref pv_dentry_new(struct pv_files *f, pv_ref parent, const char *name, size_t len,
                                   pv_ref node);
/* As above with a name that lookups do not find. */
PV_MUST_CHECK pv_ref pv_dentry_new_hidden(struct pv_files *f, pv_ref parent, const char *name,
                                          size_t len, pv_ref node);
/* The linked dentry of that name, without a reference; 0 when there is none. */
pv_ref pv_dentry_find(const struct pv_files *f, pv_ref parent, const char *name, size_t len);
void pv_dentry_get(struct pv_files *f, pv_ref ref);
/* Accepts 0. */
void pv_dentry_put(struct pv_files *f, pv_ref ref);
/* Takes the name out of its directory; the object lives on while it is in use. */
void pv_dentry_unlink(struct pv_files *f, pv_ref ref);
/* Moves a linked dentry to another place and name: 0 or -ENOMEM (unchanged). Who had that name must
 * be unlinked next. */
PV_MUST_CHECK int pv_dentry_move(struct pv_files *f, pv_ref ref, pv_ref parent, const char *name,
                                 size_t len);
/* Two linked dentries change places, names included. */
void pv_dentry_exchange(struct pv_files *f, pv_ref a, pv_ref b);
/* Gives up remembered names of the tree that nothing uses. */
void pv_dentry_shrink(struct pv_files *f);
/* Writes the absolute path: its length, or -ENAMETOOLONG. An unlinked object ends in " (deleted)",
 * an anonymous one has its name only. */
int64_t pv_dentry_path(const struct pv_files *f, pv_ref ref, char *buf, size_t len);
/* Still reachable from the root? */
bool pv_dentry_reachable(const struct pv_files *f, pv_ref ref);
/* Is ref equal to or below ancestor? */
bool pv_dentry_below(const struct pv_files *f, pv_ref ref, pv_ref ancestor);

static inline bool pv_node_is_dir(const struct pv_files *f, pv_ref node)
{
    return S_ISDIR(pv_node(f, node)->mode);
}

/* Kept in memory (and can be changed)? */
static inline bool pv_node_in_memory(const struct pv_node *node)
{
    return node->fs == PV_FS_TMP || node->fs == PV_FS_MEMFD;
}
