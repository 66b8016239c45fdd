/* Linked into every role of a sanitized build. LeakSanitizer traces its own process at exit, which
 * neither a role's seccomp list nor a process that is not dumpable allows; unit tests, which run
 * the same code unconfined, do look for leaks. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}
