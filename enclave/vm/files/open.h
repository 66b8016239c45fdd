/* Opening by name: Linux's order of checks. */
#pragma once
#include "files/file.h"

/* Opens the object of a dentry, whose reference is taken over also on failure: the file, with one
 * reference. */
PV_MUST_CHECK int pv_open_dentry(struct pv_files *f, pv_ref dentry, uint32_t flags, pv_ref *ret);
