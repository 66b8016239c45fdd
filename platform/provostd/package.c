#include "package.h"

#include "pv/buf.h"
#include "pv/id.h"
#include "pv/io.h"
#include "pv/log.h"
#include "pv/own.h"
#include "pv/ratchet.h"
#include "tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of names in the store that are no package's. */
#define IMPORT_PREFIX ".import-"
#define UNUSED_PREFIX ".unused-"

enum {
    CHUNK_BYTES = 64 << 10,
    SYNC_EACH_MAX = 16, /* entries; of a larger package the whole file system is synced, once */
};

struct import {
    struct pv_hasher *hasher;
    unsigned entries;
    uint64_t bytes;
    uint8_t chunk[CHUNK_BYTES];
    char where[PV_PATH_MAX]; /* path inside the package, for messages */
    const struct pv_package_source *source;
};

static int sync_one(const struct import *im, int fd)
{
    return im->entries > SYNC_EACH_MAX ? 0 : fsync(fd);
}

static int count_entry(struct import *im, struct pv_err *err)
{
    if (++im->entries > PV_PACKAGE_FILES_MAX)
        return pv_refuse(err, EFBIG, "the package has more than %d entries", PV_PACKAGE_FILES_MAX);
    return 0;
}

/* Copies the content and feeds the hash with length and content; the length is not known before a
 * changing file has been read, so it goes last. */
static int copy_content(struct import *im, int in, int out, struct pv_err *err)
{
    uint64_t len = 0;
    uint8_t be[8];

    for (;;) {
        ssize_t n = read(in, im->chunk, sizeof im->chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pv_fail(err, errno, "read '%s'", im->where);
        if (n == 0)
            break;
        len += (uint64_t)n;
        im->bytes += (uint64_t)n;
        if (im->bytes > PV_PACKAGE_BYTES_MAX)
            return pv_refuse(err, EFBIG, "the package is over %llu bytes", PV_PACKAGE_BYTES_MAX);
        PV_TRY(pv_wrap(err, pv_write_all(out, im->chunk, (size_t)n, err), "copy '%s'", im->where));
        pv_hasher_update(im->hasher, im->chunk, (size_t)n);
    }
    pv_package_length(len, be);
    pv_hasher_update(im->hasher, be, sizeof be);
    return 0;
}

static int copy_file(struct import *im, int in, int dst_dir, const char *name,
                     struct pv_package_node *ret, struct pv_err *err)
{
    struct stat st;
    uint8_t head[2] = {PV_PACKAGE_FILE, 0};
    pv_autoclose int out = -1;

    if (fstat(in, &st) != 0)
        return pv_fail(err, errno, "examine '%s'", im->where);
    head[1] = (st.st_mode & 0111) != 0;
    out = openat(dst_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    if (out < 0)
        return pv_fail(err, errno, "create '%s'", im->where);
    pv_hasher_update(im->hasher, head, sizeof head);
    PV_TRY(copy_content(im, in, out, err));
    if (fchmod(out, head[1] ? 0555 : 0444) != 0 || sync_one(im, out) != 0)
        return pv_fail(err, errno, "write '%s'", im->where);
    ret->type = PV_PACKAGE_FILE;
    pv_hasher_final(im->hasher, ret->hash);
    return 0;
}

/* Whether target, seen from a directory depth levels below the package's top, stays inside. ".."
 * may stand at its start only: after a name, which may be a link itself, it leads who knows where.
 */
static bool link_stays_inside(const char *target, unsigned depth)
{
    unsigned up = 0;
    bool named = false;

    if (*target == '/' || *target == '\0')
        return false;
    for (const char *p = target; *p;) {
        size_t n = strcspn(p, "/");

        if (n == 2 && p[0] == '.' && p[1] == '.') {
            if (named || ++up > depth)
                return false;
        } else if (n > 0 && !(n == 1 && p[0] == '.')) {
            named = true;
        }
        p += n;
        p += *p == '/';
    }
    return true;
}

static int copy_link(struct import *im, int src_dir, int dst_dir, const char *name, unsigned depth,
                     struct pv_package_node *ret, struct pv_err *err)
{
    char target[PV_PATH_MAX];
    uint8_t type = PV_PACKAGE_LINK;
    ssize_t n = readlinkat(src_dir, name, target, sizeof target);

    if (n < 0)
        return pv_fail(err, errno, "read the link '%s'", im->where);
    if ((size_t)n >= sizeof target)
        return pv_refuse(err, ENAMETOOLONG, "the link '%s' is too long", im->where);
    target[n] = '\0';
    if (!link_stays_inside(target, depth))
        return pv_refuse(err, EINVAL, "the symbolic link '%s' leads out of the package to '%s'",
                         im->where, target);
    if (symlinkat(target, dst_dir, name) != 0)
        return pv_fail(err, errno, "create the link '%s'", im->where);
    pv_hasher_update(im->hasher, &type, 1);
    pv_hasher_update(im->hasher, target, (size_t)n);
    ret->type = PV_PACKAGE_LINK;
    pv_hasher_final(im->hasher, ret->hash);
    return 0;
}

static int copy_directory(struct import *im, int src, int dst, unsigned depth,
                          struct pv_package_node *ret, struct pv_err *err);

static int copy_subdirectory(struct import *im, int src, int dst_dir, const char *name,
                             unsigned depth, struct pv_package_node *ret, struct pv_err *err)
{
    pv_autoclose int dst = -1;

    if (depth + 1 > PV_PACKAGE_DEPTH_MAX)
        return pv_refuse(err, ELOOP, "'%s' is nested deeper than %d", im->where,
                         PV_PACKAGE_DEPTH_MAX);
    if (mkdirat(dst_dir, name, 0700) != 0)
        return pv_fail(err, errno, "create '%s'", im->where);
    dst = openat(dst_dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dst < 0)
        return pv_fail(err, errno, "open '%s'", im->where);
    return copy_directory(im, src, dst, depth + 1, ret, err);
}

static int copy_entry(struct import *im, int src_dir, int dst_dir, const char *name, unsigned depth,
                      struct pv_package_node *ret, struct pv_err *err)
{
    struct stat st;
    pv_autoclose int in = -1;

    PV_TRY(count_entry(im, err));
    if (fstatat(src_dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return pv_fail(err, errno, "examine '%s'", im->where);
    if (S_ISLNK(st.st_mode))
        return copy_link(im, src_dir, dst_dir, name, depth, ret, err);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return pv_refuse(err, EINVAL, "'%s' is neither file, directory nor symbolic link",
                         im->where);
    /* It may have been exchanged since: NONBLOCK keeps a FIFO from blocking, fstat decides. */
    in = openat(src_dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (in < 0 || fstat(in, &st) != 0)
        return pv_fail(err, errno, "open '%s'", im->where);
    if (S_ISREG(st.st_mode))
        return copy_file(im, in, dst_dir, name, ret, err);
    if (S_ISDIR(st.st_mode))
        return copy_subdirectory(im, in, dst_dir, name, depth, ret, err);
    return pv_refuse(err, EAGAIN, "'%s' changed while it was copied", im->where);
}

static int finish_directory(const struct import *im, const struct pv_buf *b, int dst,
                            struct pv_package_node *ret, struct pv_err *err)
{
    if (fchmod(dst, 0555) != 0 || sync_one(im, dst) != 0)
        return pv_fail(err, errno, "write a directory of the package");
    return pv_package_dir_end(b, ret, err);
}

static int copy_list(struct import *im, int src, int dst, unsigned depth,
                     const struct pv_package_list *l, struct pv_buf *b, struct pv_err *err)
{
    size_t base = strlen(im->where);

    for (int i = 0; i < l->n; i++) {
        struct pv_package_node child;
        int rc;

        snprintf(im->where + base, sizeof im->where - base, "%s%s", base ? "/" : "",
                 l->v[i]->d_name);
        rc = copy_entry(im, src, dst, l->v[i]->d_name, depth, &child, err);
        im->where[base] = '\0';
        PV_TRY(rc);
        pv_package_dir_add(b, l->v[i]->d_name, &child);
    }
    return 0;
}

/* The closed directory may be met on the way down, by any path. */
static int check_not_closed(const struct import *im, int dir, struct pv_err *err)
{
    struct stat closed, st;

    if (!im->source->closed)
        return 0;
    if (stat(im->source->closed, &closed) != 0 || fstat(dir, &st) != 0)
        return pv_fail(err, errno, "compare '%s' with the state directory", im->where);
    if (st.st_dev == closed.st_dev && st.st_ino == closed.st_ino)
        return pv_refuse(err, EPERM, "'%s' is the state directory, which is no package",
                         im->source->closed);
    return 0;
}

/* Where the source really is, after all links. */
static int check_outside(const struct pv_package_source *s, int fd, struct pv_err *err)
{
    char link[64], path[PV_PATH_MAX];
    size_t len = s->closed ? strlen(s->closed) : 0;
    ssize_t n;

    if (!s->closed)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    if (n < 0)
        return pv_fail(err, errno, "find where '%s' is", s->path);
    path[n] = '\0';
    if (strncmp(path, s->closed, len) == 0 && (path[len] == '/' || path[len] == '\0'))
        return pv_refuse(err, EPERM, "'%s' is inside the state directory", s->path);
    return 0;
}

static int copy_directory(struct import *im, int src, int dst, unsigned depth,
                          struct pv_package_node *ret, struct pv_err *err)
{
    pv_autobuf struct pv_buf b = {0};
    struct pv_package_list list = {0};
    int rc;

    PV_TRY(check_not_closed(im, src, err));
    if (pv_package_list_read(src, &list) < 0)
        return pv_fail(err, errno, "list '%s'", im->where);
    pv_package_dir_begin(&b, (unsigned)list.n);
    rc = copy_list(im, src, dst, depth, &list, &b, err);
    pv_package_list_done(&list);
    PV_TRY(rc);
    return finish_directory(im, &b, dst, ret, err);
}

/* A single file becomes a directory with that one entry. */
static int copy_single(struct import *im, int in, const char *name, int dst,
                       struct pv_package_node *ret, struct pv_err *err)
{
    pv_autobuf struct pv_buf b = {0};
    struct pv_package_node child = {0};

    snprintf(im->where, sizeof im->where, "%s", name);
    PV_TRY(copy_file(im, in, dst, name, &child, err));
    pv_package_dir_begin(&b, 1);
    pv_package_dir_add(&b, name, &child);
    return finish_directory(im, &b, dst, ret, err);
}

static int open_source(const char *root, const char *path, struct pv_err *err)
{
    struct open_how how = {.flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const char *beneath;
    pv_autoclose int root_fd = -1;
    long fd;

    if (path[0] != '/')
        return pv_refuse(err, EINVAL, "the package path '%s' is not absolute", path);
    if (strncmp(path, root, n) != 0 || path[n] != '/')
        return pv_refuse(err, EPERM, "'%s' is not beneath the package root '%s'", path, root);
    /* From "/", nothing is outside; absolute links on the way are then harmless. */
    if (n == 0)
        how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    beneath = path + n + strspn(path + n, "/");
    root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return pv_fail(err, errno, "open the package root '%s'", root);
    fd = syscall(SYS_openat2, root_fd, *beneath ? beneath : ".", &how, sizeof how);
    if (fd < 0)
        return pv_fail(err, errno, "open the package '%s'", path);
    return (int)fd;
}

static bool is_executable(int dir_fd, const char *name)
{
    struct stat st;

    return fstatat(dir_fd, name, &st, 0) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

/* "handler", or the one executable "handler.SUFFIX". */
static int find_handler(int dir_fd, char out[NAME_MAX + 1])
{
    DIR *list;
    unsigned found = 0;

    if (is_executable(dir_fd, "handler")) {
        snprintf(out, NAME_MAX + 1, "handler");
        return 1;
    }
    list = pv_tree_list(dir_fd);
    if (!list)
        return 0;
    for (struct dirent *e; (e = readdir(list));) {
        if (strncmp(e->d_name, "handler.", 8) == 0 && is_executable(dir_fd, e->d_name)) {
            snprintf(out, NAME_MAX + 1, "%s", e->d_name);
            found++;
        }
    }
    (void)closedir(list);
    return found == 1;
}

static void choose_command(int dst, const char *single, struct pv_package *p)
{
    char handler[NAME_MAX + 1];

    if (single && is_executable(dst, single))
        snprintf(p->command, sizeof p->command, "/function/%s", single);
    else if (single)
        snprintf(p->hint, sizeof p->hint,
                 "'%.80s' is not executable: chmod +x it, or give the command after '--'", single);
    else if (find_handler(dst, handler))
        snprintf(p->command, sizeof p->command, "/function/%s", handler);
    else
        snprintf(p->hint, sizeof p->hint,
                 "the directory has no executable 'handler' (nor exactly one 'handler.SUFFIX'): "
                 "give the command after '--'");
}

static int copy_top(struct import *im, int src, const char *path, int dst, struct pv_package *ret,
                    struct pv_err *err)
{
    struct stat st;
    struct pv_package_node top = {0};
    const char *single = NULL;

    if (fstat(src, &st) != 0)
        return pv_fail(err, errno, "examine '%s'", path);
    if (S_ISREG(st.st_mode)) {
        single = strrchr(path, '/') + 1;
        PV_TRY(copy_single(im, src, single, dst, &top, err));
    } else if (S_ISDIR(st.st_mode)) {
        PV_TRY(copy_directory(im, src, dst, 0, &top, err));
    } else {
        return pv_refuse(err, EINVAL, "'%s' is neither a file nor a directory", path);
    }
    memcpy(ret->measurement, top.hash, sizeof ret->measurement);
    ret->kind = single ? "file" : "directory";
    choose_command(dst, single, ret);
    return 0;
}

/* Whether there is a package of that name, and it is what its name says. */
enum stored { STORED_NOT, STORED_WELL, STORED_CHANGED };

static enum stored look_up(int store_fd, const char *name, const uint8_t measurement[PV_HASH_BYTES])
{
    struct pv_err why = PV_ERR_INIT;
    pv_autoclose int fd = openat(store_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return STORED_NOT;
    if (fd < 0)
        (void)pv_fail(&why, errno, "open the package %s", name);
    else if (pv_package_check(fd, measurement, &why) == 0)
        return STORED_WELL;
    pv_log(PV_LOG_WARN, "%s; it is replaced", why.text);
    return STORED_CHANGED;
}

/* In one step; what was there under that name is then under tmp. */
static int give_name(int store_fd, const char *tmp, const char *name, bool exchange,
                     struct pv_err *err)
{
    unsigned how = exchange ? RENAME_EXCHANGE : RENAME_NOREPLACE;

    if (renameat2(store_fd, tmp, store_fd, name, how) != 0 && (exchange || errno != EEXIST))
        return pv_fail(err, errno, "store the package");
    return 0;
}

/* Everything beneath tmp is on disk before it gets its name. */
static int publish(const struct import *im, int store_fd, const char *tmp, struct pv_package *p,
                   struct pv_err *err)
{
    char name[2 * PV_HASH_BYTES + 1];
    enum stored is;

    pv_hex(p->measurement, PV_HASH_BYTES, name);
    is = look_up(store_fd, name, p->measurement);
    if (is != STORED_WELL) {
        if (im->entries > SYNC_EACH_MAX && syncfs(store_fd) != 0)
            return pv_fail(err, errno, "write the package to disk");
        PV_TRY(give_name(store_fd, tmp, name, is == STORED_CHANGED, err));
    }
    p->mended = is == STORED_CHANGED;
    /* Who stored the same package before may not have come as far as this. */
    if (fsync(store_fd) != 0)
        return pv_fail(err, errno, "sync the package store");
    /* a copy that was not needed, or the one that was changed */
    return pv_tree_remove(store_fd, tmp, err);
}

static int import_into(int store_fd, const char *tmp, struct import *im, int src, const char *path,
                       struct pv_package *ret, struct pv_err *err)
{
    struct pv_package p = {0};
    pv_autoclose int dst = -1;

    if (mkdirat(store_fd, tmp, 0700) != 0)
        return pv_fail(err, errno, "create a directory in the package store");
    dst = openat(store_fd, tmp, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dst < 0)
        return pv_fail(err, errno, "open a directory in the package store");
    PV_TRY(copy_top(im, src, path, dst, &p, err));
    PV_TRY(publish(im, store_fd, tmp, &p, err));
    *ret = p;
    return 0;
}

int pv_package_import(int store_fd, const struct pv_package_source *source, struct pv_package *ret,
                      struct pv_err *err)
{
    char tmp[64];
    struct pv_domain_id unique = pv_domain_id_new();
    char hex[2 * PV_DOMAIN_ID_BYTES + 1];
    pv_autofree struct import *im = calloc(1, sizeof *im);
    pv_autoclose int src = -1;
    int rc;

    if (!im)
        return pv_fail(err, ENOMEM, "import a package");
    im->source = source;
    src = open_source(source->root, source->path, err);
    PV_TRY(src);
    PV_TRY(check_outside(source, src, err));
    PV_TRY(pv_hasher_new(&im->hasher, err));
    pv_hex(unique.bytes, sizeof unique.bytes, hex);
    snprintf(tmp, sizeof tmp, IMPORT_PREFIX "%s", hex);
    rc = import_into(store_fd, tmp, im, src, source->path, ret, err);
    pv_hasher_free(im->hasher);
    if (rc < 0) {
        struct pv_err ignored = PV_ERR_INIT;

        (void)!pv_tree_remove(store_fd, tmp, &ignored);
    }
    return rc;
}

static int remove_with_prefix(int store_fd, const char *prefix, struct pv_err *err)
{
    DIR *list = pv_tree_list(store_fd);
    int rc = 0;

    if (!list)
        return pv_fail(err, errno, "list the package store");
    for (struct dirent *e; rc == 0 && (e = readdir(list));)
        if (strncmp(e->d_name, prefix, strlen(prefix)) == 0)
            rc = pv_tree_remove(store_fd, e->d_name, err);
    (void)closedir(list);
    return rc;
}

static int set_aside(int store_fd, const char *name, struct pv_err *err)
{
    struct pv_domain_id unique = pv_domain_id_new();
    char hex[2 * PV_DOMAIN_ID_BYTES + 1], aside[64];

    pv_hex(unique.bytes, sizeof unique.bytes, hex);
    snprintf(aside, sizeof aside, UNUSED_PREFIX "%s", hex);
    if (renameat(store_fd, name, store_fd, aside) != 0)
        return pv_fail(err, errno, "set the package %s aside", name);
    return 0;
}

int pv_package_set_unused_aside(int store_fd, pv_package_used *used, const void *ctx,
                                unsigned *ret_n, struct pv_err *err)
{
    uint8_t measurement[PV_HASH_BYTES];
    DIR *list = pv_tree_list(store_fd);
    unsigned n = 0;
    int rc = 0;

    if (!list)
        return pv_fail(err, errno, "list the package store");
    for (struct dirent *e; rc == 0 && (e = readdir(list));) {
        if (strlen(e->d_name) != 2 * sizeof measurement ||
            !pv_unhex(e->d_name, measurement, sizeof measurement) || used(ctx, measurement))
            continue;
        rc = set_aside(store_fd, e->d_name, err);
        n += rc == 0;
    }
    (void)closedir(list);
    PV_TRY(rc);
    /* No half-removed package may ever have its name, whatever the order of writing is. */
    if (n > 0 && fsync(store_fd) != 0)
        return pv_fail(err, errno, "sync the package store");
    *ret_n = n;
    return 0;
}

int pv_package_remove_unused(int store_fd, struct pv_err *err)
{
    return remove_with_prefix(store_fd, UNUSED_PREFIX, err);
}

int pv_package_sweep(int store_fd, struct pv_err *err)
{
    PV_TRY(remove_with_prefix(store_fd, IMPORT_PREFIX, err));
    return pv_package_remove_unused(store_fd, err);
}
