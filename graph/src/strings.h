/* Interned strings: text ↔ number, table `str`. */
#pragma once
#include "db.h"

struct pv_strings;
PV_MUST_CHECK int pv_strings_new(struct pv_strings **ret, sqlite3 *db, struct pv_err *err);
void pv_strings_free(struct pv_strings *t);
PV_MUST_CHECK int pv_strings_intern(struct pv_strings *t, const char *text, uint64_t *ret,
                                    struct pv_err *err);
/* Forgets what is cached when there is much of it. */
void pv_strings_trim(struct pv_strings *t);
