/* provostd: starts the roles, hands out what they may hold, restarts them, and stops them. */
#include "listener.h"
#include "pv/log.h"
#include "pv/ratchet.h"
#include "run.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *argp_program_version = "provostd " PV_VERSION;

enum { OPT_BENCHMARK = 0x100, OPT_WITHOUT_BPF };

struct options {
    const char *config, *state_dir, *listen;
    bool without_bpf, without_audit;
};

static const struct argp_option option_list[] = {
    {"config", 'c', "FILE", 0, "Read the configuration from FILE", 0},
    {"state-dir", 's', "DIR", 0, "Keep all state in DIR (default /var/lib/provost)", 0},
    {"listen", 'l', "ADDR:PORT", 0, "Serve HTTP there (default 127.0.0.1:8080; port 0: any)", 0},
    {"without-bpf", OPT_WITHOUT_BPF, NULL, 0,
     "Do without the outside witness; every answer then says that it is missing", 0},
    {"benchmark-without-audit", OPT_BENCHMARK, NULL, 0,
     "Record no requests at all: for measuring what auditing costs, never for service", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *o = state->input;
    struct pv_err err = PV_ERR_INIT;

    switch (key) {
    case 'c':
        o->config = arg;
        return 0;
    case 's':
        o->state_dir = arg;
        return 0;
    case 'l':
        if (pv_listener_check(arg, &err) < 0)
            argp_error(state, "%s", err.text);
        o->listen = arg;
        return 0;
    case OPT_WITHOUT_BPF:
        o->without_bpf = true;
        return 0;
    case OPT_BENCHMARK:
        o->without_audit = true;
        return 0;
    case ARGP_KEY_ARG:
        argp_error(state, "unexpected argument '%s'", arg);
        return EINVAL;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .options = option_list,
    .parser = parse_option,
    .doc = "Runs the Provost platform in the foreground.\v"
           "Exit status: 0 after a clean stop, 1 when it could not start or run, 64 for wrong "
           "arguments. SIGTERM or SIGINT drain and stop; a second one stops at once.",
};

/* The command line wins over the file. */
static int make_config(struct pv_config *c, const struct options *o, struct pv_err *err)
{
    char cwd_relative[PV_PATH_MAX * 2];
    char cwd[PV_PATH_MAX];

    pv_config_init(c);
    if (o->config)
        PV_TRY(pv_config_load(c, o->config, err));
    if (o->state_dir && o->state_dir[0] != '/' && o->state_dir[0] != '\0') {
        if (!getcwd(cwd, sizeof cwd))
            return pv_fail(err, errno, "find the current directory");
        snprintf(cwd_relative, sizeof cwd_relative, "%s/%s", cwd, o->state_dir);
        PV_TRY(pv_config_set(c, "state-dir", cwd_relative, err));
    } else if (o->state_dir) {
        PV_TRY(pv_config_set(c, "state-dir", o->state_dir, err));
    }
    if (o->listen)
        PV_TRY(pv_config_set(c, "listen", o->listen, err));
    c->audit = !o->without_audit;
    c->bpf = c->bpf && !o->without_bpf && c->audit;
    return 0;
}

int main(int argc, char **argv)
{
    static struct pv_supervisor supervisor;
    struct options options = {0};
    struct pv_config config;
    struct pv_err err = PV_ERR_INIT;
    int rc;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    pv_log_init("provostd", PV_LOG_INFO);
    rc = make_config(&config, &options, &err);
    if (rc == 0)
        rc = pv_crypto_init(&err);
    if (rc == 0) {
        rc = pv_supervisor_open(&supervisor, &config, &err);
        if (rc == 0)
            rc = pv_supervisor_run(&supervisor, &err);
        pv_supervisor_close(&supervisor);
    }
    if (rc < 0)
        pv_log(PV_LOG_ERROR, "%s", err.text);
    return rc < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
