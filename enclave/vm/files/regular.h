/* Files with content: in memory, or of the host's tree. */
#pragma once
#include "files/file.h"

/* Cuts or extends a file in memory and sets its times. */
void pv_regular_resize(struct pv_files *f, pv_ref node, int64_t size);
extern const struct pv_file_ops pv_memory_ops;
extern const struct pv_file_ops pv_tree_file_ops;
