/* Content of files in memory: a radix tree of pages under the node, with holes. The node's size is
 * the caller's business; offsets are bytes and end below 2^63. */
#pragma once
#include "files/node.h"

/* Copies len bytes; holes read as zero. The caller keeps below the size. */
void pv_data_read(const struct pv_files *f, pv_ref node, uint64_t off, void *dst, size_t len);
/* Bytes written: fewer than len, or -ENOSPC when not even one, where memory ran out. len > 0. */
int64_t pv_data_write(struct pv_files *f, pv_ref node, uint64_t off, const void *src, size_t len);
/* Gives pages for all of it, or as many as there are and -ENOSPC. len > 0. */
int pv_data_reserve(struct pv_files *f, pv_ref node, uint64_t off, uint64_t len);
/* Makes [from, to) a hole. */
void pv_data_punch(struct pv_files *f, pv_ref node, uint64_t from, uint64_t to);
/* Frees what is at or beyond size and clears the rest of its page. */
void pv_data_truncate(struct pv_files *f, pv_ref node, uint64_t size);
/* First offset at or after off, below end, that is in a page (data) or in a hole; end if none. */
uint64_t pv_data_seek(const struct pv_files *f, pv_ref node, uint64_t off, uint64_t end, bool data);
