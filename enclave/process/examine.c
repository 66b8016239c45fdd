#include "examine.h"

#include "pv/own.h"
#include "stat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

enum { CHUNK = 1 << 20 };
#define EXAMINE_MAX (1ull << 30)

struct search {
    const struct pv_environment *e;
    struct pv_environment_place place;
    bool stack; /* the region at hand is the stack */
};

/* Where a pointer points in the block: 0 nowhere, 1 a variable's start, 2 inside its value. */
static int points_to(const struct search *s, uint64_t v)
{
    if (v < s->place.text || v >= s->place.text_end)
        return 0;
    size_t off = s->e->reserve_off + (size_t)(v - s->place.text);
    for (unsigned i = s->e->n_static; i < s->e->n_all; i++) {
        const char *kv = s->e->envp[i];
        size_t start = (size_t)(kv - s->e->strings);

        if (off == start)
            return 1;
        if (off == start + (size_t)(strchr(kv, '=') - kv) + 1)
            return 2;
    }
    return 0;
}

static const char *found_in(const struct search *s, uint64_t address, const uint8_t *p, size_t n)
{
    const struct pv_environment *e = s->e;
    size_t canary = strlen(e->canary);

    for (size_t i = 0; i + sizeof(uint32_t) <= n; i += sizeof(uint32_t)) {
        uint64_t at = address + i, word;
        uint32_t half;

        if (at >= s->place.stack && at < s->place.text_end)
            continue;
        memcpy(&half, p + i, sizeof half);
        if (half == e->numbers[0] || half == e->numbers[1])
            return "it has read the request's length";
        if (i % sizeof word || i + sizeof word > n)
            continue;
        memcpy(&word, p + i, sizeof word);
        int kind = points_to(s, word);
        if (kind == 2 || (kind == 1 && !s->stack))
            return "it keeps pointers into its environment";
    }
    for (const uint8_t *q = p; (q = memmem(q, n - (size_t)(q - p), e->canary, canary)); q++) {
        uint64_t at = address + (uint64_t)(q - p);

        if (at < s->place.stack || at >= s->place.text_end)
            return "it keeps a copy of its environment";
    }
    return NULL;
}

static const char *search_region(const struct search *s, pid_t pid, uint64_t from, uint64_t to,
                                 uint8_t *chunk)
{
    for (uint64_t at = from; at < to; at += CHUNK) {
        size_t n = to - at < CHUNK ? (size_t)(to - at) : CHUNK;
        struct iovec local = {chunk, n};
        struct iovec remote = {(void *)(uintptr_t)at, n};
        ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
        const char *what = got > 0 ? found_in(s, at, chunk, (size_t)got) : NULL;

        if (what)
            return what;
    }
    return NULL;
}

static inline void close_file(FILE **f)
{
    if (*f)
        (void)fclose(*f);
}

int pv_examine(const struct pv_environment *e, pid_t pid, struct pv_err *why)
{
    struct search s = {.e = e};
    __attribute__((cleanup(close_file))) FILE *maps = NULL;
    pv_autofree uint8_t *chunk = malloc(CHUNK);
    char line[PV_PATH_MAX];
    uint64_t total = 0;

    (void)snprintf(line, sizeof line, "/proc/%d/maps", (int)pid);
    maps = fopen(line, "re");
    if (!maps || !chunk)
        return pv_fail(why, errno, "look through the probe's memory");
    if (pv_environment_find(e, pid, &s.place, why) < 0)
        return 1;
    while (fgets(line, sizeof line, maps)) {
        uint64_t from, to;
        char prot[5];
        const char *what;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &from, &to, prot) != 3 || prot[1] != 'w')
            continue;
        total += to - from;
        if (total > EXAMINE_MAX) {
            (void)pv_refuse(why, EFBIG, "it has more memory than can be searched");
            return 1;
        }
        s.stack = from <= s.place.stack && s.place.stack < to;
        what = search_region(&s, pid, from, to, chunk);
        if (what) {
            (void)pv_refuse(why, EBUSY, "%s", what);
            return 1;
        }
    }
    return 0;
}
