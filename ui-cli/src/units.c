#include "pv/units.h"

#include "pv/clock.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* A run of digits at *p as a number; false when there is none or it overflows. */
static bool take_number(const char **p, uint64_t *ret)
{
    uint64_t v = 0;
    const char *s = *p;
    if (!isdigit((unsigned char)*s))
        return false;
    for (; isdigit((unsigned char)*s); s++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    *p = s;
    *ret = v;
    return true;
}

int cli_parse_size(const char *text, uint64_t *ret_bytes, struct pv_err *err)
{
    static const char suffixes[] = "kmgt";
    const char *p = text;
    uint64_t v = 0;
    if (!take_number(&p, &v))
        goto bad;
    const char *unit = *p ? strchr(suffixes, tolower((unsigned char)*p)) : NULL;
    if (unit && *unit) {
        unsigned shift = 10 * (unsigned)(unit - suffixes + 1);
        if (v > UINT64_MAX >> shift)
            goto bad;
        v <<= shift;
        p++;
        if (*p == 'i')
            p++;
    }
    if (*p == 'B' || *p == 'b')
        p++;
    if (*p)
        goto bad;
    *ret_bytes = v;
    return 0;
bad:
    return pv_refuse(err, EINVAL, "'%s' is no size; write for example 64M or 1G", text);
}

static bool take_unit_ms(const char **p, uint64_t *ret)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t n = strlen(units[i].name);
        if (strncmp(*p, units[i].name, n) == 0) {
            *p += n;
            *ret = units[i].ms;
            return true;
        }
    }
    return false;
}

int cli_parse_duration(const char *text, uint64_t *ret_ms, struct pv_err *err)
{
    const char *p = text;
    uint64_t total = 0;
    do {
        uint64_t v = 0;
        uint64_t unit = 1000;
        if (!take_number(&p, &v))
            goto bad;
        /* a bare number is one of seconds, but only when it stands alone */
        if (!take_unit_ms(&p, &unit) && (*p || total))
            goto bad;
        if (__builtin_mul_overflow(v, unit, &v) || __builtin_add_overflow(total, v, &total))
            goto bad;
    } while (*p);
    *ret_ms = total;
    return 0;
bad:
    return pv_refuse(err, EINVAL, "'%s' is no duration; write for example 10s, 500ms or 2m", text);
}

int cli_parse_cpu(const char *text, uint32_t *ret_millis, struct pv_err *err)
{
    const char *p = text;
    uint64_t millis = 0;
    if (!take_number(&p, &millis) || millis > 1000000)
        goto bad;
    if (*p == 'm') {
        p++;
    } else {
        millis *= 1000;
        if (*p == '.') {
            unsigned scale = 100;
            for (p++; isdigit((unsigned char)*p); p++, scale /= 10)
                millis += (uint64_t)scale * (unsigned)(*p - '0');
        }
    }
    if (*p || millis == 0 || millis > 1000000)
        goto bad;
    *ret_millis = (uint32_t)millis;
    return 0;
bad:
    return pv_refuse(err, EINVAL, "'%s' is no CPU share; write for example 0.5 or 500m", text);
}

int cli_parse_count(const char *text, uint64_t max, uint64_t *ret, struct pv_err *err)
{
    const char *p = text;
    uint64_t v = 0;
    if (!take_number(&p, &v) || *p || v > max)
        return pv_refuse(err, EINVAL, "'%s' is no number between 0 and %" PRIu64, text, max);
    *ret = v;
    return 0;
}

/* Fraction of a second after a dot, as nanoseconds. */
static uint64_t take_fraction(const char **p)
{
    uint64_t ns = 0;
    uint64_t scale = PV_NS_PER_S / 10;
    if (**p != '.')
        return 0;
    for (++*p; isdigit((unsigned char)**p); ++*p, scale /= 10)
        ns += scale * (uint64_t)(**p - '0');
    return ns;
}

static bool parse_date(const char *text, uint64_t *ret_ns)
{
    static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (!end)
            continue;
        uint64_t ns = i == 0 ? take_fraction(&end) : 0;
        if (*end == 'Z')
            end++;
        time_t sec = timegm(&tm);
        if (*end || sec < 0)
            return false;
        *ret_ns = (uint64_t)sec * PV_NS_PER_S + ns;
        return true;
    }
    return false;
}

int cli_parse_moment(const char *text, uint64_t now_ns, uint64_t *ret_ns, struct pv_err *err)
{
    uint64_t ms = 0;
    if (parse_date(text, ret_ns))
        return 0;
    if (cli_parse_duration(text, &ms, NULL) < 0)
        return pv_refuse(err, EINVAL,
                         "'%s' is no moment; write for example 10m (ago) or 2026-11-21T10:00:00",
                         text);
    uint64_t ago = ms > now_ns / PV_NS_PER_MS ? now_ns : ms * PV_NS_PER_MS;
    *ret_ns = now_ns - ago;
    return 0;
}

const char *cli_format_size(uint64_t bytes, char *out, size_t cap)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t i = 0;
    double v = (double)bytes;
    for (; v >= 1024 && i + 1 < sizeof names / sizeof *names; i++)
        v /= 1024;
    snprintf(out, cap, i ? "%.1f %s" : "%.0f %s", v, names[i]);
    return out;
}

const char *cli_format_time(uint64_t ns, char *out, size_t cap)
{
    time_t sec = (time_t)(ns / PV_NS_PER_S);
    struct tm tm;
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", gmtime_r(&sec, &tm));
    snprintf(out, cap, "%s.%06uZ", stamp, (unsigned)(ns % PV_NS_PER_S / 1000));
    return out;
}
