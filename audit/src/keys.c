#include "keys.h"

#include "log_files.h"
#include "note_parts.h"

#include "pv/id.h"
#include "pv/io.h"
#include "pv/ratchet.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

enum { SEED_BYTES = PV_NOTE_SEED_BYTES, ORIGIN_HASH_BYTES = 8, KEY_FILE_MAX = 8192 };

/* A new log's name: its origin, made of its first key. */
static int new_name(const uint8_t seed[SEED_BYTES], char name[PV_NOTE_NAME_MAX + 1],
                    struct pv_err *err)
{
    struct pv_note_signer s;
    uint8_t digest[PV_HASH_BYTES];
    char hex[2 * ORIGIN_HASH_BYTES + 1];
    PV_TRY(pv_note_signer_init(&s, "provost", seed, err));
    pv_sha256(s.key.public_key, sizeof s.key.public_key, digest);
    pv_hex(digest, ORIGIN_HASH_BYTES, hex);
    snprintf(name, PV_NOTE_NAME_MAX + 1, "provost/%s", hex);
    pv_note_signer_done(&s);
    return 0;
}

static int write_key(const struct pv_note_signer *s, const uint8_t seed[SEED_BYTES], int key_dir_fd,
                     const char *file, struct pv_err *err)
{
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, KEY_FILE_MAX);
    pv_note_put_secret(s->key.name, PV_NOTE_ED25519, s->key.hash, seed, &text);
    int rc = pv_buf_check(&text, "log key", err);
    if (rc == 0)
        rc = pv_replace_file_at(key_dir_fd, file, text.data, text.len, 0600, err);
    if (text.data)
        explicit_bzero(text.data, text.len);
    return rc;
}

/* name NULL: that of a new log. */
static int create_key(struct pv_note_signer *ret, int key_dir_fd, const char *file,
                      const char *name, struct pv_err *err)
{
    uint8_t seed[SEED_BYTES];
    char fresh[PV_NOTE_NAME_MAX + 1];
    if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        return pv_fail(err, errno, "draw the log key");
    int rc = name ? 0 : new_name(seed, fresh, err);
    if (rc == 0)
        rc = pv_note_signer_init(ret, name ? name : fresh, seed, err);
    if (rc == 0)
        rc = write_key(ret, seed, key_dir_fd, file, err);
    explicit_bzero(seed, sizeof seed);
    return rc;
}

static int load(struct pv_note_signer *ret, int key_dir_fd, const char *file, struct pv_err *err)
{
    uint8_t seed[SEED_BYTES];
    char name[PV_NOTE_NAME_MAX + 1];
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, KEY_FILE_MAX);
    if (sodium_init() < 0)
        return pv_refuse(err, ENOSYS, "prepare libsodium");
    PV_TRY(pv_read_file_at(key_dir_fd, file, &text, err));
    if (!pv_note_get_secret((const char *)text.data, text.len, PV_NOTE_ED25519, name, seed))
        return pv_refuse(err, EBADMSG, "the log key (%s) is malformed", file);
    int rc = pv_note_signer_init(ret, name, seed, err);
    explicit_bzero(seed, sizeof seed);
    explicit_bzero(text.data, text.len);
    return rc;
}

int pv_log_key_load(struct pv_note_signer *ret, int key_dir_fd, bool may_create, struct pv_err *err)
{
    int rc = load(ret, key_dir_fd, PV_LOG_SECRET_KEY, err);
    if (rc == -ENOENT && may_create)
        return create_key(ret, key_dir_fd, PV_LOG_SECRET_KEY, NULL, err);
    return rc < 0 ? pv_wrap(err, rc, "load the log key") : 0;
}

int pv_log_key_room(int key_dir_fd, struct pv_err *err)
{
    pv_autobuf struct pv_buf text;
    struct pv_note_key all;
    pv_buf_init(&text, KEY_FILE_MAX);
    PV_TRY(pv_read_file_at(key_dir_fd, PV_LOG_PUBLIC_KEY, &text, err));
    if (text.len == 0)
        return pv_refuse(err, EBADMSG, "the file '%s' is empty", PV_LOG_PUBLIC_KEY);
    PV_TRY(pv_note_key_parse((const char *)text.data, text.len, &all, err));
    if (all.n_older == PV_NOTE_OLDER_KEYS_MAX)
        return pv_refuse(err, E2BIG,
                         "the log has had %d keys, which is as many as there can be: its key "
                         "cannot be changed any more, and goes on; docs/operations.md says how to "
                         "begin a log with another",
                         PV_NOTE_OLDER_KEYS_MAX + 1);
    return 0;
}

int pv_log_key_next(struct pv_note_signer *ret, int key_dir_fd, const char *name,
                    struct pv_err *err)
{
    return create_key(ret, key_dir_fd, PV_LOG_NEXT_KEY, name, err);
}

int pv_log_key_pending(struct pv_note_signer *ret, int key_dir_fd, struct pv_err *err)
{
    int rc = load(ret, key_dir_fd, PV_LOG_NEXT_KEY, err);
    return rc == -ENOENT ? 0 : rc < 0 ? pv_wrap(err, rc, "load the next log key") : 1;
}

int pv_log_key_settle(int key_dir_fd, bool keep, struct pv_err *err)
{
    int rc = keep ? renameat(key_dir_fd, PV_LOG_NEXT_KEY, key_dir_fd, PV_LOG_SECRET_KEY)
                  : unlinkat(key_dir_fd, PV_LOG_NEXT_KEY, 0);
    if (rc < 0 && !(errno == ENOENT && !keep))
        return pv_fail(err, errno, "settle the next log key");
    return fsync(key_dir_fd) < 0 ? pv_fail(err, errno, "sync the key directory") : 0;
}

/* The keys that the text of a log.pub has, and k as the present one; k alone when it says nothing
 * of that log. */
static int known_keys(const struct pv_buf *text, const struct pv_note_key *k,
                      struct pv_note_key *ret, struct pv_err *err)
{
    struct pv_err ignored = PV_ERR_INIT;
    if (text->len == 0 ||
        pv_note_key_parse((const char *)text->data, text->len, ret, &ignored) < 0 ||
        strcmp(ret->name, k->name) != 0)
        *ret = *k;
    return pv_note_key_add(ret, k->public_key, err);
}

int pv_log_key_known(struct pv_note_key *ret, const struct pv_note_key *k, int dir_fd,
                     struct pv_err *err)
{
    pv_autobuf struct pv_buf have;
    pv_buf_init(&have, KEY_FILE_MAX);
    int rc = pv_read_file_at(dir_fd, PV_LOG_PUBLIC_KEY, &have, err);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    return known_keys(&have, k, ret, err);
}

int pv_log_key_publish(const struct pv_note_key *k, int dir_fd, struct pv_err *err)
{
    pv_autobuf struct pv_buf want, have;
    struct pv_note_key all;
    pv_buf_init(&want, KEY_FILE_MAX);
    pv_buf_init(&have, KEY_FILE_MAX);
    /* One that cannot be read just now must not be replaced: it may name older keys. */
    int rc = pv_read_file_at(dir_fd, PV_LOG_PUBLIC_KEY, &have, err);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    PV_TRY(known_keys(&have, k, &all, err));
    pv_note_key_print(&all, &want);
    pv_buf_raw(&want, "\n", 1);
    PV_TRY(pv_buf_check(&want, "verifier key", err));
    if (have.len == want.len && memcmp(have.data, want.data, want.len) == 0)
        return 0;
    return pv_replace_file_at(dir_fd, PV_LOG_PUBLIC_KEY, want.data, want.len, 0644, err);
}
