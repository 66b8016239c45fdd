/* Reports what a call named or moved to the domain's owner. */
#pragma once
#include "files/file.h"

/* A call named a path. path2 may be NULL (and then dirfd2 does not matter). */
struct pv_named {
    enum pv_files_event_kind kind;
    const char *call;
    int dirfd;
    const char *path;
    int dirfd2;
    const char *path2;
    unsigned flags;
};

/* Reports and returns result. */
int64_t pv_event_named(struct pv_files *f, const struct pv_named *what, int64_t result);
/* The same for an open file. */
int64_t pv_event_file(struct pv_files *f, enum pv_files_event_kind kind, const char *call,
                      pv_ref file, int64_t result);
/* A refusal or success that concerns an address; address may be NULL. */
int64_t pv_event_address(struct pv_files *f, enum pv_files_event_kind kind, const char *call,
                         const struct sockaddr *address, socklen_t len, int64_t result);
/* Data moved for the first time through this open file. */
void pv_event_first(struct pv_files *f, pv_ref file, bool write);
