/* Rights of the domain's user on a node, by owner, group and others; user 0 may what root may. */
#pragma once
#include "files/node.h"

enum { PV_MAY_EXEC = 1, PV_MAY_WRITE = 2, PV_MAY_READ = 4 };

/* 0 or -EACCES, by the rights alone. */
int pv_may(const struct pv_files *f, pv_ref node, unsigned wanted);
/* May its user change rights and times? 0 or -EPERM. */
int pv_may_own(const struct pv_files *f, pv_ref node);
/* Can names in the directory, or rights and times of the object, change at all? 0 or -EROFS. */
int pv_may_change(const struct pv_files *f, pv_ref node);
/* May dentry be removed from its directory? -EACCES, -EPERM (sticky, or no memory file). */
int pv_may_remove(const struct pv_files *f, pv_ref dentry, bool directory);
