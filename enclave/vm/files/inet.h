/* AF_INET and AF_INET6 sockets: nothing until they are connected, then a host socket that the
 * domain's owner gave. */
#pragma once
#include "files/file.h"

struct pv_inet {
    int32_t family, type, protocol;
    uint32_t in_wakes, out_wakes;
    uint16_t seen; /* poll's mask at the last look for edges */
    bool connected;
    bool wants_out; /* could not send, or is still connecting: room is worth waiting for */
};

static inline const struct pv_inet *pv_inet(const struct pv_files *f, pv_ref file)
{
    return pv_at(&f->arena, pv_file(f, file)->object);
}

/* 0: no room. */
pv_ref pv_inet_new(struct pv_files *f, int family, int type, int protocol, uint32_t flags);
int64_t pv_inet_connect(struct pv_files *f, pv_ref file, const struct sockaddr *address,
                        socklen_t len);
/* The host socket, or -1 before it is connected. */
int pv_inet_host(const struct pv_files *f, pv_ref file);
int64_t pv_inet_send(struct pv_files *f, pv_ref file, struct pv_io *io, int flags);
int64_t pv_inet_recv(struct pv_files *f, pv_ref file, struct pv_io *io, int flags,
                     struct msghdr *name);
extern const struct pv_file_ops pv_inet_ops;
