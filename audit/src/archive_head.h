#pragma once
#include "pv/archive.h"
#include "pv/buf.h"
#include "pv/limits.h"

PV_MUST_CHECK int pv_archive_head_print(const struct pv_archive_head *h, struct pv_buf *out,
                                        struct pv_err *err);
