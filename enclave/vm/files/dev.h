/* /dev: null, zero, full, random, urandom, tty, the links to the program's descriptors, and shm. */
#pragma once
#include "files/file.h"

PV_MUST_CHECK int pv_dev_build(struct pv_files *f);
extern const struct pv_file_ops pv_device_ops;
