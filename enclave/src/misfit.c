#include "pv/host.h"

#include <string.h>

bool pv_starts_program(const char *call)
{
    static const char *const calls[] = {"fork", "vfork", "clone", "execve", "execveat"};

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (strcmp(call, calls[i]) == 0)
            return true;
    return false;
}
