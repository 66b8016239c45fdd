/* A small /proc: what C libraries and interpreters read of it. */
#pragma once
#include "files/file.h"

/* Builds /proc below the root. */
PV_MUST_CHECK int pv_proc_build(struct pv_files *f);
/* A link whose target is an object rather than a text. */
bool pv_proc_is_magic(const struct pv_node *node);
/* The object behind a magic link: dentry with a reference. */
PV_MUST_CHECK int pv_proc_jump(struct pv_files *f, pv_ref link, pv_ref *ret);
int64_t pv_proc_link_text(const struct pv_files *f, pv_ref link, char *buf, size_t len);
/* The entry of /proc/self/fd of that name, made for this use: *ret with a reference. */
PV_MUST_CHECK int pv_proc_fd_lookup(struct pv_files *f, pv_ref dir, const char *name, size_t len,
                                    pv_ref *ret);
extern const struct pv_file_ops pv_text_ops;
