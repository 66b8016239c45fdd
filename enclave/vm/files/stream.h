/* The program's first three descriptors: whatever its owner stands behind them. */
#pragma once
#include "files/file.h"

/* Opens streams 0, 1 and 2 as descriptors 0, 1 and 2. */
PV_MUST_CHECK int pv_streams_open(struct pv_files *f);
extern const struct pv_file_ops pv_stream_ops;
