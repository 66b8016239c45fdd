#include "pv/note.h"

#include "note_parts.h"

#include <sodium.h>
#include <string.h>

enum { SIG_BYTES = PV_NOTE_KEY_HASH_BYTES + crypto_sign_BYTES };

static void hash_key(const char *name, const uint8_t public_key[32],
                     uint8_t out[PV_NOTE_KEY_HASH_BYTES])
{
    pv_note_hash_key(name, PV_NOTE_ED25519, public_key, out);
}

int pv_note_key_init(struct pv_note_key *k, const char *name, const uint8_t public_key[32],
                     struct pv_err *err)
{
    size_t len = strlen(name);
    if (sodium_init() < 0)
        return pv_refuse(err, ENOSYS, "prepare libsodium");
    if (!pv_note_name_ok(name, len))
        return pv_refuse(err, EINVAL, "'%s' cannot be the name of a key", name);
    memset(k, 0, sizeof *k);
    memcpy(k->name, name, len);
    memcpy(k->public_key, public_key, 32);
    hash_key(name, public_key, k->hash);
    return 0;
}

bool pv_note_key_knows(const struct pv_note_key *k, const uint8_t public_key[32])
{
    for (unsigned i = 0; i < k->n_older; i++)
        if (memcmp(k->older[i].key, public_key, 32) == 0)
            return true;
    return memcmp(k->public_key, public_key, 32) == 0;
}

int pv_note_key_add(struct pv_note_key *k, const uint8_t public_key[32], struct pv_err *err)
{
    if (pv_note_key_knows(k, public_key))
        return 0;
    if (k->n_older == PV_NOTE_OLDER_KEYS_MAX)
        return pv_refuse(err, E2BIG, "'%s' has had more than %d keys", k->name,
                         PV_NOTE_OLDER_KEYS_MAX + 1);
    memmove(k->older + 1, k->older, k->n_older * sizeof *k->older);
    memcpy(k->older[0].hash, k->hash, sizeof k->hash);
    memcpy(k->older[0].key, k->public_key, 32);
    k->older[0].until = 0;
    k->n_older++;
    memcpy(k->public_key, public_key, 32);
    hash_key(k->name, public_key, k->hash);
    return 0;
}

void pv_note_key_retire(struct pv_note_key *k, const uint8_t public_key[32], uint64_t until)
{
    for (unsigned i = 0; i < k->n_older; i++)
        if (memcmp(k->older[i].key, public_key, 32) == 0 &&
            (k->older[i].until == 0 || until < k->older[i].until))
            k->older[i].until = until;
}

void pv_note_key_print(const struct pv_note_key *k, struct pv_buf *out)
{
    pv_note_put_key(k->name, PV_NOTE_ED25519, k->public_key, out);
    for (unsigned i = 0; i < k->n_older; i++) {
        pv_buf_raw(out, "\n", 1);
        pv_note_put_key(k->name, PV_NOTE_ED25519, k->older[i].key, out);
    }
}

static int parse_line(const char *text, size_t len, struct pv_note_key *ret, struct pv_err *err)
{
    char name[PV_NOTE_NAME_MAX + 1];
    uint8_t public_key[32];
    PV_TRY(pv_note_get_key(text, len, PV_NOTE_ED25519, name, public_key, err));
    return pv_note_key_init(ret, name, public_key, err);
}

static int add_older(struct pv_note_key *all, const struct pv_note_key *one, struct pv_err *err)
{
    if (strcmp(all->name, one->name) != 0)
        return pv_refuse(err, EBADMSG, "verifier keys of two names in one file");
    if (all->n_older == PV_NOTE_OLDER_KEYS_MAX)
        return pv_refuse(err, EBADMSG, "more than %d keys", PV_NOTE_OLDER_KEYS_MAX + 1);
    memcpy(all->older[all->n_older].hash, one->hash, sizeof one->hash);
    memcpy(all->older[all->n_older].key, one->public_key, 32);
    all->n_older++;
    return 0;
}

int pv_note_key_parse(const char *text, size_t len, struct pv_note_key *ret, struct pv_err *err)
{
    struct pv_note_key all, one;
    const char *end = text + len;
    bool first = true;
    memset(&all, 0, sizeof all);
    if (len && text[len - 1] == '\n')
        end--;
    do {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        PV_TRY(parse_line(text, (size_t)((newline ? newline : end) - text), &one, err));
        if (first)
            all = one;
        else
            PV_TRY(add_older(&all, &one, err));
        first = false;
        text = newline ? newline + 1 : end;
    } while (text < end);
    *ret = all;
    return 0;
}

int pv_note_signer_init(struct pv_note_signer *s, const char *name, const uint8_t seed[32],
                        struct pv_err *err)
{
    uint8_t public_key[32];
    if (sodium_init() < 0)
        return pv_refuse(err, ENOSYS, "prepare libsodium");
    if (crypto_sign_seed_keypair(public_key, s->secret, seed))
        return pv_refuse(err, EINVAL, "derive the signing key");
    return pv_note_key_init(&s->key, name, public_key, err);
}

void pv_note_signer_done(struct pv_note_signer *s)
{
    explicit_bzero(s, sizeof *s);
}

int pv_note_add_signature(const struct pv_note_signer *s, const char *text, size_t len,
                          struct pv_buf *out, struct pv_err *err)
{
    uint8_t raw[SIG_BYTES];
    memcpy(raw, s->key.hash, sizeof s->key.hash);
    if (crypto_sign_detached(raw + sizeof s->key.hash, NULL, (const unsigned char *)text, len,
                             s->secret))
        return pv_refuse(err, EINVAL, "sign a note");
    pv_note_put_signature(s->key.name, raw, sizeof raw, out);
    return pv_buf_check(out, "signed note", err);
}

int pv_note_sign(const struct pv_note_signer *s, const char *text, size_t len, struct pv_buf *out,
                 struct pv_err *err)
{
    if (len == 0 || text[len - 1] != '\n')
        return pv_refuse(err, EINVAL, "the text of a note must end in a newline");
    pv_buf_raw(out, text, len);
    pv_buf_raw(out, "\n", 1);
    return pv_note_add_signature(s, text, len, out, err);
}

/* Which of k's keys made the signature: 0 the present one, then the older ones; -1 none. */
static int made_by(const struct pv_note_signature *s, const struct pv_note_key *k)
{
    if (s->raw_len != SIG_BYTES || s->name_len != strlen(k->name) ||
        memcmp(s->name, k->name, s->name_len) != 0)
        return -1;
    if (memcmp(s->raw, k->hash, sizeof k->hash) == 0)
        return 0;
    for (unsigned i = 0; i < k->n_older; i++)
        if (memcmp(s->raw, k->older[i].hash, sizeof k->hash) == 0)
            return (int)i + 1;
    return -1;
}

static int check_line(const struct pv_note_key *k, int which, const struct pv_note_signature *s,
                      const char *text, size_t len, struct pv_err *err)
{
    const uint8_t *public_key = which ? k->older[which - 1].key : k->public_key;
    return crypto_sign_verify_detached(s->raw + sizeof k->hash, (const unsigned char *)text, len,
                                       public_key)
               ? pv_refuse(err, EKEYREJECTED, "the signature of '%s' does not verify", k->name)
               : 0;
}

void pv_note_key_retire_before(struct pv_note_key *k, const void *note, size_t len, uint64_t until)
{
    const char *text, *line, *end = (const char *)note + len;
    size_t text_len;
    struct pv_note_signature s;
    unsigned newest = k->n_older;
    if (pv_note_split(note, len, &text, &text_len, &line, NULL) < 0)
        return;
    for (unsigned n = 0; pv_note_next_signature(&line, end, n, &s, NULL) > 0; n++) {
        int which = made_by(&s, k);
        if (which >= 0 && (unsigned)which < newest)
            newest = (unsigned)which;
    }
    for (unsigned i = newest; i < k->n_older; i++)
        if (k->older[i].until == 0 || until < k->older[i].until)
            k->older[i].until = until;
}

static uint64_t until_of(const struct pv_note_key *k, int which)
{
    return which == 0 || k->older[which - 1].until == 0 ? UINT64_MAX : k->older[which - 1].until;
}

int pv_note_open_until(const struct pv_note_key *k, const void *note, size_t len,
                       const char **ret_text, size_t *ret_len, uint64_t *ret_until,
                       struct pv_err *err)
{
    const char *text, *line, *end = (const char *)note + len;
    size_t text_len;
    struct pv_note_signature s;
    uint64_t until = 0;
    int rc;
    PV_TRY(pv_note_split(note, len, &text, &text_len, &line, err));
    for (unsigned n = 0; (rc = pv_note_next_signature(&line, end, n, &s, err)) > 0; n++) {
        int which = made_by(&s, k);
        if (which < 0)
            continue;
        PV_TRY(check_line(k, which, &s, text, text_len, err));
        until = until_of(k, which) > until ? until_of(k, which) : until;
    }
    PV_TRY(rc);
    if (until == 0)
        return pv_refuse(err, ENOKEY, "no signature by '%s'", k->name);
    *ret_text = text;
    *ret_len = text_len;
    *ret_until = until;
    return 0;
}

int pv_note_open(const struct pv_note_key *k, const void *note, size_t len, const char **ret_text,
                 size_t *ret_len, struct pv_err *err)
{
    uint64_t until;
    return pv_note_open_until(k, note, len, ret_text, ret_len, &until, err);
}

int pv_note_copy_signatures(const struct pv_note_key *k, const void *note, size_t len,
                            struct pv_buf *out, struct pv_err *err)
{
    const char *text, *at, *line, *end = (const char *)note + len;
    size_t text_len;
    struct pv_note_signature s;
    bool copied[PV_NOTE_OLDER_KEYS_MAX + 1] = {false};
    int rc;
    PV_TRY(pv_note_split(note, len, &text, &text_len, &at, err));
    for (line = at; (rc = pv_note_next_signature(&at, end, 0, &s, err)) > 0; line = at) {
        int which = made_by(&s, k);
        if (which < 0 || copied[which])
            continue;
        PV_TRY(check_line(k, which, &s, text, text_len, err));
        copied[which] = true;
        pv_buf_raw(out, line, (size_t)(at - line));
    }
    PV_TRY(rc);
    return pv_buf_check(out, "signatures", err);
}
