/* What stat and its kin say about a node. */
#pragma once
#include "files/file.h"

void pv_stat_node(const struct pv_files *f, pv_ref node, struct stat *ret);
