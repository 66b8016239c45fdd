/* Whatever comes in, nothing that steers a terminal goes out. */
#include "pv/escape.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds)
{
    if (!holds)
        abort();
}

static void check_harmless(const uint8_t *p, size_t len, enum cli_escape how)
{
    for (size_t i = 0; i < len; i++) {
        int passes = how == CLI_ESCAPE_TEXT && (p[i] == '\n' || p[i] == '\t');
        require(passes || (p[i] >= 0x20 && p[i] != 0x7f));
        /* C1 controls are c2 80 … c2 9f, bidirectional overrides e2 80 aa … ae */
        require(!(i > 0 && p[i - 1] == 0xc2 && p[i] < 0xa0));
        require(!(i > 1 && p[i - 2] == 0xe2 && p[i - 1] == 0x80 && p[i] >= 0xaa && p[i] <= 0xae));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum cli_escape ways[] = {CLI_ESCAPE_LINE, CLI_ESCAPE_TEXT};
    struct pv_buf once;
    struct pv_buf twice;
    for (size_t i = 0; i < 2; i++) {
        pv_buf_init(&once, 64 + 8 * size);
        cli_escape_append(&once, data, size, ways[i]);
        require(!once.failed);
        check_harmless(once.data, once.len, ways[i]);
        /* a text that needed no escape is left as it is: escaping it again changes nothing */
        pv_buf_init(&twice, 64 + 16 * size);
        cli_escape_append(&twice, once.data, once.len, CLI_ESCAPE_TEXT);
        require(twice.len == once.len &&
                (once.len == 0 || !memcmp(twice.data, once.data, once.len)));
        pv_buf_done(&once);
        pv_buf_done(&twice);
    }
    if (size > 0 && size < 4096) {
        size_t cap = data[0];
        char *out = malloc(cap ? cap : 1);
        char *text = strndup((const char *)data, size);
        require(out && text);
        cli_escape_str(text, out, cap);
        require(cap == 0 || strlen(out) < cap);
        free(out);
        free(text);
    }
    return 0;
}
