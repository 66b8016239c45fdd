#include "unused.h"

#include "package.h"
#include "pv/log.h"
#include "spawn.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STORE_FD = 3 };

struct in_use {
    const struct pv_supervisor *s;
    const uint8_t *measurements;
    size_t n;
};

static bool is_used(const void *ctx, const uint8_t measurement[PV_MEASUREMENT_BYTES])
{
    const struct in_use *u = ctx;

    for (const struct pv_host *h = u->s->hosts; h; h = h->next)
        if (memcmp(h->spec.package, measurement, PV_MEASUREMENT_BYTES) == 0)
            return true;
    for (size_t i = 0; i < u->n; i++)
        if (memcmp(u->measurements + i * PV_MEASUREMENT_BYTES, measurement, PV_MEASUREMENT_BYTES) ==
            0)
            return true;
    return false;
}

_Noreturn static void run_child(int store, pid_t parent)
{
    struct pv_err err = PV_ERR_INIT;

    pv_spawn_reset(parent);
    if (dup2(store, STORE_FD) < 0 || close_range(STORE_FD + 1, ~0u, 0) != 0)
        _exit(EXIT_FAILURE);
    if (pv_package_remove_unused(STORE_FD, &err) < 0) {
        pv_log(PV_LOG_WARN, "remove unused packages: %s", err.text);
        _exit(EXIT_FAILURE);
    }
    _exit(EXIT_SUCCESS);
}

static int start_child(struct pv_supervisor *s, struct pv_err *err)
{
    pid_t parent = getpid(), pid = fork();

    if (pid < 0)
        return pv_fail(err, errno, "fork for a removal");
    if (pid == 0)
        run_child(s->state.packages, parent);
    s->remover = pid;
    return 0;
}

int pv_unused_remove(struct pv_supervisor *s, const uint8_t *used, size_t n, struct pv_err *err)
{
    struct in_use u = {s, used, n};
    unsigned removed = 0;

    if (s->imports || s->remover)
        return pv_refuse(err, EBUSY, "packages are being imported or removed");
    PV_TRY(pv_package_set_unused_aside(s->state.packages, is_used, &u, &removed, err));
    if (removed == 0)
        return 0;
    pv_log(PV_LOG_INFO, "removes %u packages that nobody uses", removed);
    return start_child(s, err);
}
