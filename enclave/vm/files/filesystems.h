/* The device of a file system as the kernel itself has it, which probes see. stat(2) tells another
 * one where a file system makes up one for a part of it: each subvolume of btrfs. */
#pragma once
#include <stdint.h>

/* By the number of a mount (STATX_MNT_ID) in this process's namespace, as its mounts were when this
 * was first asked; otherwise where that cannot be known. From any thread. */
uint64_t pv_filesystem_device(uint64_t mount_id, uint64_t otherwise);
