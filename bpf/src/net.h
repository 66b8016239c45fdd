/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connections. After success the addresses come from the socket; a failed attempt left none there,
 * so its address is the caller's claim. */
#pragma once

enum { ERR_IN_PROGRESS = 115 };

static __always_inline void addr_from_socket(struct pv_bpf_net *rec, struct socket *socket)
{
    struct sock *sk = BPF_CORE_READ(socket, sk);

    rec->family = BPF_CORE_READ(sk, __sk_common.skc_family);
    if (rec->family == FAMILY_INET) {
        *(u32 *)rec->addr = BPF_CORE_READ(sk, __sk_common.skc_daddr);
        rec->port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
    } else if (rec->family == FAMILY_INET6) {
        BPF_CORE_READ_INTO((struct in6_addr *)rec->addr, sk, __sk_common.skc_v6_daddr);
        rec->port = __builtin_bswap16(BPF_CORE_READ(sk, __sk_common.skc_dport));
    } else if (rec->family == FAMILY_UNIX) {
        struct sock *peer = BPF_CORE_READ((struct unix_sock *)sk, peer);
        struct unix_address *name = peer ? BPF_CORE_READ((struct unix_sock *)peer, addr) : NULL;
        s32 len = name ? BPF_CORE_READ(name, len) - 2 : 0;

        if (len > 0 && len <= 108) {
            bpf_probe_read_kernel(
                rec->path, 108, (u8 *)name + bpf_core_field_offset(struct unix_address, name) + 2);
            rec->path_bytes = (u32)len;
        }
    }
}

static __always_inline void addr_from_user(struct pv_bpf_net *rec, u64 user, u32 len)
{
    u16 family = 0;
    u16 port = 0;

    bpf_probe_read_user(&family, sizeof family, (const void *)user);
    rec->family = family;
    if (family == FAMILY_INET || family == FAMILY_INET6) {
        bpf_probe_read_user(&port, sizeof port, (const void *)(user + 2));
        rec->port = __builtin_bswap16(port);
    }
    if (family == FAMILY_INET) {
        bpf_probe_read_user(rec->addr, 4, (const void *)(user + 4));
    } else if (family == FAMILY_INET6) {
        bpf_probe_read_user(rec->addr, 16, (const void *)(user + 8));
    } else if (family == FAMILY_UNIX && len > 2 && len <= 110) {
        u32 n = (len - 2) & 127;

        if (bpf_probe_read_user(rec->path, n, (const void *)(user + 2)) == 0)
            rec->path_bytes = n;
    }
}

/* One end of a connection, for system call nr. user: the caller's address where the socket has
 * none. */
struct peer {
    u64 user;
    u32 len;
    u32 fd;
};

SEPARATE int net_op(struct proc_state *proc, u32 nr, const struct peer *peer, s64 ret)
{
    if (!proc || !peer)
        return 0;
    u64 user = peer->user;
    u32 len = peer->len;
    u32 fd = peer->fd;
    struct file *file = file_of_fd(bpf_get_current_task_btf(), fd);
    u16 kind = class_at(nr) == PV_SC_ACCEPT ? PV_BPF_ACCEPT : PV_BPF_CONNECT;
    u64 id = 0;

    if (!file || (BPF_CORE_READ(file, f_inode, i_mode) & MODE_TYPE) != MODE_SOCKET)
        return 0;
    struct object_state *object = object_of(proc, file);
    if (object)
        id = object->id;
    struct pv_bpf_cpu *cpu = this_cpu();
    if (!cpu)
        return 0;
    if (!user && id)
        emit_socket(proc, (u64)file, id, nr);
    struct pv_bpf_net *rec = RESERVE(pv_bpf_net, cpu, kind, proc, nr);
    if (!rec)
        return 0;
    rec->head.object = id;
    rec->head.result = ret;
    if (user)
        addr_from_user(rec, user, len);
    else
        addr_from_socket(rec, (struct socket *)BPF_CORE_READ(file, private_data));
    SUBMIT(rec, cpu, true);
    return 0;
}

static __always_inline void connect_op(struct proc_state *proc, const struct call *call)
{
    const u64 *args = call->args;
    u32 nr = (u32)call->nr;
    s64 ret = call->ret;

    bool reached = ret == 0 || ret == -ERR_IN_PROGRESS;

    struct peer peer = {reached ? 0 : args[1], (u32)args[2], (u32)args[0]};

    net_op(proc, nr, &peer, ret);
}

static __always_inline void accept_op(struct proc_state *proc, const struct call *call)
{
    struct peer peer = {0, 0, (u32)call->ret};

    net_op(proc, (u32)call->nr, &peer, call->ret);
}

/* A datagram that names its destination is a connection of its own. */
static __always_inline void send_op(struct proc_state *proc, const struct call *call)
{
    const u64 *args = call->args;
    u32 nr = (u32)call->nr;
    s64 ret = call->ret;

    struct peer peer = {0, 0, (u32)args[0]};

    if (nr == PV_NR_sendto) {
        peer.user = args[4];
        peer.len = (u32)args[5];
    } else if (nr == PV_NR_sendmsg) {
        bpf_probe_read_user(&peer.user, sizeof peer.user, (const void *)args[1]);
        bpf_probe_read_user(&peer.len, sizeof peer.len, (const void *)(args[1] + 8));
    }
    if (peer.user && peer.len >= 2)
        net_op(proc, nr, &peer, ret > 0 ? 0 : ret);
}
