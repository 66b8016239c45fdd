#include "verify_witness.h"

#include "input.h"
#include "pv/buf.h"

#include <stdio.h>
#include <string.h>

int cli_witness_key(const char *file, struct pv_cosigner_key *ret, struct pv_err *err)
{
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, PV_NOTE_MAX);
    PV_TRY(cli_read_input(file, &text, err));
    int rc = pv_cosigner_key_parse(text.len ? (const char *)text.data : "", text.len, ret, err);
    return rc < 0 ? pv_wrap(err, rc, "the witness's key '%s'", file) : 0;
}

static int check(const struct pv_buf *note, const struct pv_note_key *log_key,
                 struct cli_cosigned *ret, struct pv_err *err)
{
    const uint8_t *text = note->len ? note->data : (const uint8_t *)"";
    PV_TRY(pv_cosignature_check(&ret->witness, text, note->len, &ret->time_s, err));
    int rc = pv_checkpoint_open(log_key, text, note->len, &ret->checkpoint, err);
    /* The log's key may have been changed since the one given: the witness has looked at it. */
    if (rc == -ENOKEY)
        rc = pv_checkpoint_claims(text, note->len, &ret->checkpoint, err);
    if (rc == 0 && strcmp(ret->checkpoint.origin, log_key->name) != 0)
        return pv_refuse(err, EBADMSG, "it is of another log");
    return rc;
}

int cli_cosigned_read(const struct cli *cli, const char *file, const char *witness_file,
                      const struct pv_note_key *log_key, struct cli_cosigned *ret,
                      struct pv_err *err)
{
    char path[PV_PATH_MAX];
    pv_autobuf struct pv_buf note;
    pv_buf_init(&note, PV_NOTE_MAX);
    PV_TRY(cli_witness_key(witness_file, &ret->witness, err));
    if (snprintf(path, sizeof path, "%s/log/checkpoint.cosigned", cli->state_dir) >=
        (int)sizeof path)
        return pv_refuse(err, EINVAL, "the state directory's name is too long");
    int rc = cli_read_input(file ? file : path, &note, err);
    if (rc == 0)
        rc = check(&note, log_key, ret, err);
    return rc < 0 ? pv_wrap(err, rc, "the cosigned checkpoint '%s'", file ? file : path) : 0;
}
