/* The log's key pair: log.key holds "PRIVATE+KEY+NAME+HASH+BASE64(0x01 || seed)", log.pub the
 * verifier key of pv/note.h. The name is the log's origin, "provost/" and the first 8 bytes of the
 * public key's SHA-256 in hex. */
#pragma once
#include "pv/note.h"

/* -E2BIG when another key were one more than verifiers take. */
PV_MUST_CHECK int pv_log_key_room(int key_dir_fd, struct pv_err *err);
/* The key that is to follow: made and kept durably beside the present one, under its name. */
PV_MUST_CHECK int pv_log_key_next(struct pv_note_signer *ret, int key_dir_fd, const char *name,
                                  struct pv_err *err);
/* What a rotation left: 1 = there is a next key, 0 = none. */
PV_MUST_CHECK int pv_log_key_pending(struct pv_note_signer *ret, int key_dir_fd,
                                     struct pv_err *err);
/* The next key becomes the key, or (keep false) is forgotten. */
PV_MUST_CHECK int pv_log_key_settle(int key_dir_fd, bool keep, struct pv_err *err);
/* Loads the key, or makes it when there is none and may_create. */
PV_MUST_CHECK int pv_log_key_load(struct pv_note_signer *ret, int key_dir_fd, bool may_create,
                                  struct pv_err *err);
/* Writes log.pub into dir_fd unless it says the same already; keys that it has beside k's stay in
 * it as older ones. */
PV_MUST_CHECK int pv_log_key_publish(const struct pv_note_key *k, int dir_fd, struct pv_err *err);
/* k with the older keys that log.pub in dir_fd names beside it. */
PV_MUST_CHECK int pv_log_key_known(struct pv_note_key *ret, const struct pv_note_key *k, int dir_fd,
                                   struct pv_err *err);
