/* The debug log on stderr: key=value, one line an entry, rate-limited. It is no audit log. Only a
 * program's edge calls it; libraries return errors. */
#pragma once
#include "pv/err.h"

enum pv_log_level { PV_LOG_ERROR, PV_LOG_WARN, PV_LOG_INFO, PV_LOG_DEBUG };

/* Names the process in each line and sets the most talkative level printed. Not thread-safe. */
void pv_log_init(const char *role, enum pv_log_level max);
/* One line: time, role, level, msg="…". At most 200 lines a second; what was left out is counted. */
void pv_log(enum pv_log_level level, const char *fmt, ...) PV_PRINTF(2, 3);
