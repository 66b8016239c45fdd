#include "pv/measure.h"

#include "pv/id.h"
#include "pv/limits.h"
#include "pv/own.h"
#include "pv/ratchet.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { CHUNK_BYTES = 64 << 10, DIR_NODE_MAX = 8 << 20 };

struct measuring {
    struct pv_hasher *hasher;
    unsigned entries;
    uint64_t bytes;
    uint8_t chunk[CHUNK_BYTES];
};

/* Byte order, not the locale's: the measurement depends on it. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

int pv_package_list_read(int dir_fd, struct pv_package_list *ret)
{
    ret->n = scandirat(dir_fd, ".", &ret->v, not_dots, by_bytes);
    return ret->n < 0 ? -1 : 0;
}

void pv_package_list_done(struct pv_package_list *l)
{
    for (int i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
}

void pv_package_dir_begin(struct pv_buf *b, unsigned n)
{
    pv_buf_init(b, DIR_NODE_MAX);
    pv_buf_u8(b, PV_PACKAGE_DIR);
    pv_buf_u32(b, n);
}

void pv_package_dir_add(struct pv_buf *b, const char *name, const struct pv_package_node *n)
{
    pv_buf_str(b, name);
    pv_buf_u8(b, n->type);
    pv_buf_raw(b, n->hash, sizeof n->hash);
}

int pv_package_dir_end(const struct pv_buf *b, struct pv_package_node *ret, struct pv_err *err)
{
    PV_TRY(pv_buf_check(b, "directory of the package", err));
    ret->type = PV_PACKAGE_DIR;
    pv_sha256(b->data, b->len, ret->hash);
    return 0;
}

void pv_package_length(uint64_t len, uint8_t out[8])
{
    for (unsigned i = 0; i < 8; i++)
        out[i] = (uint8_t)(len >> (56 - 8 * i));
}

static int measure_content(struct measuring *m, int fd, const char *name, struct pv_err *err)
{
    uint64_t len = 0;
    uint8_t be[8];

    for (;;) {
        ssize_t n = read(fd, m->chunk, sizeof m->chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pv_fail(err, errno, "read '%s' of the package", name);
        if (n == 0)
            break;
        len += (uint64_t)n;
        m->bytes += (uint64_t)n;
        if (m->bytes > PV_PACKAGE_BYTES_MAX)
            return pv_refuse(err, EBADMSG, "it is larger than any package");
        pv_hasher_update(m->hasher, m->chunk, (size_t)n);
    }
    pv_package_length(len, be);
    pv_hasher_update(m->hasher, be, sizeof be);
    return 0;
}

static int measure_file(struct measuring *m, int fd, const struct stat *st, const char *name,
                        struct pv_package_node *ret, struct pv_err *err)
{
    const uint8_t head[2] = {PV_PACKAGE_FILE, (st->st_mode & 0111) != 0};

    pv_hasher_update(m->hasher, head, sizeof head);
    PV_TRY(measure_content(m, fd, name, err));
    ret->type = PV_PACKAGE_FILE;
    pv_hasher_final(m->hasher, ret->hash);
    return 0;
}

static int measure_link(struct measuring *m, int dir, const char *name, struct pv_package_node *ret,
                        struct pv_err *err)
{
    const uint8_t type = PV_PACKAGE_LINK;
    char target[PV_PATH_MAX];
    ssize_t n = readlinkat(dir, name, target, sizeof target);

    if (n < 0)
        return pv_fail(err, errno, "read the link '%s' of the package", name);
    if ((size_t)n == sizeof target)
        return pv_refuse(err, EBADMSG, "its link '%s' is longer than any package's", name);
    pv_hasher_update(m->hasher, &type, 1);
    pv_hasher_update(m->hasher, target, (size_t)n);
    ret->type = PV_PACKAGE_LINK;
    pv_hasher_final(m->hasher, ret->hash);
    return 0;
}

static int measure_directory(struct measuring *m, int dir, unsigned depth,
                             struct pv_package_node *ret, struct pv_err *err);

static int measure_entry(struct measuring *m, int dir, const char *name, unsigned depth,
                         struct pv_package_node *ret, struct pv_err *err)
{
    struct stat st;
    pv_autoclose int fd = -1;

    if (++m->entries > PV_PACKAGE_FILES_MAX)
        return pv_refuse(err, EBADMSG, "it has more entries than any package");
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return pv_fail(err, errno, "examine '%s' of the package", name);
    if (S_ISLNK(st.st_mode))
        return measure_link(m, dir, name, ret, err);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return pv_refuse(err, EBADMSG, "'%s' in it is neither file, directory nor link", name);
    fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return pv_fail(err, errno, "open '%s' of the package", name);
    if (S_ISREG(st.st_mode))
        return measure_file(m, fd, &st, name, ret, err);
    return measure_directory(m, fd, depth + 1, ret, err);
}

static int measure_list(struct measuring *m, int dir, const struct pv_package_list *l,
                        unsigned depth, struct pv_buf *b, struct pv_err *err)
{
    for (int i = 0; i < l->n; i++) {
        struct pv_package_node child;

        PV_TRY(measure_entry(m, dir, l->v[i]->d_name, depth, &child, err));
        pv_package_dir_add(b, l->v[i]->d_name, &child);
    }
    return 0;
}

static int measure_directory(struct measuring *m, int dir, unsigned depth,
                             struct pv_package_node *ret, struct pv_err *err)
{
    pv_autobuf struct pv_buf b = {0};
    struct pv_package_list list = {0};
    int rc;

    if (depth > PV_PACKAGE_DEPTH_MAX)
        return pv_refuse(err, EBADMSG, "it has more levels than any package");
    if (pv_package_list_read(dir, &list) < 0)
        return pv_fail(err, errno, "list a directory of the package");
    pv_package_dir_begin(&b, (unsigned)list.n);
    rc = measure_list(m, dir, &list, depth, &b, err);
    pv_package_list_done(&list);
    PV_TRY(rc);
    return pv_package_dir_end(&b, ret, err);
}

int pv_package_measure(int dir_fd, uint8_t ret[PV_MEASUREMENT_BYTES], struct pv_err *err)
{
    pv_autofree struct measuring *m = calloc(1, sizeof *m);
    struct pv_package_node top = {0};
    int rc;

    if (!m)
        return pv_fail(err, ENOMEM, "measure a package");
    PV_TRY(pv_hasher_new(&m->hasher, err));
    rc = measure_directory(m, dir_fd, 0, &top, err);
    pv_hasher_free(m->hasher);
    memcpy(ret, top.hash, sizeof top.hash);
    return rc;
}

int pv_package_check(int dir_fd, const uint8_t measurement[PV_MEASUREMENT_BYTES],
                     struct pv_err *err)
{
    uint8_t found[PV_MEASUREMENT_BYTES];
    char name[2 * PV_MEASUREMENT_BYTES + 1], now[2 * PV_MEASUREMENT_BYTES + 1];
    struct pv_err why = PV_ERR_INIT;
    int rc = pv_package_measure(dir_fd, found, &why);

    pv_hex(measurement, PV_MEASUREMENT_BYTES, name);
    if (rc < 0 && rc != -EBADMSG)
        return pv_refuse(err, rc, "package %s: %.255s", name, why.text);
    if (rc == 0 && memcmp(found, measurement, sizeof found) == 0)
        return 0;
    pv_hex(found, sizeof found, now);
    return pv_refuse(err, EBADMSG, "package %s was changed after it was stored (%s%.160s)", name,
                     rc == 0 ? "it measures " : "", rc == 0 ? now : why.text);
}
