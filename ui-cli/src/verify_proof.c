#include "verify_proof.h"

#include "input.h"
#include "pv/escape.h"
#include "pv/prove.h"
#include "state.h"

#include <inttypes.h>

enum { PROOF_MAX = 1 << 14 };

static int check_witnesses(struct cli_witnesses *w, const struct pv_buf *proof,
                           const struct pv_checkpoint *c, struct pv_err *err)
{
    struct pv_tlog_proof p;
    PV_TRY(pv_tlog_proof_parse(proof->data, proof->len, &p, err));
    return cli_witnesses_check(w, p.checkpoint, p.checkpoint_len, c, err);
}

int cli_verify_proof(struct cli *cli, const char *proof_file, const char *entry_file,
                     const struct pv_note_key *key, struct cli_witnesses *witnesses)
{
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf proof, entry;
    struct pv_checkpoint c = {.size = 0};
    char text[600];
    uint64_t seq = 0;
    pv_buf_init(&proof, PROOF_MAX);
    pv_buf_init(&entry, PV_LOG_ENTRY_MAX);
    if (cli_read_input(proof_file, &proof, &err) < 0 ||
        cli_read_input(entry_file, &entry, &err) < 0)
        return cli_report(&err);
    int checked =
        pv_proof_check(key, proof.data ? proof.data : (const uint8_t *)"", proof.len,
                       entry.data ? entry.data : (const uint8_t *)"", entry.len, &seq, &c, &err);
    bool ok = checked == 0;
    if (ok && witnesses->n && check_witnesses(witnesses, &proof, &c, &err) < 0)
        return witnesses->lacking ? cli_report_not_witnessed(cli, &err) : cli_report(&err);
    if (cli->json) {
        json_t *o = ok ? json_pack("{s:b, s:s, s:I}", "ok", 1, "log", key->name, "log_size",
                                   (json_int_t)c.size)
                       : json_pack("{s:b, s:s}", "ok", 0, "text", err.text);
        if (o && ok) {
            (void)json_object_set_new(o, "event", json_sprintf("e%" PRIu64, seq));
            (void)json_object_set_new(o, "witnesses", cli_witnesses_json(witnesses));
        }
        int rc = cli_print_json(cli, o);
        return rc != CLI_OK ? rc : ok ? CLI_OK : CLI_FAILED;
    }
    if (ok)
        printf("proof  ok: the entry is e%" PRIu64 " of the %" PRIu64 " events that %s signed\n",
               seq, c.size, cli_escape_str(key->name, text, sizeof text));
    else
        printf("proof  bad: %s%s\n", cli_escape_str(err.text, text, sizeof text),
               checked == -ENOKEY ? CLI_ROTATIONS_HINT : "");
    cli_witnesses_print(witnesses, c.size);
    int rc = cli_flush();
    return rc != CLI_OK ? rc : ok ? CLI_OK : CLI_FAILED;
}
