/* Descriptors through a UNIX socket, with one byte of no meaning. System calls only. */
#pragma once

enum { PV_PASS_FD_MAX = 3 };

/* 0 or a negative errno. Does not wait. */
int pv_pass_fds(int socket, const int *fds, unsigned n);
/* Waits for one descriptor, which is the caller's and close-on-exec; or a negative errno. */
int pv_take_passed_fd(int socket);
