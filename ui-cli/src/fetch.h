/* A log's static files from a web server (c2sp.org/tlog-tiles), over one connection that is kept.
 */
#pragma once
#include "pv/log_source.h"

struct cli_fetcher;
/* url is the log's prefix, http or https, under which "checkpoint" stands; copied. -EINVAL. */
PV_MUST_CHECK int cli_fetcher_new(struct cli_fetcher **ret, const char *url, struct pv_err *err);
/* Reads through the fetcher, which is borrowed. -ENOENT: 404 or 410; -EHOSTUNREACH: no answer, or
 * another one than the file; -EMSGSIZE: more than the buffer takes. */
struct pv_log_source cli_fetcher_source(struct cli_fetcher *f);
void cli_fetcher_free(struct cli_fetcher *f);
static inline void cli_fetcher_cleanup_(struct cli_fetcher **f)
{
    cli_fetcher_free(*f);
}
#define cli_autofetcher __attribute__((cleanup(cli_fetcher_cleanup_)))
