/* eventfd: a counter. */
#pragma once
#include "files/file.h"

extern const struct pv_file_ops pv_event_ops;
