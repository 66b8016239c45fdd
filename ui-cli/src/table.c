#include "pv/table.h"

#include "pv/escape.h"
#include "pv/own.h"

#include <stdarg.h>
#include <string.h>

enum { CELL_MAX = 400, CELLS_MAX = 1u << 22 };

struct cli_table {
    const char *const *titles;
    unsigned n_columns;
    size_t width[CLI_TABLE_COLUMNS_MAX];
    char **cells;
    size_t n_cells;
    size_t cap;
};

struct cli_table *cli_table_new(const char *const *titles, unsigned n)
{
    struct cli_table *t = calloc(1, sizeof *t);
    if (!t || n > CLI_TABLE_COLUMNS_MAX) {
        free(t);
        return NULL;
    }
    t->titles = titles;
    t->n_columns = n;
    for (unsigned i = 0; i < n; i++)
        t->width[i] = cli_text_width(titles[i]);
    return t;
}

/* The byte at which the nth character of a text begins, or its end. */
static size_t at_character(const char *s, size_t n)
{
    size_t at = 0;
    for (; s[at]; at++)
        if (((unsigned char)s[at] & 0xc0u) != 0x80 && n-- == 0)
            break;
    return at;
}

/* Both ends stay: of a path the end tells the most, of a sentence the beginning. Two characters or
 * more go, so the text grows by one byte at most. */
static void cut_middle(char *text, size_t max)
{
    static const char ellipsis[] = "\xe2\x80\xa6";
    size_t width = cli_text_width(text);
    if (width <= max)
        return;
    size_t head = at_character(text, max / 2);
    size_t tail = at_character(text, width - (max - max / 2 - 1));
    memmove(text + head + sizeof ellipsis - 1, text + tail, strlen(text + tail) + 1);
    memcpy(text + head, ellipsis, sizeof ellipsis - 1);
}

void cli_table_cell(struct cli_table *t, const char *text)
{
    cli_table_cell_cut(t, text, CELL_MAX);
}

void cli_table_cell_cut(struct cli_table *t, const char *text, size_t max)
{
    if (!t)
        return;
    if (t->n_cells == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 64;
        char **grown = cap <= CELLS_MAX ? realloc(t->cells, cap * sizeof *grown) : NULL;
        if (!grown)
            return;
        t->cells = grown;
        t->cap = cap;
    }
    char escaped[CELL_MAX + 1];
    (void)cli_escape_str(text ? text : "-", escaped, CELL_MAX);
    cut_middle(escaped, max);
    char *copy = strdup(escaped);
    if (!copy)
        return;
    size_t *width = &t->width[t->n_cells % t->n_columns];
    size_t w = cli_text_width(copy);
    if (w > *width)
        *width = w;
    t->cells[t->n_cells++] = copy;
}

void cli_table_cellf(struct cli_table *t, const char *fmt, ...)
{
    char text[CELL_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    cli_table_cell(t, text);
}

static void print_row(const struct cli_table *t, FILE *f, const char *const *row, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fputs(row[i], f);
        /* the last column is not padded: no blanks at the end of a line */
        size_t pad = i + 1 < n ? t->width[i] - cli_text_width(row[i]) + 2 : 0;
        for (; pad > 0; pad--)
            fputc(' ', f);
    }
}

void cli_table_print(const struct cli_table *t, FILE *f, bool colour)
{
    if (!t)
        return;
    fputs(colour ? "\033[1m" : "", f);
    print_row(t, f, t->titles, t->n_columns);
    fputs(colour ? "\033[0m\n" : "\n", f);
    for (size_t at = 0; at < t->n_cells; at += t->n_columns) {
        size_t left = t->n_cells - at;
        print_row(t, f, (const char *const *)t->cells + at,
                  left < t->n_columns ? (unsigned)left : t->n_columns);
        fputc('\n', f);
    }
}

void cli_table_free(struct cli_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_cells; i++)
        free(t->cells[i]);
    free(t->cells);
    free(t);
}
