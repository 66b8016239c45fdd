/* Connected pairs of AF_UNIX sockets inside the domain: stream, datagram and seqpacket. */
#pragma once
#include "files/file.h"

/* Reads into io; *ret_flags takes MSG_TRUNC for a record that did not fit. flags: MSG_PEEK,
 * MSG_TRUNC. */
int64_t pv_unix_recv(struct pv_files *f, pv_ref file, struct pv_io *io, int flags, int *ret_flags);
int64_t pv_unix_shutdown(struct pv_files *f, pv_ref file, int how);
int pv_unix_type(const struct pv_files *f, pv_ref file);
bool pv_unix_connected(const struct pv_files *f, pv_ref file);
/* A socket that is not connected to anything. 0: no room. */
pv_ref pv_unix_new(struct pv_files *f, int type, uint32_t flags);
void pv_unix_pair(struct pv_files *f, pv_ref a, pv_ref b);
extern const struct pv_file_ops pv_unix_ops;
