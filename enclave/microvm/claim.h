/* What a thread of the monitor acts for, in a word of its own that the outside witness copies into
 * what it records of that thread: layout and meaning are in bpf/include/pv/bpf_record.h. */
#pragma once
#include "pv/id.h"

/* From now on the calling thread acts for that request, for the slots' upkeep (making a VM,
 * bringing one back to the snapshot), or for nothing that opens files. */
void pv_claim_request(const struct pv_call_id *call);
void pv_claim_upkeep(void);
void pv_claim_nothing(void);
