/* Tables of the graph; their meaning is in docs/formats/graph.md. */
#pragma once
#include "db.h"

#define PV_GRAPH_APP_ID 0x50564752 /* "PVGR" */
/* Raised with every change of the tables and of the rules by which events become rows: a graph that
 * was begun by other rules is not continued but made anew. A test knows the digest of a graph. */
#define PV_GRAPH_FORMAT 6

/* Creates the tables in an empty database; -EILSEQ when it holds something else. */
PV_MUST_CHECK int pv_schema_create(sqlite3 *db, struct pv_err *err);
/* Refuses a database that is no graph of this format. */
PV_MUST_CHECK int pv_schema_check(sqlite3 *db, struct pv_err *err);

/* Every table, and the index that traces go by, with the order in which its rows are digested and
 * compared; ends with NULL. */
struct pv_schema_table {
    const char *name;
    const char *from;
    const char *columns;
    const char *order;
};
extern const struct pv_schema_table pv_schema_tables[];
