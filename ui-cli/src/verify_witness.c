#include "verify_witness.h"

#include "input.h"
#include "pv/buf.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/units.h"
#include "verify_exit.h"

#include <inttypes.h>
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

/* One witness counts once, however often it is named. */
static int read_keys(const struct cli_witnesses *w, struct pv_cosigner_key ret[CLI_WITNESSES_MAX],
                     struct pv_err *err)
{
    for (unsigned i = 0; i < w->n; i++) {
        PV_TRY(cli_witness_key(w->key_file[i], &ret[i], err));
        for (unsigned k = 0; k < i; k++)
            if (memcmp(ret[k].public_key, ret[i].public_key, sizeof ret[i].public_key) == 0)
                return pv_refuse(err, EINVAL, "'%s' and '%s' are one witness's key", w->key_file[k],
                                 w->key_file[i]);
    }
    return 0;
}

static int read_checkpoint(const struct pv_note_key *log_key, const struct pv_buf *note,
                           struct pv_checkpoint *ret, struct pv_err *err)
{
    const uint8_t *text = note->len ? note->data : (const uint8_t *)"";
    int rc = pv_checkpoint_open(log_key, text, note->len, ret, err);
    /* The log's key may have been changed since the one given: the witness has looked at it. */
    if (rc == -ENOKEY)
        rc = pv_checkpoint_claims(text, note->len, ret, err);
    if (rc == 0 && strcmp(ret->origin, log_key->name) != 0)
        return pv_refuse(err, EBADMSG, "it is of another log");
    return rc;
}

/* Takes what witness k says of the note, when it is the largest that it cosigned. */
static int take(struct cli_witnesses *w, const struct pv_cosigner_key *k,
                const struct pv_note_key *log_key, const struct pv_buf *note, struct pv_err *err)
{
    const uint8_t *text = note->len ? note->data : (const uint8_t *)"";
    struct pv_checkpoint c;
    uint64_t time_s;
    PV_TRY(pv_cosignature_check(k, text, note->len, &time_s, err));
    PV_TRY(read_checkpoint(log_key, note, &c, err));
    unsigned i = w->n_found;
    if (i > 0 && memcmp(&w->witness[i - 1], k, sizeof *k) == 0) {
        if (w->checkpoint[i - 1].size >= c.size)
            return 0;
        i--;
    }
    w->witness[i] = *k;
    w->checkpoint[i] = c;
    w->time_s[i] = time_s;
    w->n_found = i + 1;
    return 0;
}

static int demand(struct cli_witnesses *w, const struct pv_err *why, struct pv_err *err)
{
    uint64_t quorum = w->quorum ? w->quorum : w->n;
    if (w->n_found >= quorum)
        return 0;
    w->lacking = true;
    return quorum == 1 ? pv_refuse(err, ENOKEY, "%s", why->text)
                       : pv_refuse(err, ENOKEY, "%u of %u witnesses cosigned, %ju are demanded: %s",
                                   w->n_found, w->n, (uintmax_t)quorum, why->text);
}

static int read_cosigned(const struct cli *cli, const struct cli_witnesses *w, unsigned i,
                         struct pv_buf *ret, char ret_path[PV_PATH_MAX], struct pv_err *err)
{
    int n = w->n_cosigned
                ? snprintf(ret_path, PV_PATH_MAX, "%s", w->cosigned[i])
                : snprintf(ret_path, PV_PATH_MAX, "%s/log/checkpoint.cosigned", cli->state_dir);
    if (n >= PV_PATH_MAX)
        return pv_refuse(err, EINVAL, "the name of a cosigned checkpoint is too long");
    return cli_read_input(ret_path, ret, err);
}

int cli_witnesses_read(const struct cli *cli, struct cli_witnesses *w,
                       const struct pv_note_key *log_key, struct pv_err *err)
{
    struct pv_cosigner_key keys[CLI_WITNESSES_MAX];
    unsigned files = w->n_cosigned ? w->n_cosigned : 1;
    struct pv_err why = PV_ERR_INIT;
    PV_TRY(read_keys(w, keys, err));
    for (unsigned k = 0; k < w->n; k++) {
        for (unsigned i = 0; i < files; i++) {
            pv_autobuf struct pv_buf note;
            char path[PV_PATH_MAX];
            struct pv_err odd = PV_ERR_INIT;
            pv_buf_init(&note, PV_NOTE_MAX);
            int rc = read_cosigned(cli, w, i, &note, path, &odd);
            if (rc == 0)
                rc = take(w, &keys[k], log_key, &note, &odd);
            if (rc < 0)
                (void)!pv_refuse(&why, EBADMSG, "the cosigned checkpoint '%s': %s", path, odd.text);
        }
    }
    return demand(w, &why, err);
}

int cli_witnesses_check(struct cli_witnesses *w, const void *note, size_t len,
                        const struct pv_checkpoint *c, struct pv_err *err)
{
    struct pv_cosigner_key keys[CLI_WITNESSES_MAX];
    struct pv_err why = PV_ERR_INIT;
    PV_TRY(read_keys(w, keys, err));
    for (unsigned k = 0; k < w->n; k++) {
        uint64_t time_s;
        if (pv_cosignature_check(&keys[k], note, len, &time_s, &why) < 0)
            continue;
        w->witness[w->n_found] = keys[k];
        w->checkpoint[w->n_found] = *c;
        w->time_s[w->n_found++] = time_s;
    }
    return demand(w, &why, err);
}

int cli_report_not_witnessed(struct cli *cli, const struct pv_err *err)
{
    if (!cli->json)
        return cli_error((enum cli_exit)CLI_NOT_WITNESSED, "not witnessed: %s", err->text);
    int rc = cli_print_json(cli, json_pack("{s:b, s:s, s:s, s:[]}", "ok", 0, "verdict",
                                           "not-witnessed", "text", err->text, "witnesses"));
    return rc != CLI_OK ? rc : CLI_NOT_WITNESSED;
}

void cli_witnesses_print(const struct cli_witnesses *w, uint64_t events)
{
    char name[600], when[64];
    for (unsigned i = 0; i < w->n_found; i++)
        printf("witness ok: '%s' cosigned the first %" PRIu64 " of %" PRIu64
               " signed events at %s\n",
               cli_escape_str(w->witness[i].name, name, sizeof name), w->checkpoint[i].size, events,
               cli_format_time(w->time_s[i] * PV_NS_PER_S, when, sizeof when));
}

json_t *cli_witnesses_json(const struct cli_witnesses *w)
{
    json_t *all = json_array();
    for (unsigned i = 0; i < w->n_found; i++)
        (void)json_array_append_new(all, json_pack("{s:s, s:I, s:I}", "name", w->witness[i].name,
                                                   "events", (json_int_t)w->checkpoint[i].size,
                                                   "time", (json_int_t)w->time_s[i]));
    return all;
}
