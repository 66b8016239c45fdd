#include "registry.h"

#include "version.h"

#include "pv/clock.h"
#include "pv/io.h"
#include "pv/log.h"
#include "pv/own.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FORMAT = 1, FILE_MAX = 512 << 10, SPARE_BYTES = 4096 };

/* Takes the place of an entry that is to become shorter when there is no room for a new file. */
#define SPARE ".spare"
#define SUFFIX ".json"

static void keep_spare(struct gateway *gw)
{
    static const char filling[SPARE_BYTES];
    struct pv_err ignored = PV_ERR_INIT;
    struct stat st;

    if (fstatat(gw->registry_fd, SPARE, &st, AT_SYMLINK_NOFOLLOW) != 0)
        (void)!pv_replace_file_at(gw->registry_fd, SPARE, filling, sizeof filling, 0600, &ignored);
}

/* Takes no room: the spare is overwritten, and what it takes the place of is the next spare. */
static int use_spare(struct gateway *gw, const char *file, const char *text, struct pv_err *err)
{
    size_t len = strlen(text);
    pv_autoclose int fd = openat(gw->registry_fd, SPARE, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 || len > SPARE_BYTES)
        return pv_refuse(err, ENOSPC, "there is no spare file for '%s' either", file);
    PV_TRY(pv_write_all(fd, text, len, err));
    if (ftruncate(fd, (off_t)len) != 0 || fsync(fd) != 0 ||
        renameat2(gw->registry_fd, SPARE, gw->registry_fd, file, RENAME_EXCHANGE) != 0 ||
        fsync(gw->registry_fd) != 0)
        return pv_fail(err, errno, "replace '%s' by a spare file", file);
    return 0;
}

/* shorter: than the entry that is there, which must succeed on a full disk. */
static int save_json(struct gateway *gw, const char *name, json_t *o, bool shorter,
                     struct pv_err *err)
{
    char file[PV_NAME_MAX + 8];
    pv_autofree char *text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
    json_decref(o);
    if (!text)
        return pv_fail(err, ENOMEM, "write the registry entry of '%s'", name);
    snprintf(file, sizeof file, "%s" SUFFIX, name);
    int rc = pv_replace_file_at(gw->registry_fd, file, text, strlen(text), 0600, err);
    if (shorter && (rc == -ENOSPC || rc == -EDQUOT))
        rc = use_spare(gw, file, text, err);
    else if (rc == 0)
        keep_spare(gw);
    return pv_wrap_full(err, rc, gw->state_path);
}

int gw_registry_save(struct gw_version *v, struct pv_err *err)
{
    pv_autofree char *spec = malloc(2 * v->encoded.len + 1);
    if (!spec)
        return pv_fail(err, ENOMEM, "write the registry entry of '%s'", v->spec.name);
    pv_hex(v->encoded.data, v->encoded.len, spec);
    json_t *annotations = v->annotations ? json_incref(v->annotations) : json_object();
    PV_TRY(
        save_json(v->gw, v->spec.name,
                  json_pack("{s:i, s:s, s:I, s:I, s:s, s:I, s:o, s:s}", "format", FORMAT, "name",
                            v->spec.name, "version", (json_int_t)v->spec.version, "last_version",
                            (json_int_t)v->function->last_version, "image", v->image, "created_ns",
                            (json_int_t)v->created_ns, "annotations", annotations, "spec", spec),
                  false, err));
    v->function->damage[0] = 0;
    return 0;
}

int gw_registry_remove(struct gateway *gw, struct gw_function *f, struct pv_err *err)
{
    PV_TRY(save_json(gw, f->name,
                     json_pack("{s:i, s:s, s:I}", "format", FORMAT, "name", f->name, "version",
                               (json_int_t)f->last_version),
                     f->current != NULL, err));
    f->damage[0] = 0;
    return 0;
}

int gw_registry_reserve(struct gateway *gw, struct gw_function *f, struct pv_err *err)
{
    return f->current ? gw_registry_save(f->current, err) : gw_registry_remove(gw, f, err);
}

static int decode_spec(const char *hex, struct pv_spec *ret, struct pv_err *err)
{
    size_t len = strlen(hex) / 2;
    pv_autofree uint8_t *bytes = malloc(len + 1);
    if (!bytes)
        return pv_fail(err, ENOMEM, "decode a specification");
    if (strlen(hex) % 2 || !pv_unhex(hex, bytes, len))
        return pv_refuse(err, EBADMSG, "its specification is no hexadecimal text");
    return pv_spec_decode(bytes, len, ret, err);
}

static int restore(struct gateway *gw, const char *name, const json_t *o, struct pv_err *err)
{
    const char *own = json_string_value(json_object_get(o, "name"));
    const char *hex = json_string_value(json_object_get(o, "spec"));
    const char *image = json_string_value(json_object_get(o, "image"));
    json_int_t version = json_integer_value(json_object_get(o, "version"));
    if (json_integer_value(json_object_get(o, "format")) != FORMAT || !own || version < 1)
        return pv_refuse(err, EBADMSG, "it is no registry entry of format %d", FORMAT);
    if (strcmp(own, name) != 0)
        return pv_refuse(err, EBADMSG, "it is another function's");
    struct gw_function *f = gw_function_get(gw, name);
    if (!f)
        return pv_fail(err, ENOMEM, "restore '%s'", name);
    json_int_t last = json_integer_value(json_object_get(o, "last_version"));
    f->last_version = (uint64_t)(last > version ? last : version);
    if (!hex)
        return 0; /* removed; only its counter is kept */
    struct pv_spec spec;
    PV_TRY(decode_spec(hex, &spec, err));
    struct gw_version *v = NULL;
    int rc = 0;
    if (strcmp(spec.name, name) != 0 || spec.version != (uint64_t)version)
        rc = pv_refuse(err, EBADMSG, "its specification is another function's");
    if (rc == 0)
        rc = gw_version_new(&v, gw, f, &spec, err);
    pv_spec_done(&spec);
    PV_TRY(rc);
    snprintf(v->image, sizeof v->image, "%s", image ? image : "");
    v->created_ns = (uint64_t)json_integer_value(json_object_get(o, "created_ns"));
    v->annotations = json_deep_copy(json_object_get(o, "annotations"));
    f->current = v;
    return gw_version_start(v, err);
}

static int load_file(struct gateway *gw, const char *name, const char *file, struct pv_err *err)
{
    pv_autobuf struct pv_buf b;
    json_error_t e;
    pv_buf_init(&b, FILE_MAX);
    PV_TRY(pv_read_file_at(gw->registry_fd, file, &b, err));
    json_t *o = json_loadb((const char *)b.data, b.len, JSON_REJECT_DUPLICATES, &e);
    int rc = o ? restore(gw, name, o, err) : pv_refuse(err, EBADMSG, "it is no JSON: %s", e.text);
    json_decref(o);
    return rc;
}

/* Its calls are refused until it is deployed again, since nobody may take it for removed. Which
 * versions it has had is not known: the next is numbered by the time, which none of them was. */
static void note_damage(struct gateway *gw, const char *name, const char *why)
{
    struct gw_function *f = gw_function_get(gw, name);
    if (!f || f->current)
        return;
    snprintf(f->damage, sizeof f->damage, "its registry entry is damaged: %.160s; deploy it again",
             why);
    gw_make_printable(f->damage);
    uint64_t now_s = pv_now_real_ns() / PV_NS_PER_S;
    if (f->last_version < now_s)
        f->last_version = now_s;
}

/* The function that an entry is named after. */
static int name_of_entry(const char *file, char name[PV_NAME_MAX + 1], struct pv_err *err)
{
    size_t len = strlen(file) - strlen(SUFFIX);
    snprintf(name, PV_NAME_MAX + 1, "%.*s", (int)len, file);
    if (len > PV_NAME_MAX || !pv_name_ok(name))
        return pv_refuse(err, EBADMSG, "it is named after no function");
    return 0;
}

static bool is_entry(const char *file)
{
    size_t len = strlen(file);
    return file[0] != '.' && len > strlen(SUFFIX) &&
           strcmp(file + len - strlen(SUFFIX), SUFFIX) == 0;
}

static void load_entry(struct gateway *gw, const char *file)
{
    struct pv_err why = PV_ERR_INIT;
    char name[PV_NAME_MAX + 1];
    bool named = name_of_entry(file, name, &why) == 0;
    if (named && load_file(gw, name, file, &why) == 0)
        return;
    pv_log(PV_LOG_ERROR, "registry entry %s: %s", file, why.text);
    if (named)
        note_damage(gw, name, why.text);
    gw->packages_unknown = true;
}

int gw_registry_load(struct gateway *gw, struct pv_err *err)
{
    int fd = dup(gw->registry_fd);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int rc = pv_fail(err, errno, "read the registry directory");
        if (fd >= 0)
            (void)close(fd);
        return rc;
    }
    const struct dirent *entry;
    while (errno = 0, (entry = readdir(dir)))
        if (is_entry(entry->d_name))
            load_entry(gw, entry->d_name);
    if (errno)
        gw->packages_unknown = true;
    (void)closedir(dir);
    gw->packages_due = true;
    keep_spare(gw);
    return 0;
}
