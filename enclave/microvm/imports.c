#include "microvm.h"

#include "pv/own.h"

#include <fcntl.h>
#include <string.h>

enum { CHUNK = 65536, NAME_MAX_BYTES = 32, FILE_BYTES_MAX = 64 << 20 };

/* As they stand in a table of symbols: between NULs. */
static const char *const names[] = {
    "fork",  "vfork",  "posix_spawn", "posix_spawnp", "system", "popen",  "execve",
    "execv", "execvp", "execvpe",     "execl",        "execlp", "execle", "forkpty",
};

static bool holds(const char *text, size_t len, const char *name)
{
    char framed[NAME_MAX_BYTES] = {0};
    size_t n = strlen(name);

    memcpy(framed + 1, name, n);
    return memmem(text, len, framed, n + 2) != NULL;
}

static bool holds_any(const char *text, size_t len)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (holds(text, len, names[i]))
            return true;
    return false;
}

/* The file may be changing: it is read, never mapped. */
bool pv_microvm_starts_programs(int root, const char *path)
{
    char text[NAME_MAX_BYTES + CHUNK];
    size_t kept = 0;
    pv_autoclose int fd = openat(root, path + (*path == '/'), O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    for (size_t at = 0; fd >= 0 && at < FILE_BYTES_MAX;) {
        ssize_t n = read(fd, text + kept, CHUNK);

        if (n <= 0)
            return false;
        if (holds_any(text, kept + (size_t)n))
            return true;
        at += (size_t)n;
        size_t len = kept + (size_t)n;
        kept = len < NAME_MAX_BYTES ? len : NAME_MAX_BYTES; /* a name may lie across */
        memmove(text, text + len - kept, kept);
    }
    return false;
}
