/* Changing the log's key is asked for by a file that only root can leave in the key directory. The
 * change is evidence itself: an event under a checkpoint that both keys sign. */
#include "auditor.h"

#include "pv/clock.h"
#include "pv/log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define REQUEST "rotate"

static int forget_request(const struct auditor *a, struct pv_err *err)
{
    return unlinkat(a->key_dir, REQUEST, 0) < 0 && errno != ENOENT
               ? pv_fail(err, errno, "remove the request for a new key")
               : 0;
}

int auditor_rotation_found(struct auditor *a, struct pv_err *err)
{
    if (!a->found.rotated)
        return 0;
    pv_log(PV_LOG_WARN, "the log's key was changed: what was cut short is finished");
    return forget_request(a, err);
}

/* The next key, and the event that names it: the last that the checkpoint of both keys covers. */
static int begin(struct auditor *a, struct pv_err *err)
{
    uint8_t next[32];
    struct pv_event e;
    if (!a->rotating)
        PV_TRY(auditor_commit(a, err)); /* all that is there already, by the old key alone */
    PV_TRY(pv_log_rotate_begin(a->log, next, err));
    a->rotating = true;
    pv_event_init(&e, PV_K_KEY_ROTATION, NULL);
    pv_event_bytes(&e, pv_log_key(a->log)->public_key, sizeof next);
    pv_event_bytes(&e, next, sizeof next);
    PV_TRY(auditor_emit(a, &e, err));
    a->rotation_size = pv_log_size(a->log);
    return 0;
}

int auditor_rotate_on(struct auditor *a, struct pv_err *err)
{
    if (a->rotation_size == 0)
        PV_TRY(begin(a, err));
    if (pv_log_signed_size(a->log) < a->rotation_size)
        PV_TRY(auditor_commit(a, err));
    PV_TRY(pv_log_rotate_record(a->log, err));
    PV_TRY(forget_request(a, err)); /* nothing takes the change back any more */
    PV_TRY(pv_log_rotate_end(a->log, err));
    a->rotating = false;
    a->rotation_size = 0;
    pv_log(PV_LOG_WARN, "the log's key was changed");
    return pv_log_publish(a->log, true, err);
}

int auditor_rotate_if_asked(struct auditor *a, struct pv_err *err)
{
    struct stat st;
    uint64_t now = pv_now_mono_ns();
    if (now - a->looked_ns < PV_NS_PER_S / 2 || !pv_log_has_room(a->log))
        return 0;
    a->looked_ns = now;
    if (fstatat(a->key_dir, REQUEST, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    struct pv_err why = PV_ERR_INIT;
    int rc = auditor_rotate_on(a, &why);
    if (rc == -E2BIG) {
        pv_log(PV_LOG_WARN, "%s", why.text);
        return forget_request(a, err);
    }
    if (rc < 0 && err)
        *err = why;
    return rc < 0 ? pv_wrap(err, rc, "change the log's key") : 0;
}
