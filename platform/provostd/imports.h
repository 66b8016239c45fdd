/* Package imports, each in a child process, so that a large copy holds nobody up. */
#pragma once
#include "supervisor.h"

enum { PV_IMPORTS_MAX = 16 };

/* Starts an import and answers PV_SUP_IMPORTED with tag, now (refused) or later. */
void pv_import_start(struct pv_supervisor *s, uint64_t tag, const char *path);
/* Reads what the child wrote; at its end, answers and frees the import. */
void pv_import_read(struct pv_supervisor *s, struct pv_import *i);
/* Kills and frees all. */
void pv_imports_cancel(struct pv_supervisor *s);
