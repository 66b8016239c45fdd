#include "auth.h"

#include "base64.h"
#include "gateway.h"

#include <string.h>
#include <strings.h>

/* Time depends on the length of what was sent, never on where it differs. */
static bool same(const char *given, size_t len, const char *token)
{
    size_t want = strlen(token);
    unsigned diff = (unsigned)(len ^ want);
    for (size_t i = 0; i < len; i++)
        diff |= (unsigned)(uint8_t)given[i] ^ (unsigned)(uint8_t)token[want ? i % want : 0];
    return diff == 0 && want > 0;
}

static bool basic_ok(const char *encoded, const char *token)
{
    static const char user[] = "admin:";
    char plain[GW_TOKEN_MAX + sizeof user];
    size_t len;
    bool ok = gw_base64_decode(encoded, strlen(encoded), (uint8_t *)plain, sizeof plain, &len) &&
              len >= sizeof user - 1 && memcmp(plain, user, sizeof user - 1) == 0 &&
              same(plain + sizeof user - 1, len - (sizeof user - 1), token);
    explicit_bzero(plain, sizeof plain);
    return ok;
}

bool gw_auth_ok(const char *value, const char *token)
{
    if (!value)
        return false;
    if (strncasecmp(value, "Bearer ", 7) == 0)
        return same(value + 7, strlen(value + 7), token);
    if (strncasecmp(value, "Basic ", 6) == 0)
        return basic_ok(value + 6, token);
    return false;
}
