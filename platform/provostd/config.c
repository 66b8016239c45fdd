#include "config.h"

#include "pv/buf.h"
#include "pv/io.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_MAX = 64 << 10, UID_RANGE = 100000 };

void pv_config_init(struct pv_config *c)
{
    *c = (struct pv_config){
        .state_dir = "/var/lib/provost",
        .package_root = "/",
        .listen = "127.0.0.1:8080",
        .uid_base = 1879100000u,
        .cgroups = true,
        .bpf = true,
        .audit = true,
    };
}

static int set_path(char out[PV_PATH_MAX], const char *value, struct pv_err *err)
{
    size_t n = strlen(value);

    if (value[0] != '/')
        return pv_refuse(err, EINVAL, "'%s' is no absolute path", value);
    if (n >= PV_PATH_MAX)
        return pv_refuse(err, ENAMETOOLONG, "a path is longer than %d bytes", PV_PATH_MAX - 1);
    memcpy(out, value, n + 1);
    return 0;
}

static int set_state_dir(struct pv_config *c, const char *value, struct pv_err *err)
{
    return set_path(c->state_dir, value, err);
}

static int set_libexec_dir(struct pv_config *c, const char *value, struct pv_err *err)
{
    return set_path(c->libexec_dir, value, err);
}

static int set_package_root(struct pv_config *c, const char *value, struct pv_err *err)
{
    return set_path(c->package_root, value, err);
}

static int set_listen(struct pv_config *c, const char *value, struct pv_err *err)
{
    size_t n = strlen(value);

    if (n == 0 || n >= sizeof c->listen || !strrchr(value, ':'))
        return pv_refuse(err, EINVAL, "'%s' is not ADDR:PORT", value);
    memcpy(c->listen, value, n + 1);
    return 0;
}

static int set_uid_base(struct pv_config *c, const char *value, struct pv_err *err)
{
    char *end = NULL;
    unsigned long v;

    errno = 0;
    v = strtoul(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || v < 1000 ||
        v > UINT32_MAX - UID_RANGE - 1)
        return pv_refuse(err, EINVAL, "'%s' is no user id from 1000 to %u", value,
                         UINT32_MAX - UID_RANGE - 1);
    c->uid_base = (uint32_t)v;
    return 0;
}

static int parse_switch(bool *ret, const char *value, struct pv_err *err)
{
    if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
        return pv_refuse(err, EINVAL, "'%s' is neither on nor off", value);
    *ret = strcmp(value, "on") == 0;
    return 0;
}

static int set_cgroups(struct pv_config *c, const char *value, struct pv_err *err)
{
    return parse_switch(&c->cgroups, value, err);
}

static int set_bpf(struct pv_config *c, const char *value, struct pv_err *err)
{
    return parse_switch(&c->bpf, value, err);
}

static const struct {
    const char *key;
    int (*set)(struct pv_config *c, const char *value, struct pv_err *err);
} keys[] = {
    {"state-dir", set_state_dir},
    {"libexec-dir", set_libexec_dir},
    {"package-root", set_package_root},
    {"listen", set_listen},
    {"uid-base", set_uid_base},
    {"cgroups", set_cgroups},
    {"bpf", set_bpf},
};
enum { N_KEYS = sizeof keys / sizeof keys[0] };

static int find_key(const char *key)
{
    for (int i = 0; i < N_KEYS; i++)
        if (strcmp(keys[i].key, key) == 0)
            return i;
    return -1;
}

static int unknown_key(const char *key, struct pv_err *err)
{
    char list[128] = "";
    size_t n = 0;

    for (int i = 0; i < N_KEYS && n < sizeof list; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", keys[i].key);
    return pv_refuse(err, EINVAL, "unknown key '%.128s'; there are %s", key, list);
}

int pv_config_set(struct pv_config *c, const char *key, const char *value, struct pv_err *err)
{
    int i = find_key(key);

    if (i < 0)
        return unknown_key(key, err);
    return pv_wrap(err, keys[i].set(c, value, err), "%s", key);
}

static char *trim(char *s)
{
    size_t n;

    s += strspn(s, " \t");
    n = strlen(s);
    while (n > 0 && strchr(" \t\r", s[n - 1]))
        s[--n] = '\0';
    return s;
}

static int parse_line(struct pv_config *c, char *line, bool seen[N_KEYS], struct pv_err *err)
{
    char *text = trim(line);
    char *equals, *key;
    int i;

    if (*text == '\0' || *text == '#')
        return 0;
    equals = strchr(text, '=');
    if (!equals)
        return pv_refuse(err, EINVAL, "'%s' is not 'key = value'", text);
    *equals = '\0';
    key = trim(text);
    i = find_key(key);
    if (i >= 0 && seen[i])
        return pv_refuse(err, EINVAL, "'%s' stands there twice", key);
    PV_TRY(pv_config_set(c, key, trim(equals + 1), err));
    seen[i] = true;
    return 0;
}

int pv_config_parse(struct pv_config *c, const char *text, size_t len, struct pv_err *err)
{
    bool seen[N_KEYS] = {false};
    char line[PV_PATH_MAX + 64];
    unsigned number = 0;

    for (size_t off = 0; off < len;) {
        const char *end = memchr(text + off, '\n', len - off);
        size_t n = end ? (size_t)(end - (text + off)) : len - off;

        number++;
        if (n >= sizeof line || memchr(text + off, '\0', n))
            return pv_refuse(err, EINVAL, "line %u: too long or with a NUL byte", number);
        memcpy(line, text + off, n);
        line[n] = '\0';
        PV_TRY(pv_wrap(err, parse_line(c, line, seen, err), "line %u", number));
        off += n + (end != NULL);
    }
    return 0;
}

int pv_config_load(struct pv_config *c, const char *path, struct pv_err *err)
{
    pv_autobuf struct pv_buf b;

    pv_buf_init(&b, CONFIG_MAX);
    PV_TRY(pv_wrap(err, pv_read_file_at(AT_FDCWD, path, &b, err), "configuration"));
    if (b.len == 0)
        return 0;
    return pv_wrap(err, pv_config_parse(c, (const char *)b.data, b.len, err), "configuration '%s'",
                   path);
}
