/* New objects in memory, under a name. */
#pragma once
#include "files/path.h"

/* Makes a node with mode (type and rights, after the umask) at the walk's last name, which must not
 * exist. *ret is its dentry with a reference. -EROFS, -EACCES, -ENOENT (directory removed),
 * -ENOSPC. */
PV_MUST_CHECK int pv_make(struct pv_walk *w, uint32_t mode, pv_ref *ret);
/* May a name be added to the directory? */
PV_MUST_CHECK int pv_may_make(const struct pv_files *f, pv_ref dir);
/* Size and times of a directory whose names changed. */
void pv_name_added(struct pv_files *f, pv_ref dir);
void pv_name_removed(struct pv_files *f, pv_ref dir);
void pv_touch_dir(struct pv_files *f, pv_ref dir);
