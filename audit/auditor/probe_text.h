/* Words for what records carry as numbers and pieces. */
#pragma once
#include "pv/bpf_record.h"

#include <stdbool.h>
#include <stddef.h>

/* A path from its components, last first, each with its NUL (how: enum pv_bpf_path). out is
 * NUL-terminated and cut at cap - 1. false when the components are malformed. */
bool pv_probe_path(const pv_u8 *parts, size_t len, unsigned how, char *out, size_t cap);
/* "file", "directory", "pipe", "socket", …; static storage. */
const char *pv_probe_object_type(const struct pv_bpf_object *o);
/* "rename", "unlink", …: the operation of a path-op record; static storage. */
const char *pv_probe_op_name(unsigned sysno);
/* Text of an address of that family; "" when unknown. */
void pv_probe_address(unsigned family, const pv_u8 addr[16], char *out, size_t cap);
