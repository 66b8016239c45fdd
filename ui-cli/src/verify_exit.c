#include "verify_exit.h"

int cli_verdict_exit(enum pv_verdict v)
{
    static const unsigned char codes[PV_VERDICT_MAX] = {
        [PV_VERDICT_OK] = 0,           [PV_VERDICT_EDITED] = 10,
        [PV_VERDICT_WRONG_TAG] = 11,   [PV_VERDICT_REORDERED] = 12,
        [PV_VERDICT_DELETED] = 13,     [PV_VERDICT_INSERTED] = 14,
        [PV_VERDICT_TRUNCATED] = 15,   [PV_VERDICT_ROLLBACK] = 16,
        [PV_VERDICT_FORK] = 17,        [PV_VERDICT_BAD_SIGNATURE] = 18,
        [PV_VERDICT_UNKNOWN_KEY] = 19, [PV_VERDICT_BAD_CHECKPOINT] = 20,
        [PV_VERDICT_GAP] = 21,         [PV_VERDICT_BAD_EVENT] = 22,
        [PV_VERDICT_BAD_TILE] = 23,    [PV_VERDICT_UNFINISHED_TAIL] = 24,
    };
    return (unsigned)v < PV_VERDICT_MAX ? codes[v] : CLI_VERDICT_FIRST;
}
