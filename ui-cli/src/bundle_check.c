/* Checking a bundle, and saying what it shows. */
#include "bundle.h"
#include "event_show.h"
#include "pv/escape.h"

#include <inttypes.h>
#include <string.h>

struct showing {
    json_t *events;     /* with --json */
    const char *expect; /* CALL-ID.DOMAIN.DSEQ, or NULL */
    bool found;         /* the response that it names */
    bool quiet;
};

static bool is_expected(const char *expect, const struct pv_event *e)
{
    char call[PV_CALL_ID_CHARS + 1], domain[2 * PV_DOMAIN_ID_BYTES + 1], reference[80];
    pv_call_id_print(&e->invocation, call);
    if (!strchr(expect, '.'))
        return e->kind == PV_K_RESPONSE && strcasecmp(expect, call) == 0;
    pv_hex(e->domain.bytes, sizeof e->domain.bytes, domain);
    snprintf(reference, sizeof reference, "%s.%s.%" PRIu64, call, domain, e->dseq);
    return e->kind == PV_K_RESPONSE && strcasecmp(expect, reference) == 0;
}

static int show(void *ctx, const struct pv_bundle_item *item)
{
    struct showing *s = ctx;
    s->found |= s->expect && is_expected(s->expect, &item->event);
    if (s->events) {
        json_t *o = cli_event_json(item->seq, &item->event);
        if (o)
            (void)json_object_set_new(o, "tag",
                                      json_string(item->rechecked ? "rechecked" : "waits"));
        return json_array_append_new(s->events, o) == 0 ? 0 : -ENOMEM;
    }
    if (!s->quiet)
        cli_event_print(stdout, item->seq, &item->event);
    return 0;
}

static json_t *result_json(bool ok, const struct pv_bundle_result *r, const char *log,
                           const char *why, json_t *events)
{
    char root[2 * PV_HASH_BYTES + 1];
    if (!ok) {
        json_t *o = json_pack("{s:b, s:s}", "ok", 0, "text", why);
        if (o && r->has_seq)
            (void)json_object_set_new(o, "first_bad_event", json_sprintf("e%" PRIu64, r->bad_seq));
        return o;
    }
    pv_hex(r->checkpoint.root, PV_HASH_BYTES, root);
    return json_pack("{s:b, s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:O}", "ok", 1, "log", log,
                     "log_size", (json_int_t)r->checkpoint.size, "root", root, "entries",
                     (json_int_t)r->items, "call_events", (json_int_t)r->events, "rechecked_tags",
                     (json_int_t)r->rechecked, "waiting_tags", (json_int_t)r->waiting, "events",
                     events);
}

static void print_result(const char *what, const struct pv_bundle_result *r, const char *log)
{
    char shown[600];
    printf("%s ok: %" PRIu64 " events of the calls and %" PRIu64 " that support them, under the "
           "checkpoint of %" PRIu64 " events that %s signed\n",
           what, r->events, r->items - r->events, r->checkpoint.size,
           cli_escape_str(log, shown, sizeof shown));
    printf("       %" PRIu64 " tags rechecked with disclosed keys", r->rechecked);
    if (r->waiting)
        printf("; the keys of %" PRIu64 " events were not disclosed yet when it was made",
               r->waiting);
    putchar('\n');
}

int cli_bundle_check(struct cli *cli, const char *what, const void *text, size_t len,
                     const struct pv_note_key *key, const char *expect,
                     struct cli_witnesses *witnesses)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_bundle_result r = {0};
    struct cli_witnesses none = {0}, *w = witnesses ? witnesses : &none;
    char shown[600];
    cli_autojson json_t *events = cli->json ? json_array() : NULL;
    struct showing s = {.events = events, .expect = expect, .quiet = expect != NULL};
    int rc = pv_bundle_check(key, text, len, show, &s, &r, &err);
    if (rc == 0 && expect && !s.found)
        rc = pv_refuse(&err, EBADMSG, "it does not hold the response that %s names", expect);
    if (rc == -ENOMEM)
        return cli_report(&err);
    if (rc == 0 && w->n && cli_witnesses_check(w, r.note, r.note_len, &r.checkpoint, &err) < 0)
        return w->lacking ? cli_report_not_witnessed(cli, &err) : cli_report(&err);
    if (cli->json) {
        json_t *o = result_json(rc == 0, &r, key->name, err.text, events);
        if (o && rc == 0)
            (void)json_object_set_new(o, "witnesses", cli_witnesses_json(w));
        int printed = cli_print_json(cli, o);
        return printed != CLI_OK ? printed : rc == 0 ? CLI_OK : CLI_FAILED;
    }
    if (rc == 0) {
        print_result(what, &r, key->name);
        cli_witnesses_print(w, r.checkpoint.size);
    } else {
        printf("%s bad: %s\n", what, cli_escape_str(err.text, shown, sizeof shown));
    }
    int flushed = cli_flush();
    return flushed != CLI_OK ? flushed : rc == 0 ? CLI_OK : CLI_FAILED;
}
