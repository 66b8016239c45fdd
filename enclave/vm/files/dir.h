/* Reading directories. */
#pragma once
#include "files/file.h"

extern const struct pv_file_ops pv_dir_ops;
