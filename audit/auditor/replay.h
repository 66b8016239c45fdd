/* A recorded stream in the place of the probes (docs/formats/probe-stream.md). One thread. */
#pragma once
#include "pv/event.h"
#include "pv/probe_stream.h"

struct replay;
/* Takes fd, also on failure; text as of witness_open. */
PV_MUST_CHECK int replay_open(struct replay **ret, int fd, char *ret_text, size_t text_cap,
                              struct pv_err *err);
/* As pv_probe_next; -EBADMSG: a record that cannot be translated, the next can follow; -EPROTO: the
 * stream is malformed or cut short. */
PV_MUST_CHECK int replay_next(struct replay *r, struct pv_event *ret, struct pv_err *err);
uint32_t replay_cpus(const struct replay *r);
struct pv_stream_count replay_count(const struct replay *r, uint32_t cpu);
/* Accepts NULL. */
void replay_close(struct replay *r);
PV_DEFINE_CLEANUP(struct replay, replay_close)
