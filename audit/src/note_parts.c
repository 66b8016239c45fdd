#include "note_parts.h"

#include "base64.h"

#include "pv/id.h"
#include "pv/ratchet.h"

#include <string.h>

static const char dash[] = "\xe2\x80\x94 "; /* U+2014 and a space start a signature line */
static const char secret_prefix[] = "PRIVATE+KEY+";
enum { DASH_BYTES = sizeof dash - 1, HASH_CHARS = 2 * PV_NOTE_KEY_HASH_BYTES };

bool pv_note_name_ok(const char *name, size_t len)
{
    if (len == 0 || len > PV_NOTE_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] <= ' ' || name[i] == '+' || name[i] == 0x7f)
            return false;
    return true;
}

void pv_note_hash_key(const char *name, enum pv_note_alg alg, const uint8_t public_key[32],
                      uint8_t out[PV_NOTE_KEY_HASH_BYTES])
{
    uint8_t id[PV_NOTE_NAME_MAX + 2 + 32], digest[PV_HASH_BYTES];
    size_t len = strlen(name);
    memcpy(id, name, len);
    id[len] = '\n';
    id[len + 1] = (uint8_t)alg;
    memcpy(id + len + 2, public_key, 32);
    pv_sha256(id, len + 2 + 32, digest);
    memcpy(out, digest, PV_NOTE_KEY_HASH_BYTES);
}

void pv_note_put_key(const char *name, enum pv_note_alg alg, const uint8_t public_key[32],
                     struct pv_buf *out)
{
    char hex[HASH_CHARS + 1];
    uint8_t hash[PV_NOTE_KEY_HASH_BYTES], raw[33] = {(uint8_t)alg};
    pv_note_hash_key(name, alg, public_key, hash);
    pv_hex(hash, sizeof hash, hex);
    memcpy(raw + 1, public_key, 32);
    pv_buf_printf(out, "%s+%s+", name, hex);
    pv_base64_put(out, raw, sizeof raw);
}

int pv_note_get_key(const char *line, size_t len, enum pv_note_alg alg, char *ret_name,
                    uint8_t ret_key[32], struct pv_err *err)
{
    const char *plus = memchr(line, '+', len);
    size_t name_len = plus ? (size_t)(plus - line) : 0;
    char name[PV_NOTE_NAME_MAX + 1] = {0}, have[HASH_CHARS + 1] = {0}, want[HASH_CHARS + 1];
    uint8_t raw[33], hash[PV_NOTE_KEY_HASH_BYTES];
    if (!plus || !pv_note_name_ok(line, name_len) || len < name_len + 1 + HASH_CHARS + 1 ||
        plus[1 + HASH_CHARS] != '+')
        return pv_refuse(err, EBADMSG, "not a verifier key (NAME+HASH+KEY)");
    memcpy(name, line, name_len);
    memcpy(have, plus + 1, HASH_CHARS);
    const char *key = plus + 1 + HASH_CHARS + 1;
    if (!pv_base64_exactly(key, len - (size_t)(key - line), raw, sizeof raw) || raw[0] != alg)
        return pv_refuse(err, EBADMSG, "verifier key '%s' is of another kind than %s", name,
                         alg == PV_NOTE_ED25519 ? "a log's Ed25519 key" : "a witness's key");
    pv_note_hash_key(name, alg, raw + 1, hash);
    pv_hex(hash, sizeof hash, want);
    if (strcmp(have, want) != 0)
        return pv_refuse(err, EBADMSG, "verifier key '%s' does not match its hash", name);
    memcpy(ret_name, name, sizeof name);
    memcpy(ret_key, raw + 1, 32);
    return 0;
}

void pv_note_put_secret(const char *name, enum pv_note_alg alg,
                        const uint8_t hash[PV_NOTE_KEY_HASH_BYTES],
                        const uint8_t seed[PV_NOTE_SEED_BYTES], struct pv_buf *out)
{
    char hex[HASH_CHARS + 1];
    uint8_t raw[1 + PV_NOTE_SEED_BYTES] = {(uint8_t)alg};
    memcpy(raw + 1, seed, PV_NOTE_SEED_BYTES);
    pv_hex(hash, PV_NOTE_KEY_HASH_BYTES, hex);
    pv_buf_printf(out, "%s%s+%s+", secret_prefix, name, hex);
    pv_base64_put(out, raw, sizeof raw);
    pv_buf_raw(out, "\n", 1);
    explicit_bzero(raw, sizeof raw);
}

bool pv_note_get_secret(const char *text, size_t len, enum pv_note_alg alg,
                        char ret_name[PV_NOTE_NAME_MAX + 1], uint8_t ret_seed[PV_NOTE_SEED_BYTES])
{
    uint8_t raw[1 + PV_NOTE_SEED_BYTES];
    if (len && text[len - 1] == '\n')
        len--;
    if (len < sizeof secret_prefix || memcmp(text, secret_prefix, sizeof secret_prefix - 1) != 0)
        return false;
    /* Name and hash contain no '+', but base64 may: they are found from the front. */
    const char *at = text + sizeof secret_prefix - 1, *stop = text + len;
    const char *name_end = memchr(at, '+', (size_t)(stop - at));
    const char *hash_end =
        name_end ? memchr(name_end + 1, '+', (size_t)(stop - name_end - 1)) : NULL;
    if (!hash_end || !pv_note_name_ok(at, (size_t)(name_end - at)))
        return false;
    memset(ret_name, 0, PV_NOTE_NAME_MAX + 1);
    memcpy(ret_name, at, (size_t)(name_end - at));
    bool ok = pv_base64_exactly(hash_end + 1, (size_t)(stop - hash_end - 1), raw, sizeof raw) &&
              raw[0] == alg;
    if (ok)
        memcpy(ret_seed, raw + 1, PV_NOTE_SEED_BYTES);
    explicit_bzero(raw, sizeof raw);
    return ok;
}

void pv_note_put_signature(const char *name, const uint8_t *raw, size_t raw_len, struct pv_buf *out)
{
    pv_buf_raw(out, dash, DASH_BYTES);
    pv_buf_raw(out, name, strlen(name));
    pv_buf_raw(out, " ", 1);
    pv_base64_put(out, raw, raw_len);
    pv_buf_raw(out, "\n", 1);
}

/* Last "\n\n": what is before it, with its newline, is the text; what follows are signatures. */
static const char *find_split(const char *note, size_t len)
{
    for (size_t i = len; i-- > 1;)
        if (note[i] == '\n' && note[i - 1] == '\n')
            return note + i;
    return NULL;
}

int pv_note_split(const void *note, size_t len, const char **ret_text, size_t *ret_len,
                  const char **ret_lines, struct pv_err *err)
{
    const char *text = note, *end = text + len;
    const char *split = len <= PV_NOTE_MAX ? find_split(text, len) : NULL;
    if (!split || split + 1 == end || end[-1] != '\n' || memchr(text, 0, len))
        return pv_refuse(err, EBADMSG, "not a signed note");
    *ret_text = text;
    *ret_len = (size_t)(split - text);
    *ret_lines = split + 1;
    return 0;
}

/* One line without its newline: dash, name, space, base64. */
static bool parse_signature(const char *line, size_t len, struct pv_note_signature *ret)
{
    if (len < DASH_BYTES || memcmp(line, dash, DASH_BYTES) != 0)
        return false;
    line += DASH_BYTES;
    len -= DASH_BYTES;
    const char *space = memchr(line, ' ', len);
    if (!space || !pv_note_name_ok(line, (size_t)(space - line)))
        return false;
    ret->name = line;
    ret->name_len = (size_t)(space - line);
    size_t b64 = len - ret->name_len - 1;
    if (b64 < 8 || memchr(space + 1, ' ', b64))
        return false;
    if (!pv_base64_get(space + 1, b64, ret->raw, sizeof ret->raw, &ret->raw_len))
        ret->raw_len = 0;
    return true;
}

int pv_note_next_signature(const char **at, const char *end, unsigned n,
                           struct pv_note_signature *ret, struct pv_err *err)
{
    if (*at >= end)
        return 0;
    const char *newline = memchr(*at, '\n', (size_t)(end - *at));
    if (n == PV_NOTE_SIGNATURES_MAX || !newline ||
        !parse_signature(*at, (size_t)(newline - *at), ret))
        return pv_refuse(err, EBADMSG, "signature line %u of a note is malformed", n + 1);
    *at = newline + 1;
    return 1;
}
