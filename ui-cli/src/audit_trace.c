/* provost audit trace and path: what reached what. */
#include "answer.h"
#include "audit.h"
#include "evidence.h"
#include "result_show.h"

static int show(struct cli *cli, const struct audit_args *a)
{
    struct pv_graph *g PV_CLEANUP(pv_graph_close) = NULL;
    pv_auto_graph_result struct pv_graph_result r = {0};
    struct pv_err err = PV_ERR_INIT;
    if (cli_evidence_open(cli, &g, &err) < 0 || audit_answer(g, a, &r, &err) < 0)
        return cli_report(&err);
    int rc;
    if (cli->json) {
        rc = cli_print_json(cli, cli_result_json(&r));
    } else {
        cli_result_print(cli, &r, a->back);
        rc = cli_flush();
        cli_basis_print(stderr, &r.basis);
    }
    if (rc == CLI_OK && a->command == AUDIT_PATH && !audit_leads(&r))
        return cli_error(CLI_NOT_FOUND, "nothing leads from the sources to the targets");
    return rc;
}

int audit_trace(struct cli *cli, int argc, char **argv)
{
    struct audit_args a;
    audit_parse(&a, AUDIT_TRACE, cli, argc, argv);
    return show(cli, &a);
}

int audit_path(struct cli *cli, int argc, char **argv)
{
    struct audit_args a;
    audit_parse(&a, AUDIT_PATH, cli, argc, argv);
    return show(cli, &a);
}
