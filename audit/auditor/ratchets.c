#include "ratchets.h"

#include "pv/own.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

struct copy {
    struct chain chain;
    uint8_t check[16]; /* of it; all zero: this copy is empty */
};
struct slot {
    uint8_t used; /* 1: domain is set */
    uint8_t pad[7];
    struct pv_domain_id domain;
    struct copy copy[2];
};
_Static_assert(sizeof(struct chain) == 176 && sizeof(struct slot) == 400, "part of a file");

struct ratchets {
    struct slot *slots; /* mapped, RATCHET_SLOTS */
};
enum { FILE_BYTES = RATCHET_SLOTS * sizeof(struct slot) };

int ratchets_open(struct ratchets **ret, int key_dir_fd, struct pv_err *err)
{
    pv_autofree struct ratchets *r = calloc(1, sizeof *r);
    struct stat st;
    if (!r)
        return pv_fail(err, ENOMEM, "allocate the ratchets");
    pv_autoclose int fd =
        openat(key_dir_fd, "ratchets", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &st) < 0)
        return pv_fail(err, errno, "open the ratchets");
    if (st.st_size != 0 && st.st_size != FILE_BYTES)
        return pv_refuse(err, EBADMSG, "the file of ratchets has %jd bytes, not %zu",
                         (intmax_t)st.st_size, (size_t)FILE_BYTES);
    int rc = posix_fallocate(fd, 0, FILE_BYTES);
    if (rc)
        return pv_fail(err, rc, "reserve the file of ratchets");
    r->slots = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (r->slots == MAP_FAILED)
        return pv_fail(err, errno, "map the ratchets");
    *ret = PV_TAKE_PTR(r);
    return 0;
}

void ratchets_close(struct ratchets *r)
{
    if (!r)
        return;
    (void)munmap(r->slots, FILE_BYTES);
    free(r);
}

static void checksum(const struct copy *c, uint8_t out[16])
{
    uint8_t digest[PV_HASH_BYTES];
    pv_sha256(&c->chain, sizeof c->chain, digest);
    memcpy(out, digest, 16);
}

static bool whole(const struct copy *c)
{
    uint8_t check[16];
    checksum(c, check);
    return memcmp(check, c->check, sizeof check) == 0;
}

bool ratchets_get(const struct ratchets *r, unsigned i, struct pv_domain_id *ret_domain,
                  struct chain *ret)
{
    const struct slot *s = &r->slots[i];
    const struct copy *older = NULL;
    if (s->used != 1)
        return false;
    for (unsigned k = 0; k < 2; k++)
        if (whole(&s->copy[k]) && (!older || s->copy[k].chain.now.index < older->chain.now.index))
            older = &s->copy[k];
    if (!older)
        return false;
    *ret_domain = s->domain;
    *ret = older->chain;
    return true;
}

/* At the same event the one that has disclosed more comes later. */
static bool comes_later(const struct chain *a, const struct chain *b)
{
    return a->now.index != b->now.index ? a->now.index > b->now.index
                                        : !a->ended.count && b->ended.count;
}

bool ratchets_get_newer(const struct ratchets *r, unsigned i, struct chain *ret)
{
    const struct slot *s = &r->slots[i];
    const struct copy *newer = NULL;
    for (unsigned k = 0; k < 2; k++)
        if (s->used == 1 && whole(&s->copy[k]) &&
            (!newer || comes_later(&s->copy[k].chain, &newer->chain)))
            newer = &s->copy[k];
    if (!newer)
        return false;
    *ret = newer->chain;
    return true;
}

/* The copy to be replaced: one that is not whole, else the older one. */
static unsigned replaceable(const struct slot *s)
{
    if (!whole(&s->copy[0]))
        return 0;
    if (!whole(&s->copy[1]))
        return 1;
    return s->copy[1].chain.now.index < s->copy[0].chain.now.index;
}

void ratchets_put(struct ratchets *r, unsigned slot, const struct chain *state)
{
    struct slot *s = &r->slots[slot];
    struct copy fresh;
    memset(&fresh, 0, sizeof fresh);
    fresh.chain = *state;
    checksum(&fresh, fresh.check);
    s->copy[replaceable(s)] = fresh;
    explicit_bzero(&fresh, sizeof fresh);
}

int ratchets_add(struct ratchets *r, const struct pv_domain_id *domain, const struct chain *state,
                 unsigned *ret_slot, struct pv_err *err)
{
    struct pv_domain_id id;
    struct chain unused;
    unsigned i = 0;
    while (i < RATCHET_SLOTS && ratchets_get(r, i, &id, &unused))
        i++;
    if (i == RATCHET_SLOTS)
        return pv_refuse(err, ENOSPC, "more than %d domains are open", RATCHET_SLOTS);
    ratchets_erase(r, i);
    ratchets_put(r, i, state);
    r->slots[i].domain = *domain;
    atomic_signal_fence(memory_order_seq_cst);
    r->slots[i].used = 1;
    PV_TRY(ratchets_sync(r, err));
    *ret_slot = i;
    return 0;
}

int ratchets_sync(struct ratchets *r, struct pv_err *err)
{
    return msync(r->slots, FILE_BYTES, MS_SYNC) < 0 ? pv_fail(err, errno, "sync the ratchets") : 0;
}

void ratchets_erase(struct ratchets *r, unsigned slot)
{
    explicit_bzero(&r->slots[slot], sizeof r->slots[slot]);
}
