/* Letting go of entries that stand in an archive is asked for by a file that only root can leave in
 * the key directory: "END SHA256-OF-THE-ARCHIVE". That it happened is evidence itself; without the
 * signed event what is missing counts as deleted. */
#include "auditor.h"

#include "pv/archive.h"
#include "pv/clock.h"
#include "pv/io.h"
#include "pv/log.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REQUEST "detach"
enum { REQUEST_MAX = 128, TIDY_A_TURN = 256 };

struct request {
    uint64_t end;
    uint8_t archive[PV_HASH_BYTES];
};

static bool parse_request(const char *text, struct request *ret)
{
    char hex[2 * PV_HASH_BYTES + 1], end[2];
    unsigned long long number;
    if (sscanf(text, "%19llu %64[0-9a-f]%1[\n]", &number, hex, end) != 3 ||
        strlen(hex) != sizeof hex - 1)
        return false;
    ret->end = number;
    return pv_unhex(hex, ret->archive, sizeof ret->archive);
}

static int detach(struct auditor *a, const struct request *q, struct pv_err *err)
{
    uint64_t first, limit;
    struct pv_event e;
    PV_TRY(pv_log_detached(a->log_dir, &first, err));
    PV_TRY(pv_log_detachable(a->log_dir, &limit, err));
    if (q->end <= first || q->end > limit || q->end % 256 != 0) {
        pv_log(PV_LOG_WARN, "entries up to %ju cannot be detached", (uintmax_t)q->end);
        return 0;
    }
    pv_event_init(&e, PV_K_LOG_DETACHED, NULL);
    pv_event_u64(&e, first);
    pv_event_u64(&e, q->end - first);
    pv_event_bytes(&e, q->archive, sizeof q->archive);
    PV_TRY(auditor_emit(a, &e, err));
    PV_TRY(auditor_commit(a, err));
    PV_TRY(pv_log_detach(a->log, q->end, err));
    pv_log(PV_LOG_WARN, "entries up to %ju were detached from the log", (uintmax_t)q->end);
    return 0;
}

static int read_request(struct auditor *a, struct request *ret, struct pv_err *err)
{
    pv_autobuf struct pv_buf text;
    struct pv_err why = PV_ERR_INIT;
    pv_buf_init(&text, REQUEST_MAX);
    int rc = pv_read_file_at(a->key_dir, REQUEST, &text, &why);
    if (rc == -ENOENT)
        return 0;
    pv_buf_u8(&text, 0);
    if (rc == 0 && !text.failed && parse_request((const char *)text.data, ret))
        return 1;
    pv_log(PV_LOG_WARN, "a request to detach entries is malformed");
    if (unlinkat(a->key_dir, REQUEST, 0) < 0)
        return pv_fail(err, errno, "remove the request to detach entries");
    return 0;
}

int auditor_detach_if_asked(struct auditor *a, struct pv_err *err)
{
    struct request q;
    uint64_t now = pv_now_mono_ns();
    int rc = pv_log_tidy(a->log, TIDY_A_TURN, err);
    PV_TRY(rc);
    if (now - a->looked_detach_ns < PV_NS_PER_S / 2 || !pv_log_has_room(a->log))
        return 0;
    a->looked_detach_ns = now;
    rc = read_request(a, &q, err);
    if (rc <= 0)
        return rc;
    rc = detach(a, &q, err);
    if (rc < 0)
        return pv_wrap(err, rc, "detach entries");
    if (unlinkat(a->key_dir, REQUEST, 0) < 0)
        return pv_fail(err, errno, "remove the request to detach entries");
    return 0;
}
