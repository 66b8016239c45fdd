/* The daemon's configuration: command line over file over defaults, const once the daemon runs. */
#pragma once
#include "pv/err.h"
#include "pv/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pv_config {
    char state_dir[PV_PATH_MAX];
    char libexec_dir[PV_PATH_MAX];  /* "": beside the running executable */
    char package_root[PV_PATH_MAX]; /* packages are imported from beneath it only */
    char listen[128];               /* "ADDR:PORT" or "[ADDR6]:PORT" */
    uint32_t uid_base;              /* roles and hosts take user ids from here on */
    bool cgroups;
    bool bpf;
    bool audit; /* false: benchmark only */
};

void pv_config_init(struct pv_config *c);
/* Reads "key = value" lines: blank lines and lines that begin with '#' are skipped, a key may stand
 * once, an unknown one is refused by name and line. c keeps its values where the text has none. */
PV_MUST_CHECK int pv_config_parse(struct pv_config *c, const char *text, size_t len,
                                  struct pv_err *err);
/* pv_config_parse of a file of at most 64 KiB. */
PV_MUST_CHECK int pv_config_load(struct pv_config *c, const char *path, struct pv_err *err);
/* Sets one key, as if it stood in a file. */
PV_MUST_CHECK int pv_config_set(struct pv_config *c, const char *key, const char *value,
                                struct pv_err *err);
