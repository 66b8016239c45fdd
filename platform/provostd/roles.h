/* Life of a role's process: start with its message, drain, death, back-off. */
#pragma once
#include "supervisor.h"

/* Adds the role-specific fields and descriptors to the start message. */
typedef int (*pv_role_fill)(struct pv_supervisor *s, struct pv_role *r, struct pv_msg *m,
                            struct pv_err *err);

void pv_role_init(struct pv_role *r, enum pv_role_kind kind, const char *name, uid_t uid);
/* Executes the role with a fresh domain and announces that to the auditor. */
PV_MUST_CHECK int pv_role_launch(struct pv_supervisor *s, struct pv_role *r,
                                 const uint8_t measurement[PV_HASH_BYTES], pv_role_fill fill,
                                 struct pv_err *err);
/* pv_role_launch for the auditor, stitcher or gateway. A failure is logged and tried again later;
 * false when there is no process then whose end would tell. */
bool pv_role_start_single(struct pv_supervisor *s, enum pv_role_kind kind);
/* Logs why it cannot be started: once, and then once a minute until it can. */
void pv_role_complain(struct pv_role *r, const struct pv_err *err);
/* Asks for a drain; the process is killed after limit_ms. */
void pv_role_drain(struct pv_role *r, uint64_t limit_ms);
void pv_role_kill(struct pv_role *r);
/* The process has ended: evidence, channel, domain; sets the back-off and, unless it was draining
 * or we are stopping, when it is due again. status is wait(2)'s. */
void pv_role_ended(struct pv_supervisor *s, struct pv_role *r, int status);
/* Counts a failed start as a death. */
void pv_role_back_off(struct pv_supervisor *s, struct pv_role *r);
/* Exit code, or 128 + signal. */
uint64_t pv_role_status(int wait_status);
/* Sends m (content taken); a role that does not take it is killed. */
void pv_role_send(struct pv_role *r, struct pv_msg *m);
/* A descriptor of the same directory with a read position of its own, for a message. */
int pv_role_fresh_dir(int dir_fd);
/* Emits an event of the supervisor's domain; a full ring is logged, with -EAGAIN. */
int pv_supervisor_emit(struct pv_supervisor *s, struct pv_event *e);
/* SHA-256 of an executable. */
PV_MUST_CHECK int pv_role_measure(const char *path, uint8_t out[PV_HASH_BYTES], struct pv_err *err);
