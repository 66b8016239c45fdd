/* Removal of directory trees that this process owns. */
#pragma once
#include "pv/err.h"

#include <dirent.h>

/* Removes name under dir_fd and all beneath it, without following symbolic links. -ENOENT is no
 * error. */
PV_MUST_CHECK int pv_tree_remove(int dir_fd, const char *name, struct pv_err *err);
/* Opens a private stream over a directory descriptor, which stays the caller's. NULL and errno. */
DIR *pv_tree_list(int dir_fd);
