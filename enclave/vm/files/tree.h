/* The read-only tree of the host. Every access goes beneath the root's descriptor, without
 * following links: links are resolved by the domain's own walk. */
#pragma once
#include "files/node.h"

/* Looks name up in a directory of the tree and remembers it: *ret is the linked dentry, without a
 * reference. -ENOENT, -EACCES, -ENOMEM. */
PV_MUST_CHECK int pv_tree_lookup(struct pv_files *f, pv_ref dir, const char *name, size_t len,
                                 pv_ref *ret);
/* Opens the object for reading: a host descriptor that the caller owns, or -errno; -ESTALE when it
 * is no longer the one that was looked up. */
PV_MUST_CHECK int pv_tree_open(struct pv_files *f, pv_ref dentry);
/* Makes a directory of the tree's appearance for mounts whose place the host lacks. 0: no room. */
PV_MUST_CHECK pv_ref pv_tree_make_dir(struct pv_files *f, pv_ref parent, const char *name,
                                      size_t len);
/* The root's dentry with one reference. */
PV_MUST_CHECK int pv_tree_root_node(struct pv_files *f, pv_ref *ret);
