/* Nanoseconds of CPU time for one SHA-256 of a short text, by library: what it costs beside the
 * compression itself decides how fast events are tagged, hashed and verified. Libraries that
 * Provost does not use are measured where they are installed. */
#include "pv/ratchet.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#ifdef PV_BENCH_NETTLE
#include <nettle/sha2.h>
#endif
#ifdef PV_BENCH_OPENSSL
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#endif

enum { CALLS = 200000, ROUNDS = 5 };
static uint8_t text[512], digest[PV_HASH_BYTES];

static void one_piece(size_t len)
{
    pv_sha256(text, len, digest);
}

static void two_pieces(size_t len)
{
    pv_sha256_pair(text, 1, text + 1, len - 1, digest);
}

static void libsodium(size_t len)
{
    (void)crypto_hash_sha256(digest, text, len);
}

#ifdef PV_BENCH_NETTLE
static void libnettle(size_t len)
{
    struct sha256_ctx c;
    sha256_init(&c);
    sha256_update(&c, 1, text);
    sha256_update(&c, len - 1, text + 1);
    sha256_digest(&c, sizeof digest, digest);
}
#endif

#ifdef PV_BENCH_OPENSSL
static void libcrypto(size_t len)
{
    SHA256_CTX c;
    (void)SHA256_Init(&c);
    (void)SHA256_Update(&c, text, 1);
    (void)SHA256_Update(&c, text + 1, len - 1);
    (void)SHA256_Final(digest, &c);
}
#endif

static const struct {
    const char *name;
    void (*hash)(size_t len);
} ways[] = {
    {"libgcrypt, one piece", one_piece}, {"libgcrypt, two pieces", two_pieces},
    {"libsodium, one piece", libsodium},
#ifdef PV_BENCH_NETTLE
    {"nettle, two pieces", libnettle},
#endif
#ifdef PV_BENCH_OPENSSL
    {"OpenSSL, two pieces", libcrypto},
#endif
};

static double cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* The best of some rounds; each call hashes what the one before gave. */
static double measure(void (*hash)(size_t len), size_t len)
{
    double best = 1e12;
    for (unsigned r = 0; r < ROUNDS; r++) {
        double start = cpu_ns();
        for (unsigned i = 0; i < CALLS; i++) {
            hash(len);
            text[0] ^= digest[0];
        }
        double took = (cpu_ns() - start) / CALLS;
        best = took < best ? took : best;
    }
    return best;
}

int main(void)
{
    static const size_t lens[] = {33, 65, 96, 128, 196, 264};
    struct pv_err err = PV_ERR_INIT;
    if (pv_crypto_init(&err) < 0 || sodium_init() < 0)
        return 1;
    printf("%-24s", "bytes");
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++)
        printf("%7zu", lens[i]);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        printf("\n%-24s", ways[w].name);
        for (size_t i = 0; i < sizeof lens / sizeof *lens; i++)
            printf("%7.0f", measure(ways[w].hash, lens[i]));
    }
    putchar('\n');
    return 0;
}
