#include "pv/log.h"

#include "pv/clock.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { LINES_PER_SECOND = 200 };

static const char *log_role = "provost";
static enum pv_log_level log_max = PV_LOG_INFO;
static _Atomic uint64_t window_start_ns;
static _Atomic unsigned window_lines;

void pv_log_init(const char *role, enum pv_log_level max)
{
    log_role = role;
    log_max = max;
}

static int admit(uint64_t now_ns)
{
    uint64_t start = atomic_load(&window_start_ns);
    if (now_ns - start >= PV_NS_PER_S && atomic_compare_exchange_strong(&window_start_ns, &start, now_ns)) {
        unsigned lines = atomic_exchange(&window_lines, 0);
        if (lines > LINES_PER_SECOND)
            dprintf(STDERR_FILENO, "role=%s level=warn msg=\"%u log lines left out\"\n", log_role,
                    lines - LINES_PER_SECOND);
    }
    return atomic_fetch_add(&window_lines, 1) < LINES_PER_SECOND;
}

void pv_log(enum pv_log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    if (level > log_max || !admit(pv_now_mono_ns()))
        return;
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == '"')
            *p = *p == '"' ? '\'' : ' ';
    uint64_t now = pv_now_real_ns();
    time_t sec = (time_t)(now / PV_NS_PER_S);
    struct tm tm;
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", gmtime_r(&sec, &tm));
    dprintf(STDERR_FILENO, "%s.%03uZ role=%s level=%s msg=\"%s\"\n", stamp,
            (unsigned)(now / PV_NS_PER_MS % 1000), log_role, names[level], text);
}
