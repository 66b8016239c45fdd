/* A number of bytes in words, for sentences that people read. */
#pragma once
#include <stdint.h>

enum { PV_SIZE_TEXT = 32 };
/* In the largest unit of which it is a multiple ("16 MiB", "1000 bytes"), so that nothing is
 * rounded. Returns out. */
const char *pv_size_text(uint64_t bytes, char out[PV_SIZE_TEXT]);
