#include "pv/ratchet.h"

#include <gcrypt.h>
#include <string.h>

enum { BLOCK_BYTES = 64, STEP_PREFIX = 0x02, EPOCH_KEY_PREFIX = 0x03, SEED_PREFIX = 0x04 };

int pv_crypto_init(struct pv_err *err)
{
    if (gcry_control(GCRYCTL_INITIALIZATION_FINISHED_P))
        return 0;
    if (!gcry_check_version(GCRYPT_VERSION))
        return pv_refuse(err, ENOSYS, "libgcrypt %s or newer is needed, %s is installed",
                         GCRYPT_VERSION, gcry_check_version(NULL));
    /* Ratchet keys live for one event; locked pages would need a capability for little gain. */
    gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
    gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
    return 0;
}

void pv_sha256(const void *p, size_t len, uint8_t out[PV_HASH_BYTES])
{
    gcry_md_hash_buffer(GCRY_MD_SHA256, out, p, len);
}

/* SHA-256 of two pieces. libgcrypt hashes an iovec with its context on the stack, which is several
 * times cheaper for short events than opening, or even resetting, a handle. */
void pv_sha256_pair(const void *a, size_t a_len, const void *b, size_t b_len,
                    uint8_t out[PV_HASH_BYTES])
{
    gcry_buffer_t pieces[2];
    memset(pieces, 0, sizeof pieces);
    pieces[0].data = (void *)(uintptr_t)a;
    pieces[0].len = a_len;
    pieces[1].data = (void *)(uintptr_t)b;
    pieces[1].len = b_len;
    gcry_md_hash_buffers(GCRY_MD_SHA256, 0, out, pieces, 2);
}

/* HMAC-SHA256 (RFC 2104) with a 32-byte key. */
static void hmac(const uint8_t key[PV_KEY_BYTES], const void *p, size_t len,
                 uint8_t out[PV_TAG_BYTES])
{
    uint8_t pad[BLOCK_BYTES], inner[PV_HASH_BYTES];
    memset(pad, 0x36, sizeof pad);
    for (unsigned i = 0; i < PV_KEY_BYTES; i++)
        pad[i] ^= key[i];
    pv_sha256_pair(pad, sizeof pad, p, len, inner);
    for (unsigned i = 0; i < BLOCK_BYTES; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    pv_sha256_pair(pad, sizeof pad, inner, sizeof inner, out);
    explicit_bzero(pad, sizeof pad);
}

/* SHA-256(prefix || in); in may be out. */
static void derive(uint8_t prefix, const uint8_t in[PV_KEY_BYTES], uint8_t out[PV_KEY_BYTES])
{
    uint8_t text[1 + PV_KEY_BYTES] = {prefix};
    memcpy(text + 1, in, PV_KEY_BYTES);
    pv_sha256(text, sizeof text, out);
    explicit_bzero(text, sizeof text);
}

static void start_epoch(struct pv_ratchet *r)
{
    derive(EPOCH_KEY_PREFIX, r->seed, r->key);
    derive(SEED_PREFIX, r->seed, r->seed);
    r->first = r->index;
}

void pv_ratchet_init(struct pv_ratchet *r, const uint8_t seed[PV_KEY_BYTES])
{
    memset(r, 0, sizeof *r);
    memcpy(r->seed, seed, PV_KEY_BYTES);
    start_epoch(r);
}

void pv_ratchet_of_epoch(struct pv_ratchet *r, uint32_t epoch, uint64_t first,
                         const uint8_t key[PV_KEY_BYTES])
{
    memset(r, 0, sizeof *r);
    memcpy(r->key, key, PV_KEY_BYTES);
    r->epoch = epoch;
    r->index = r->first = first;
}

void pv_ratchet_commitment(const struct pv_ratchet *r, uint8_t out[PV_HASH_BYTES])
{
    pv_sha256(r->key, PV_KEY_BYTES, out);
}

void pv_ratchet_next_commitment(const struct pv_ratchet *r, uint8_t out[PV_HASH_BYTES])
{
    uint8_t key[PV_KEY_BYTES];
    derive(EPOCH_KEY_PREFIX, r->seed, key);
    pv_sha256(key, sizeof key, out);
    explicit_bzero(key, sizeof key);
}

void pv_ratchet_next_epoch(struct pv_ratchet *r)
{
    r->epoch++;
    start_epoch(r);
}

void pv_ratchet_tag(struct pv_ratchet *r, const void *p, size_t len, uint8_t tag[PV_TAG_BYTES])
{
    hmac(r->key, p, len, tag);
    derive(STEP_PREFIX, r->key, r->key);
    r->index++;
}

void pv_ratchet_step(struct pv_ratchet *r, uint8_t ret[PV_KEY_BYTES])
{
    memcpy(ret, r->key, PV_KEY_BYTES);
    derive(STEP_PREFIX, r->key, r->key);
    r->index++;
}

bool pv_ratchet_tag_is(const uint8_t key[PV_KEY_BYTES], const void *p, size_t len,
                       const uint8_t tag[PV_TAG_BYTES])
{
    uint8_t right[PV_TAG_BYTES];
    hmac(key, p, len, right);
    return memcmp(right, tag, sizeof right) == 0;
}

void pv_ratchet_done(struct pv_ratchet *r)
{
    explicit_bzero(r, sizeof *r);
}

struct pv_hasher {
    gcry_md_hd_t md; /* owned */
};

int pv_hasher_new(struct pv_hasher **ret, struct pv_err *err)
{
    struct pv_hasher *h = calloc(1, sizeof *h);
    if (!h)
        return pv_fail(err, ENOMEM, "allocate a hasher");
    if (gcry_md_open(&h->md, GCRY_MD_SHA256, 0)) {
        free(h);
        return pv_refuse(err, ENOMEM, "open SHA-256 in libgcrypt");
    }
    *ret = h;
    return 0;
}

void pv_hasher_update(struct pv_hasher *h, const void *p, size_t len)
{
    gcry_md_write(h->md, p, len);
}

void pv_hasher_final(struct pv_hasher *h, uint8_t out[PV_HASH_BYTES])
{
    memcpy(out, gcry_md_read(h->md, GCRY_MD_SHA256), PV_HASH_BYTES);
    gcry_md_reset(h->md);
}

void pv_hasher_free(struct pv_hasher *h)
{
    if (!h)
        return;
    gcry_md_close(h->md);
    free(h);
}
