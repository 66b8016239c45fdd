#include "cli.h"

#include "pv/escape.h"
#include "pv/own.h"

#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

enum { OPT_JSON = 0x1000, OPT_URL, OPT_STATE, OPT_TOKEN_FILE };

static const char *env_or(const char *name, const char *otherwise)
{
    const char *v = getenv(name);
    return v && *v ? v : otherwise;
}

static void set_url(struct cli *cli, const char *url)
{
    snprintf(cli->url_buf, sizeof cli->url_buf, "%s", url);
    size_t n = strlen(cli->url_buf);
    while (n > 0 && cli->url_buf[n - 1] == '/')
        cli->url_buf[--n] = '\0';
    cli->url = cli->url_buf;
}

static void set_state(struct cli *cli, const char *dir)
{
    cli->state_dir = dir;
    snprintf(cli->token_buf, sizeof cli->token_buf, "%s/admin.token", dir);
    if (!cli->token_given)
        cli->token_file = env_or("PROVOST_TOKEN_FILE", cli->token_buf);
}

void cli_init(struct cli *cli)
{
    *cli = (struct cli){0};
    set_url(cli, env_or("PROVOST_URL", "http://127.0.0.1:8080"));
    set_state(cli, env_or("PROVOST_STATE", "/var/lib/provost"));
    cli->stdout_tty = isatty(STDOUT_FILENO) == 1;
    const char *term = getenv("TERM");
    cli->colour = cli->stdout_tty && !*env_or("NO_COLOR", "") && term && strcmp(term, "dumb") != 0;
}

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
    struct cli *cli = state->input;
    switch (key) {
    case OPT_JSON:
        cli->json = true;
        return 0;
    case OPT_URL:
        if (strlen(arg) >= sizeof cli->url_buf)
            argp_error(state, "the URL is too long");
        set_url(cli, arg);
        return 0;
    case OPT_STATE:
        set_state(cli, arg);
        return 0;
    case OPT_TOKEN_FILE:
        cli->token_file = arg;
        cli->token_given = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option common_options[] = {
    {NULL, 0, NULL, 0, "Everywhere:", 90},
    {"json", OPT_JSON, NULL, 0, "Print JSON", 90},
    {"url", OPT_URL, "URL", 0, "The gateway (PROVOST_URL, http://127.0.0.1:8080)", 90},
    {"state", OPT_STATE, "DIR", 0, "State directory (PROVOST_STATE, /var/lib/provost)", 90},
    {"token-file", OPT_TOKEN_FILE, "FILE", 0,
     "Admin token (PROVOST_TOKEN_FILE, admin.token in the state directory)", 90},
    {0},
};
const struct argp cli_common_argp = {.options = common_options, .parser = parse_common};

#define EXIT_STATUS_HELP "Exit status: 'provost --help' lists the codes."

/* Every command's help ends so; that of 'run', which has the program's, says which are its own. */
static char *help_filter(int key, const char *text, void *input)
{
    (void)input;
    return key == ARGP_KEY_HELP_EXTRA ? strdup(EXIT_STATUS_HELP) : (char *)(uintptr_t)text;
}

void cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
    struct argp with_status = *argp;
    with_status.help_filter = help_filter;
    argp_err_exit_status = CLI_USAGE;
    error_t rc = argp_parse(&with_status, argc, argv, 0, NULL, input);
    if (rc != 0)
        exit(cli_error(CLI_LOCAL, "parse the command line: %s", strerror(rc)));
}

static void print_commands(FILE *f, const char *prefix, const struct cli_command *table, size_t n)
{
    fprintf(f, "Usage: %s COMMAND [ARGUMENT...]\n\n", prefix);
    for (size_t i = 0; i < n; i++)
        fprintf(f, "  %-11s %s\n", table[i].name, table[i].summary);
    fprintf(f, "\n'%s COMMAND --help' explains a command.\n" EXIT_STATUS_HELP "\n", prefix);
}

int cli_dispatch(struct cli *cli, const char *prefix, const struct cli_command *table, size_t n,
                 int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    if (!name) {
        print_commands(stderr, prefix, table, n);
        return CLI_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-?") == 0 || strcmp(name, "help") == 0) {
        print_commands(stdout, prefix, table, n);
        return cli_flush();
    }
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].name, name) != 0)
            continue;
        char full[96];
        snprintf(full, sizeof full, "%s %s", prefix, table[i].name);
        argv[1] = full;
        return table[i].run(cli, argc - 1, argv + 1);
    }
    return cli_error(CLI_USAGE, "'%s' is no command; '%s --help' lists them", name, prefix);
}

int cli_error(enum cli_exit code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    (void)fflush(stdout);
    fputs("provost: ", stderr);
    /* the sentence may quote what came from outside; a doubled backslash would only confuse */
    cli_escape_write(stderr, text, strlen(text), CLI_ESCAPE_TEXT);
    fputc('\n', stderr);
    return (int)code;
}

/* Whoever read our output has left, as head does when it has enough: there is nothing to tell. */
static bool reader_is_gone(void)
{
    struct pollfd out = {.fd = STDOUT_FILENO};

    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

int cli_report(const struct pv_err *err)
{
    switch (-err->code) {
    case EPIPE:
        if (reader_is_gone())
            return CLI_LOCAL;
        break;
    case ENOENT:
    case ESRCH:
        return cli_error(CLI_NOT_FOUND, "%s", err->text);
    case EACCES:
    case EPERM:
        return cli_error(CLI_DENIED, "%s", err->text);
    case EHOSTUNREACH:
    case ECONNREFUSED:
        return cli_error(CLI_UNREACHABLE, "%s", err->text);
    case EINVAL:
    case EISDIR: /* of what was given as a file */
    case E2BIG:
        return cli_error(CLI_USAGE, "%s", err->text);
    case EEXIST:
        return cli_error(CLI_REFUSED, "%s", err->text);
    case EAGAIN:
    case EBUSY:
        return cli_error(CLI_BUSY, "%s", err->text);
    default:
        break;
    }
    return cli_error(CLI_LOCAL, "%s", err->text);
}

static bool output_lost; /* and told */

int cli_flush(void)
{
    bool failed = fflush(stdout) != 0 || ferror(stdout);

    output_lost |= failed;
    if (failed && reader_is_gone())
        return CLI_LOCAL;
    if (failed)
        return cli_error(CLI_LOCAL, "cannot write the output: %s", strerror(errno));
    return CLI_OK;
}

void cli_flush_at_exit(void)
{
    if (!output_lost && cli_flush() != CLI_OK)
        _exit(CLI_LOCAL);
}

int cli_print_json(const struct cli *cli, json_t *value)
{
    cli_autojson json_t *owned = value;
    /* on a terminal nothing but ASCII: what a string holds must not steer it */
    size_t flags = JSON_INDENT(2) | JSON_ENCODE_ANY | CLI_JSON_REALS |
                   (cli->stdout_tty ? JSON_ENSURE_ASCII : 0);
    bool failed = !owned || json_dumpf(owned, stdout, flags) != 0;
    output_lost |= failed;
    if (failed)
        return owned && reader_is_gone() ? CLI_LOCAL
                                         : cli_error(CLI_LOCAL, "cannot write the output as JSON");
    fputc('\n', stdout);
    return cli_flush();
}
