/* What a host may do once its function has a snapshot: filters/seal.c. */
#include "filter.h"
#include "filters_made.h"
#include "pv/domain.h"

#include <linux/seccomp.h>

int pv_microvm_seal(struct pv_err *err)
{
    return pv_filter_load(pv_seal_rules, sizeof pv_seal_rules / sizeof *pv_seal_rules,
                          SECCOMP_FILTER_FLAG_TSYNC, err);
}
