#include "landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rights by version; Debian 12's header ends at version 2. */
#define RIGHT_REFER (1ull << 13)
#define RIGHT_TRUNCATE (1ull << 14)
#define RIGHTS_V1 ((1ull << 13) - 1)

_Static_assert((int)PV_LANDLOCK_PATH_BENEATH == (int)LANDLOCK_RULE_PATH_BENEATH,
               "the kernel's number");
_Static_assert(sizeof(struct pv_landlock_beneath) == sizeof(struct landlock_path_beneath_attr),
               "the kernel's layout");

static const uint64_t reading =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

int pv_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    return abi < 0 ? 0 : (int)abi;
}

uint64_t pv_landlock_rules(int abi, struct pv_landlock_rule ret[PV_LANDLOCK_RULES])
{
    uint64_t all = RIGHTS_V1 | (abi >= 2 ? RIGHT_REFER : 0) | (abi >= 3 ? RIGHT_TRUNCATE : 0);

    ret[0] = (struct pv_landlock_rule){"/", reading};
    ret[1] = (struct pv_landlock_rule){"/dev", reading | LANDLOCK_ACCESS_FS_WRITE_FILE};
    ret[2] = (struct pv_landlock_rule){
        "/tmp", all & ~(LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)};
    return all;
}

static int allow(int ruleset, const struct pv_landlock_rule *rule)
{
    struct pv_landlock_beneath b = {rule->access, open(rule->path, O_PATH | O_CLOEXEC)};
    int rc = 0;

    if (b.parent_fd < 0)
        return -errno;
    if (syscall(SYS_landlock_add_rule, ruleset, PV_LANDLOCK_PATH_BENEATH, &b, 0) < 0)
        rc = -errno;
    (void)close(b.parent_fd);
    return rc;
}

int pv_landlock_restrict(int abi)
{
    struct pv_landlock_rule rules[PV_LANDLOCK_RULES];
    uint64_t handled = pv_landlock_rules(abi, rules);
    int rc = 0, ruleset;

    if (abi < 1)
        return 0;
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0);
    if (ruleset < 0)
        return -errno;
    for (unsigned i = 0; rc == 0 && i < PV_LANDLOCK_RULES; i++)
        rc = allow(ruleset, &rules[i]);
    if (rc == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        rc = -errno;
    (void)close(ruleset);
    return rc;
}
