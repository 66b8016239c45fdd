/* The measurement of packages (docs/formats/package.md), for who stores them and for who runs them.
 */
#pragma once
#include "pv/buf.h"
#include "pv/err.h"

#include <stdint.h>

enum { PV_MEASUREMENT_BYTES = 32, PV_PACKAGE_DEPTH_MAX = 32 };
enum pv_package_type { PV_PACKAGE_FILE = 1, PV_PACKAGE_LINK = 2, PV_PACKAGE_DIR = 3 };

/* What a directory of a package says of one of its entries. */
struct pv_package_node {
    uint8_t type; /* enum pv_package_type */
    uint8_t hash[PV_MEASUREMENT_BYTES];
};

struct dirent;
struct pv_package_list {
    struct dirent **v; /* sorted by the bytes of their names, without "." and ".." */
    int n;
};

/* Frees a list; one that is zero needs it not. */
void pv_package_list_done(struct pv_package_list *l);
/* 0 or -1 with errno. */
int pv_package_list_read(int dir_fd, struct pv_package_list *ret);
/* The text whose hash is a directory's: its head, then each entry in the order of the list. */
void pv_package_dir_begin(struct pv_buf *b, unsigned n);
void pv_package_dir_add(struct pv_buf *b, const char *name, const struct pv_package_node *n);
PV_MUST_CHECK int pv_package_dir_end(const struct pv_buf *b, struct pv_package_node *ret,
                                     struct pv_err *err);
/* What follows a file's content. */
void pv_package_length(uint64_t len, uint8_t out[8]);

/* Measures a stored package: a directory that no function can write. pv_crypto_init must have been
 * called. Reads every byte. -EBADMSG: it holds what no package does. */
PV_MUST_CHECK int pv_package_measure(int dir_fd, uint8_t ret[PV_MEASUREMENT_BYTES],
                                     struct pv_err *err);
/* -EBADMSG, with both measurements, when the package is not the one of that name any more. */
PV_MUST_CHECK int pv_package_check(int dir_fd, const uint8_t measurement[PV_MEASUREMENT_BYTES],
                                   struct pv_err *err);
