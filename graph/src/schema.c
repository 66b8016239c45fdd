#include "schema.h"

/* No IN in the conditions of indexes: every insert would make a table for its list. */
static const char ddl[] =
    "BEGIN;"
    "CREATE TABLE str(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
    "CREATE TABLE event(seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, domain INTEGER NOT NULL,"
    " inv INTEGER NOT NULL, back INTEGER NOT NULL, grp INTEGER NOT NULL, time_ns INTEGER NOT NULL,"
    " chain BLOB NOT NULL, entry BLOB NOT NULL);"
    "CREATE INDEX event_grp ON event(grp) WHERE grp > 0;"
    "CREATE INDEX event_basis ON event(kind) WHERE kind >= 40 AND kind <= 47;"
    "CREATE TABLE checkpoint(size INTEGER PRIMARY KEY, root BLOB NOT NULL, note TEXT NOT NULL,"
    " chain BLOB NOT NULL);"
    "CREATE TABLE inv(id INTEGER PRIMARY KEY, call TEXT NOT NULL UNIQUE, function INTEGER NOT NULL,"
    " version INTEGER NOT NULL, caller INTEGER NOT NULL, begin_ns INTEGER NOT NULL,"
    " end_ns INTEGER NOT NULL, status INTEGER NOT NULL, outcome INTEGER NOT NULL,"
    " unit INTEGER NOT NULL, request INTEGER NOT NULL, response INTEGER NOT NULL,"
    " grp INTEGER NOT NULL, log INTEGER NOT NULL, unit_node INTEGER NOT NULL,"
    " unit_version INTEGER NOT NULL, unit_frozen INTEGER NOT NULL, events_end INTEGER NOT NULL);"
    "CREATE INDEX inv_caller ON inv(caller) WHERE caller > 0;"
    "CREATE TABLE grp(id INTEGER PRIMARY KEY, domain INTEGER NOT NULL, instance INTEGER NOT NULL,"
    " pid INTEGER NOT NULL, start_ticks INTEGER NOT NULL, inv INTEGER NOT NULL,"
    " root INTEGER NOT NULL);"
    "CREATE TABLE obj(id INTEGER PRIMARY KEY, type INTEGER NOT NULL, inv INTEGER NOT NULL,"
    " grp INTEGER NOT NULL, name INTEGER NOT NULL, seq INTEGER NOT NULL,"
    " flags INTEGER NOT NULL, len INTEGER NOT NULL, hash BLOB);"
    "CREATE INDEX obj_name ON obj(name) WHERE type <> 3 AND type <> 4"
    " AND type <> 5 AND type <> 15;"
    "CREATE INDEX obj_inv ON obj(inv) WHERE inv > 0 AND type <> 3 AND type <> 4 AND type <> 5;"
    "CREATE TABLE revision(id INTEGER PRIMARY KEY, obj INTEGER NOT NULL, version INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, name INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX revision_obj ON revision(obj, version);"
    "CREATE VIEW node AS SELECT id, id AS obj, 0 AS version, seq, name FROM obj"
    " UNION ALL SELECT id, obj, version, seq, name FROM revision;"
    "CREATE TABLE edge(src INTEGER, seq INTEGER, dst INTEGER, rel INTEGER,"
    " PRIMARY KEY(src, seq, dst, rel)) WITHOUT ROWID;"
    "CREATE INDEX rev ON edge(dst, seq, src, rel);"
    "CREATE TABLE state(key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
    "PRAGMA application_id = 1347831634;"
    "PRAGMA user_version = 6;"
    "COMMIT;";
_Static_assert(PV_GRAPH_APP_ID == 1347831634 && PV_GRAPH_FORMAT == 6, "as in the DDL");

const struct pv_schema_table pv_schema_tables[] = {
    {"str", "str", "id, text", "id"},
    {"event", "event", "seq, kind, domain, inv, back, grp, time_ns, chain, entry", "seq"},
    {"checkpoint", "checkpoint", "size, root, note, chain", "size"},
    {"inv", "inv",
     "id, call, function, version, caller, begin_ns, end_ns, status, outcome, unit, request,"
     " response, grp, log, unit_node, unit_version, unit_frozen, events_end",
     "id"},
    {"grp", "grp", "id, domain, instance, pid, start_ticks, inv, root", "id"},
    {"obj", "obj", "id, type, inv, grp, name, seq, flags, len, hash", "id"},
    {"revision", "revision", "id, obj, version, seq, name", "id"},
    {"edge", "edge", "src, seq, dst, rel", "src, seq, dst, rel"},
    {"rev", "edge INDEXED BY rev", "dst, seq, src, rel", "dst, seq, src, rel"},
    {"state", "state", "key, value", "key"},
    {NULL, NULL, NULL, NULL},
};

int pv_schema_check(sqlite3 *db, struct pv_err *err)
{
    uint64_t app = 0, format = 0, tables = 0;
    PV_TRY(pv_db_number(db, "PRAGMA application_id", 0, &app, err));
    PV_TRY(pv_db_number(db, "PRAGMA user_version", 0, &format, err));
    PV_TRY(pv_db_number(db, "SELECT count(*) FROM sqlite_master", 0, &tables, err));
    if (app == 0 && tables == 0) /* the stitcher has made the file and not yet what is in it */
        return pv_refuse(err, ENOENT, "there is no graph in the database yet");
    if (app != PV_GRAPH_APP_ID || format != PV_GRAPH_FORMAT)
        return pv_refuse(err, EILSEQ,
                         "not a Provost graph of format %d: rebuild it with "
                         "'provost graph rebuild'",
                         PV_GRAPH_FORMAT);
    return 0;
}

int pv_schema_create(sqlite3 *db, struct pv_err *err)
{
    uint64_t app = 0, tables = 0;
    PV_TRY(pv_db_number(db, "PRAGMA application_id", 0, &app, err));
    PV_TRY(pv_db_number(db, "SELECT count(*) FROM sqlite_master", 0, &tables, err));
    if (app == 0 && tables == 0)
        return pv_db_exec(db, ddl, err);
    return pv_schema_check(db, err);
}
