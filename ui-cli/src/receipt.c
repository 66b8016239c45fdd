/* provost receipt: the evidence of one call, fetched and checked. */
#include "bundle.h"
#include "input.h"
#include "pv/buf.h"
#include "simple_args.h"
#include "state.h"

#include <string.h>

enum { OPT_OUTPUT = 'o', OPT_KEY = 0x100 };

struct receipt_args {
    struct cli_simple_args args;
    const char *output, *key_file;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct receipt_args *r = state->input;
    switch (key) {
    case OPT_OUTPUT:
        r->output = arg;
        return 0;
    case OPT_KEY:
        r->key_file = arg;
        return 0;
    default:
        return cli_simple_key(&r->args, key, arg, state);
    }
}

int cmd_receipt(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"output", OPT_OUTPUT, "FILE", 0, "Keep the receipt: a bundle, see 'audit bundle'", 1},
        {"key", OPT_KEY, "PUB", 0, "The log's public key, kept where an attacker cannot change it",
         1},
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "CALL-ID|RECEIPT",
        "Fetches the evidence of one call from the state directory and checks it: that its "
        "response and all its other events stand in the signed log. RECEIPT is what the response "
        "header Provost-Receipt said; then it must be exactly that response."
        "\vExamples:\n  provost receipt 0123456789abcdef\n"
        "  provost receipt 0123456789abcdef.6f1d0c2b7a889e45.17 -o call.bundle --key log.pub\n",
        children,
        NULL,
        NULL};
    struct receipt_args r = {.args = {.cli = cli, .min = 1, .max = 1}};
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key key;
    char call[PV_CALL_ID_CHARS + 1];
    char id[PV_CALL_ID_CHARS + 1] = "";
    pv_autobuf struct pv_buf out;
    pv_buf_init(&out, PV_BUNDLE_MAX);
    cli_parse(&argp, argc, argv, &r);
    const char *dot = strchr(r.args.v[0], '.');
    if (dot && dot - r.args.v[0] != PV_CALL_ID_CHARS)
        return cli_error(CLI_USAGE, "a receipt is CALL-ID.DOMAIN.DSEQ, as the header "
                                    "Provost-Receipt gives it");
    if (dot)
        memcpy(id, r.args.v[0], PV_CALL_ID_CHARS);
    const struct cli_bundle_wish wish = {.call = dot ? id : r.args.v[0],
                                         .under = {.key_file = r.key_file}};
    int rc = cli_bundle_make(cli, &wish, &key, &out, call, &err);
    if (rc == 0 && r.output)
        rc = cli_write_output(r.output, out.data, out.len, &err);
    if (rc < 0)
        return cli_report(&err);
    return cli_bundle_check(cli, "receipt", out.data, out.len, &key, dot ? r.args.v[0] : call,
                            NULL);
}
