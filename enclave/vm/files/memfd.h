/* memfd: files in memory without a place, and their seals. */
#pragma once
#include "files/file.h"

int64_t pv_memfd_seals(struct pv_files *f, pv_ref file, bool add, unsigned seals);
