/* From a path to a dentry, as Linux walks: component by component, links included. */
#pragma once
#include "files/node.h"

enum {
    PV_PATH_BYTES = 4096,       /* PATH_MAX: a path with its NUL */
    PV_PATH_ROOM = 4 * 4096,    /* of absolute paths: working directory and names below it */
    PV_WALK_FOLLOW = 1 << 0,    /* a link at the end */
    PV_WALK_EMPTY = 1 << 1,     /* "" means the start */
    PV_WALK_DIRECTORY = 1 << 2, /* the end must be a directory */
    PV_WALK_NO_LINKS = 1 << 3,  /* RESOLVE_NO_SYMLINKS */
    PV_WALK_NO_MAGIC = 1 << 4,
    PV_WALK_BENEATH = 1 << 5,
    PV_WALK_IN_ROOT = 1 << 6,
    PV_WALK_NO_XDEV = 1 << 7,
};

/* A walk that stands before its last component, or at its end. Large: one at a time on the stack.
 */
struct pv_walk {
    struct pv_files *f;
    unsigned flags;
    pv_ref start;     /* referenced; where BENEATH and IN_ROOT hold it */
    pv_ref at;        /* referenced; where it stands */
    unsigned links;   /* followed so far */
    const char *rest; /* what is to come, inside text */
    const char *last; /* last component, inside text; "" (last_len 0) for "/" or "" */
    size_t last_len;
    bool slash; /* slashes behind the last component */
    char text[2 * PV_PATH_BYTES];
};

/* Begins at dirfd, or at the root for absolute paths. Always pair with pv_walk_done. */
PV_MUST_CHECK int pv_walk_begin(struct pv_walk *w, struct pv_files *f, int dirfd, const char *path,
                                unsigned flags);
void pv_walk_done(struct pv_walk *w);
/* Walks until the last component, which is then in last, and at is its directory. */
PV_MUST_CHECK int pv_walk_parent(struct pv_walk *w);
/* Is the last component a name, neither "", "." nor ".."? */
bool pv_walk_last_is_name(const struct pv_walk *w);
/* The dentry of the last name in at: *ret with a reference. -ENOENT when there is none. Does not
 * follow. */
PV_MUST_CHECK int pv_walk_last(struct pv_walk *w, pv_ref *ret);
/* The last component is the link dentry: goes on with its text from the directory where it is.
 * pv_walk_parent may be called again. When the link leads to an object without a path, *ret_jump is
 * that object's dentry with a reference, else 0. */
PV_MUST_CHECK int pv_walk_link(struct pv_walk *w, pv_ref link, pv_ref *ret_jump);

/* The whole walk: *ret with a reference. */
PV_MUST_CHECK int pv_path_find(struct pv_files *f, int dirfd, const char *path, unsigned flags,
                               pv_ref *ret);
/* Text of a link node, magic ones included: length without NUL, cut to len. */
int64_t pv_link_text(const struct pv_files *f, pv_ref dentry, char *buf, size_t len);

static inline void pv_walk_cleanup_(struct pv_walk *w)
{
    pv_walk_done(w);
}
#define PV_AUTOWALK __attribute__((cleanup(pv_walk_cleanup_))) struct pv_walk
