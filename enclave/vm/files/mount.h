/* What is laid over the host's tree when a domain is made: directories, links, writable mounts. */
#pragma once
#include "files/node.h"

/* A pinned directory of that file system below parent, in place of whatever the tree has there;
 * the dentry without a reference. 0: no room. */
pv_ref pv_mount_dir(struct pv_files *f, pv_ref parent, const char *name, enum pv_fs fs,
                    uint32_t mode);
PV_MUST_CHECK int pv_mount_link(struct pv_files *f, pv_ref parent, const char *name, enum pv_fs fs,
                                const char *target);
/* A writable mount in memory at an absolute path; directories that the tree lacks are made up. */
PV_MUST_CHECK int pv_mount_writable(struct pv_files *f, const char *path, struct pv_err *err);
