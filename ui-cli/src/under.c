#include "under.h"

#include "input.h"
#include "pv/buf.h"

#include <stdio.h>

error_t cli_under_parse(struct cli_under *u, int key, char *arg, struct argp_state *state)
{
    switch (key) {
    case CLI_OPT_UNDER_KEY:
        u->key_file = arg;
        return 0;
    case CLI_OPT_UNDER_COSIGNED:
        if (u->n_cosigned == CLI_WITNESSES_MAX)
            argp_error(state, "--cosigned may be given at most %d times", CLI_WITNESSES_MAX);
        u->cosigned[u->n_cosigned++] = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* What a file named on the command line is not is an error; the log's own only counts when it is
 * there and good. */
static int prefer_own(const struct cli *cli, const struct pv_note_key *key, uint64_t seq,
                      struct pv_signed_checkpoint *inout, struct pv_err *err)
{
    char path[PV_PATH_MAX];
    pv_autobuf struct pv_buf note;
    struct pv_err ignored = PV_ERR_INIT;
    pv_buf_init(&note, PV_NOTE_MAX);
    if (snprintf(path, sizeof path, "%s/log/checkpoint.cosigned", cli->state_dir) >=
        (int)sizeof path)
        return pv_refuse(err, EINVAL, "the state directory's name is too long");
    if (cli_read_input(path, &note, &ignored) == 0)
        (void)!pv_checkpoint_cosigned(key, &note, 1, seq, inout, &ignored);
    return 0;
}

static int prefer_given(const struct cli_under *u, const struct pv_note_key *key, uint64_t seq,
                        struct pv_signed_checkpoint *inout, struct pv_err *err)
{
    struct pv_buf notes[CLI_WITNESSES_MAX];
    int rc = 0;
    for (unsigned i = 0; i < u->n_cosigned; i++)
        pv_buf_init(&notes[i], PV_NOTE_MAX);
    for (unsigned i = 0; rc == 0 && i < u->n_cosigned; i++)
        rc = cli_read_input(u->cosigned[i], &notes[i], err);
    if (rc == 0)
        rc = pv_checkpoint_cosigned(key, notes, u->n_cosigned, seq, inout, err);
    for (unsigned i = 0; i < u->n_cosigned; i++)
        pv_buf_done(&notes[i]);
    return rc < 0 ? pv_wrap(err, rc, "a cosigned checkpoint") : 0;
}

int cli_under_read(const struct cli *cli, const struct cli_under *u, int log_fd,
                   const struct pv_note_key *key, uint64_t seq, struct pv_signed_checkpoint *ret,
                   struct pv_err *err)
{
    PV_TRY(pv_log_latest(log_fd, key, ret, err));
    return u->n_cosigned ? prefer_given(u, key, seq, ret, err)
                         : prefer_own(cli, key, seq, ret, err);
}
