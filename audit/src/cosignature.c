#include "pv/cosignature.h"

#include "note_parts.h"

#include "pv/io.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TIME_BYTES = 8,
    SIG_AT = PV_NOTE_KEY_HASH_BYTES + TIME_BYTES,
    RAW_BYTES = SIG_AT + crypto_sign_BYTES,
    KEY_FILE_MAX = 1024,
};

static int init_key(struct pv_cosigner_key *k, const char *name, const uint8_t public_key[32],
                    struct pv_err *err)
{
    size_t len = strlen(name);
    if (!pv_note_name_ok(name, len))
        return pv_refuse(err, EINVAL,
                         "'%s' cannot be the name of a witness: it has spaces or '+', or is too "
                         "long",
                         name);
    memset(k, 0, sizeof *k);
    memcpy(k->name, name, len);
    memcpy(k->public_key, public_key, 32);
    pv_note_hash_key(name, PV_NOTE_COSIGNATURE, public_key, k->hash);
    return 0;
}

void pv_cosigner_key_print(const struct pv_cosigner_key *k, struct pv_buf *out)
{
    pv_note_put_key(k->name, PV_NOTE_COSIGNATURE, k->public_key, out);
}

int pv_cosigner_key_parse(const char *text, size_t len, struct pv_cosigner_key *ret,
                          struct pv_err *err)
{
    char name[PV_NOTE_NAME_MAX + 1];
    uint8_t public_key[32];
    if (len && text[len - 1] == '\n')
        len--;
    PV_TRY(pv_note_get_key(text, len, PV_NOTE_COSIGNATURE, name, public_key, err));
    return init_key(ret, name, public_key, err);
}

int pv_cosigner_init(struct pv_cosigner *c, const char *name, const uint8_t seed[32],
                     struct pv_err *err)
{
    uint8_t public_key[32];
    if (sodium_init() < 0)
        return pv_refuse(err, ENOSYS, "prepare libsodium");
    if (crypto_sign_seed_keypair(public_key, c->secret, seed))
        return pv_refuse(err, EINVAL, "derive the witness's key");
    return init_key(&c->key, name, public_key, err);
}

void pv_cosigner_done(struct pv_cosigner *c)
{
    explicit_bzero(c, sizeof *c);
}

static int write_secret(const struct pv_cosigner *c, const uint8_t seed[PV_NOTE_SEED_BYTES],
                        int dir_fd, const char *file, struct pv_err *err)
{
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, KEY_FILE_MAX);
    pv_note_put_secret(c->key.name, PV_NOTE_COSIGNATURE, c->key.hash, seed, &text);
    int rc = pv_buf_check(&text, "witness key", err);
    if (rc == 0)
        rc = pv_replace_file_at(dir_fd, file, text.data, text.len, 0600, err);
    if (text.data)
        explicit_bzero(text.data, text.len);
    return rc;
}

int pv_cosigner_create(struct pv_cosigner *ret, int dir_fd, const char *file, const char *name,
                       struct pv_err *err)
{
    uint8_t seed[PV_NOTE_SEED_BYTES];
    struct stat st;
    if (fstatat(dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return pv_refuse(err, EEXIST, "there is a key '%s' already; a witness keeps its key", file);
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return pv_fail(err, errno, "draw the witness's key");
    int rc = pv_cosigner_init(ret, name, seed, err);
    if (rc == 0)
        rc = write_secret(ret, seed, dir_fd, file, err);
    explicit_bzero(seed, sizeof seed);
    return rc;
}

int pv_cosigner_load(struct pv_cosigner *ret, int dir_fd, const char *file, struct pv_err *err)
{
    uint8_t seed[PV_NOTE_SEED_BYTES];
    char name[PV_NOTE_NAME_MAX + 1];
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, KEY_FILE_MAX);
    if (sodium_init() < 0)
        return pv_refuse(err, ENOSYS, "prepare libsodium");
    PV_TRY(pv_read_file_at(dir_fd, file, &text, err));
    bool ok = text.len && pv_note_get_secret((const char *)text.data, text.len, PV_NOTE_COSIGNATURE,
                                             name, seed);
    if (text.data)
        explicit_bzero(text.data, text.len);
    if (!ok)
        return pv_refuse(err, EBADMSG, "the witness's key '%s' is malformed", file);
    int rc = pv_cosigner_init(ret, name, seed, err);
    explicit_bzero(seed, sizeof seed);
    return rc;
}

/* What is signed: two lines, then the note's text. */
static int message(uint64_t time_s, const char *text, size_t len, struct pv_buf *out,
                   struct pv_err *err)
{
    pv_buf_printf(out, "cosignature/v1\ntime %" PRIu64 "\n", time_s);
    pv_buf_raw(out, text, len);
    return pv_buf_check(out, "cosigned message", err);
}

int pv_cosign(const struct pv_cosigner *c, uint64_t time_s, const char *text, size_t len,
              struct pv_buf *out, struct pv_err *err)
{
    uint8_t raw[RAW_BYTES];
    pv_autobuf struct pv_buf m;
    pv_buf_init(&m, PV_NOTE_MAX + 64);
    if (time_s > INT64_MAX)
        return pv_refuse(err, EINVAL, "the time of a cosignature is out of bounds");
    PV_TRY(message(time_s, text, len, &m, err));
    memcpy(raw, c->key.hash, PV_NOTE_KEY_HASH_BYTES);
    for (unsigned i = 0; i < TIME_BYTES; i++)
        raw[PV_NOTE_KEY_HASH_BYTES + i] = (uint8_t)(time_s >> (56 - 8 * i));
    if (crypto_sign_detached(raw + SIG_AT, NULL, m.data, m.len, c->secret))
        return pv_refuse(err, EINVAL, "cosign a checkpoint");
    pv_note_put_signature(c->key.name, raw, sizeof raw, out);
    return pv_buf_check(out, "cosigned checkpoint", err);
}

static bool made_by(const struct pv_note_signature *s, const struct pv_cosigner_key *k)
{
    return s->raw_len == RAW_BYTES && s->name_len == strlen(k->name) &&
           memcmp(s->name, k->name, s->name_len) == 0 &&
           memcmp(s->raw, k->hash, sizeof k->hash) == 0;
}

static int check_line(const struct pv_cosigner_key *k, const struct pv_note_signature *s,
                      const char *text, size_t len, uint64_t *ret_time_s, struct pv_err *err)
{
    pv_autobuf struct pv_buf m;
    struct pv_reader r = pv_reader_of(s->raw + PV_NOTE_KEY_HASH_BYTES, TIME_BYTES);
    uint64_t time_s = pv_read_u64(&r);
    pv_buf_init(&m, PV_NOTE_MAX + 64);
    PV_TRY(message(time_s, text, len, &m, err));
    if (time_s > INT64_MAX ||
        crypto_sign_verify_detached(s->raw + SIG_AT, m.data, m.len, k->public_key))
        return pv_refuse(err, EKEYREJECTED, "the cosignature of '%s' does not verify", k->name);
    *ret_time_s = time_s;
    return 0;
}

int pv_cosignature_check(const struct pv_cosigner_key *k, const void *note, size_t len,
                         uint64_t *ret_time_s, struct pv_err *err)
{
    const char *text, *line, *end = (const char *)note + len;
    size_t text_len;
    uint64_t newest = 0, at;
    bool found = false;
    struct pv_note_signature s;
    struct pv_err why = PV_ERR_INIT;
    int rc, bad = 0;
    PV_TRY(pv_note_split(note, len, &text, &text_len, &line, err));
    for (unsigned n = 0; (rc = pv_note_next_signature(&line, end, n, &s, err)) > 0; n++) {
        if (!made_by(&s, k))
            continue;
        /* Anybody can put a line of this name and hash beside the good one. */
        int odd = check_line(k, &s, text, text_len, &at, &why);
        if (odd < 0) {
            bad = odd;
            continue;
        }
        newest = at > newest ? at : newest;
        found = true;
    }
    PV_TRY(rc);
    if (!found && bad)
        return pv_refuse(err, -bad, "%s", why.text);
    if (!found)
        return pv_refuse(err, ENOKEY, "no cosignature by '%s'", k->name);
    *ret_time_s = newest;
    return 0;
}
