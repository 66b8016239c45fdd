#include "replay.h"

#include "probe_translate.h"

#include <stdlib.h>
#include <unistd.h>

struct replay {
    FILE *f;                  /* owned */
    struct pv_stream *stream; /* owned */
    struct pv_probe_texts texts;
};

int replay_open(struct replay **ret, int fd, char *ret_text, size_t text_cap, struct pv_err *err)
{
    pv_autoclose int own = fd;
    PV_CLEANUP(replay_close) struct replay *r = calloc(1, sizeof *r);
    if (!r)
        return pv_fail(err, ENOMEM, "allocate the replay");
    r->f = fdopen(own, "r");
    if (!r->f)
        return pv_fail(err, errno, "read the recorded stream");
    (void)PV_TAKE_FD(own);
    PV_TRY(pv_stream_open(&r->stream, r->f, err));
    const struct pv_stream_info *info = pv_stream_info(r->stream);
    snprintf(ret_text, text_cap, "replay records=%d load=%ju cpus=%u names=%s io_uring=%s",
             PV_BPF_VERSION, (uintmax_t)info->load_id, info->n_cpus,
             info->features & PV_BPF_HAS_NAMES ? "kernel" : "claimed",
             info->features & PV_BPF_HAS_URING ? "yes" : "no");
    *ret = PV_TAKE_PTR(r);
    return 0;
}

int replay_next(struct replay *r, struct pv_event *ret, struct pv_err *err)
{
    struct pv_stream_item item = {0};
    int rc = pv_stream_next(r->stream, &item, err);
    if (rc == -EBADMSG)
        return -EPROTO;
    if (rc <= 0)
        return rc;
    if (!item.rec)
        pv_probe_gap(item.cpu, item.first, item.count, ret);
    else
        PV_TRY(pv_probe_translate(item.rec, item.rec->bytes,
                                  pv_stream_info(r->stream)->real_minus_boot, &r->texts, ret, err));
    return 1;
}

uint32_t replay_cpus(const struct replay *r)
{
    return pv_stream_info(r->stream)->n_cpus;
}

struct pv_stream_count replay_count(const struct replay *r, uint32_t cpu)
{
    return pv_stream_count(r->stream, cpu);
}

void replay_close(struct replay *r)
{
    if (!r)
        return;
    pv_stream_close(r->stream);
    if (r->f)
        (void)fclose(r->f);
    free(r);
}
