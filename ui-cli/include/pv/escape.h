/* Text from outside (names, paths, bodies, arguments) on its way to a terminal. Control characters,
 * bidirectional overrides and bytes that are not UTF-8 become visible escapes, so that nothing a
 * function or a caller wrote can steer the operator's terminal or reorder what they read. */
#pragma once
#include "pv/buf.h"

#include <stdbool.h>
#include <stdio.h>

enum cli_escape {
    CLI_ESCAPE_LINE, /* one line: newline and tab are escaped too, and a backslash is doubled */
    CLI_ESCAPE_TEXT, /* several lines: newline and tab pass */
};

/* Appends the escaped form of len bytes. */
void cli_escape_append(struct pv_buf *b, const void *p, size_t len, enum cli_escape how);
/* Writes the escaped form to f. */
void cli_escape_write(FILE *f, const void *p, size_t len, enum cli_escape how);
/* Escapes s into out as one line, cut (with "…") to cap bytes including the NUL. Returns out. */
const char *cli_escape_str(const char *s, char *out, size_t cap);
/* Code points of a UTF-8 string: its width on a terminal, near enough for a table. */
size_t cli_text_width(const char *s);
