/* timerfd: expirations are counted when somebody looks. */
#pragma once
#include "files/file.h"

extern const struct pv_file_ops pv_timer_ops;
