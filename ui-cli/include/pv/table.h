/* Columns of text for people. Cells are escaped as they are added. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stdio.h>

enum { CLI_TABLE_COLUMNS_MAX = 12 };

struct cli_table;
/* titles: n column titles, borrowed for the table's life. NULL when memory runs out. */
struct cli_table *cli_table_new(const char *const *titles, unsigned n);
/* Appends a cell; after the nth a new row begins. NULL counts as "-". */
void cli_table_cell(struct cli_table *t, const char *text);
/* The same, at most max characters wide: the middle gives way to an ellipsis. */
void cli_table_cell_cut(struct cli_table *t, const char *text, size_t max);
void cli_table_cellf(struct cli_table *t, const char *fmt, ...) PV_PRINTF(2, 3);
/* Prints the title row (bold when colour is set) and the rows. */
void cli_table_print(const struct cli_table *t, FILE *f, bool colour);
void cli_table_free(struct cli_table *t);
