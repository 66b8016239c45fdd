#include "claim.h"

#include "pv/domain.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NOTHING, REQUEST, UPKEEP };

struct claim {
    uint8_t purpose;
    uint8_t pad[5];
    struct pv_call_id call;
};
_Static_assert(sizeof(struct claim) == 16, "struct pv_bpf_claim");

/* At the same distance from the list of robust locks in every thread: both lie in the block that
 * the C library makes for a thread. */
static _Thread_local __attribute__((tls_model("initial-exec"))) volatile struct claim mine;

void pv_claim_request(const struct pv_call_id *call)
{
    mine.purpose = NOTHING; /* never a purpose with half a call */
    for (unsigned i = 0; i < PV_CALL_ID_BYTES; i++)
        mine.call.bytes[i] = call->bytes[i];
    mine.purpose = REQUEST;
}

void pv_claim_upkeep(void)
{
    mine.purpose = UPKEEP;
}

void pv_claim_nothing(void)
{
    mine.purpose = NOTHING;
}

int pv_microvm_claim_place(int64_t *ret, struct pv_err *err)
{
    const void *locks = NULL;
    size_t len = 0;

    if (syscall(SYS_get_robust_list, 0, &locks, &len) < 0 || !locks)
        return pv_fail(err, errno, "find where a thread's claim stands");
    *ret = (const volatile char *)&mine - (const char *)locks;
    return 0;
}
