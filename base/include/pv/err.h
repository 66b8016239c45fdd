/* Errors: return 0 or a negative errno; the last parameter carries the sentence a user reads. */
#pragma once
#include <errno.h>

#define PV_MUST_CHECK __attribute__((warn_unused_result))
#define PV_PRINTF(f, a) __attribute__((format(printf, f, a)))

/* Owned by the caller, never allocates. Zero-initialise with PV_ERR_INIT. */
struct pv_err {
    int code;       /* negative errno, 0 when no error was recorded */
    char text[512]; /* one sentence, NUL-terminated, truncated when longer */
};
#define PV_ERR_INIT ((struct pv_err){0})

/* Records "what: strerror(err)" (err is a positive or negative errno) and returns the negative
 * errno. err_out may be NULL. */
int pv_fail(struct pv_err *err_out, int err, const char *fmt, ...) PV_PRINTF(3, 4);

/* Records "what" without a strerror suffix: for errors whose text says it all. */
int pv_refuse(struct pv_err *err_out, int err, const char *fmt, ...) PV_PRINTF(3, 4);

/* Puts context in front of the recorded sentence ("context: sentence") and returns rc; does nothing
 * when rc is no error. */
int pv_wrap(struct pv_err *err_out, int rc, const char *fmt, ...) PV_PRINTF(3, 4);

#if defined(__clang_analyzer__) || defined(PV_ANALYZE)
/* An analyzer sees one file at a time: tell it that these three return what is negative. */
static inline int pv_analyzer_negative(int rc)
{
    if (rc >= 0)
        __builtin_unreachable();
    return rc;
}
#define pv_fail(...) pv_analyzer_negative((pv_fail)(__VA_ARGS__))
#define pv_refuse(...) pv_analyzer_negative((pv_refuse)(__VA_ARGS__))
#define pv_wrap(...) pv_analyzer_negative((pv_wrap)(__VA_ARGS__))
#endif

/* Returns from the enclosing function when expr is negative. */
#define PV_TRY(expr)                                                                               \
    do {                                                                                           \
        int pv_try_rc_ = (expr);                                                                   \
        if (pv_try_rc_ < 0)                                                                        \
            return pv_try_rc_;                                                                     \
    } while (0)
