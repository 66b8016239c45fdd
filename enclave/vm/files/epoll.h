/* epoll: sets of watched files, evaluated when somebody asks. */
#pragma once
#include "files/file.h"

/* The file goes: no set watches it any more. */
void pv_epoll_forget_file(struct pv_files *f, pv_ref file);
/* What poll says of a file now; regular files are always ready. */
short pv_poll_file(struct pv_files *f, pv_ref file);
extern const struct pv_file_ops pv_epoll_ops;
