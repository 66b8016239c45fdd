/* Landlock, where the kernel has it: reading everywhere, writing to /tmp and to devices. */
#pragma once
#include <stdint.h>

enum { PV_LANDLOCK_RULES = 3, PV_LANDLOCK_PATH_BENEATH = 1 };

struct pv_landlock_rule {
    const char *path;
    uint64_t access; /* LANDLOCK_ACCESS_FS_… */
};
/* As the kernel has it: struct landlock_path_beneath_attr. */
struct pv_landlock_beneath {
    uint64_t access;
    int32_t parent_fd;
} __attribute__((packed));

/* 0: the kernel has none. */
int pv_landlock_abi(void);
/* The rules for that version; returns the rights they govern. */
uint64_t pv_landlock_rules(int abi, struct pv_landlock_rule ret[PV_LANDLOCK_RULES]);
/* Restricts the calling process; 0 or a negative errno. Nothing to do with abi 0. Uses system
 * calls only. */
int pv_landlock_restrict(int abi);
