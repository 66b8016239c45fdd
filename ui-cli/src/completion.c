/* provost completion bash; the script is compiled in so that it always fits the command. */
#include "cli.h"
#include "completion_bash.h"
#include "simple_args.h"

#include <string.h>

int cmd_completion(struct cli *cli, int argc, char **argv)
{
    struct cli_simple_args a = {.cli = cli, .min = 1, .max = 1};
    cli_parse_simple(&a, "bash",
                     "Prints the completion script of a shell."
                     "\vExample:\n  provost completion bash > /etc/bash_completion.d/provost\n",
                     argc, argv);
    if (cli->json)
        return cli_error(CLI_USAGE, "a completion script is no JSON: leave out --json");
    if (strcmp(a.v[0], "bash") != 0)
        return cli_error(CLI_USAGE, "there is completion for bash only, not for '%s'", a.v[0]);
    (void)fwrite(completion_bash, 1, sizeof completion_bash, stdout);
    return cli_flush();
}

int cmd_version(struct cli *cli, int argc, char **argv)
{
    struct cli_simple_args a = {.cli = cli};
    cli_parse_simple(&a, "", "Prints the version.", argc, argv);
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:s}", "version", PV_VERSION));
    puts("provost " PV_VERSION);
    return cli_flush();
}
