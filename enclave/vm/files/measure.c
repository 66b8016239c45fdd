/* The hash of a read-only tree. A node's hash is SHA-256 over: a byte for its type (1 file, 2 link,
 * 3 directory), its rights (4 bytes, big-endian), and then, of a file, content and length (8
 * bytes), of a link, its text, of a directory, for each entry in byte order of the names: length of
 * the name (2 bytes), name, hash of the entry. */
#include "files/files.h"
#include "pv/own.h"

#include <dirent.h>
#include <fcntl.h>
#include <gcrypt.h>
#include <limits.h>
#include <string.h>

enum {
    HASH_BYTES = 32,
    DEPTH_MAX = 64,
    CHUNK = 64 << 10,
    TYPE_FILE = 1,
    TYPE_LINK = 2,
    TYPE_DIR = 3,
};

struct measuring {
    unsigned entries;
    struct pv_err *err;
    uint8_t chunk[CHUNK];
};

static void close_hash(gcry_md_hd_t *h)
{
    gcry_md_close(*h);
}
#define AUTO_HASH __attribute__((cleanup(close_hash))) gcry_md_hd_t

static void free_names(struct dirent ***names)
{
    free(*names);
}

static int begin(struct measuring *m, gcry_md_hd_t *ret, uint8_t type, uint32_t mode)
{
    const uint8_t head[5] = {type, 0, 0, (uint8_t)(mode >> 8 & 0xf), (uint8_t)mode};

    if (gcry_md_open(ret, GCRY_MD_SHA256, 0))
        return pv_fail(m->err, ENOMEM, "hash a tree");
    gcry_md_write(*ret, head, sizeof head);
    return 0;
}

static void finish(gcry_md_hd_t h, uint8_t out[HASH_BYTES])
{
    memcpy(out, gcry_md_read(h, GCRY_MD_SHA256), HASH_BYTES);
}

static int measure_file(struct measuring *m, int dir, const char *name, uint8_t out[HASH_BYTES])
{
    pv_autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    AUTO_HASH h = NULL;
    uint64_t len = 0;
    uint8_t be[8];
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return pv_fail(m->err, errno, "open '%s' to measure it", name);
    if (!S_ISREG(st.st_mode))
        return pv_refuse(m->err, EAGAIN, "'%s' changed while it was measured", name);
    PV_TRY(begin(m, &h, TYPE_FILE, st.st_mode));
    for (;;) {
        ssize_t n = read(fd, m->chunk, sizeof m->chunk);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pv_fail(m->err, errno, "read '%s' to measure it", name);
        if (n == 0)
            break;
        gcry_md_write(h, m->chunk, (size_t)n);
        len += (uint64_t)n;
    }
    for (int i = 0; i < 8; i++)
        be[i] = (uint8_t)(len >> (56 - 8 * i));
    gcry_md_write(h, be, sizeof be);
    finish(h, out);
    return 0;
}

static int measure_link(struct measuring *m, int dir, const char *name, uint8_t out[HASH_BYTES])
{
    char text[PATH_MAX];
    ssize_t len = readlinkat(dir, name, text, sizeof text);
    AUTO_HASH h = NULL;

    if (len < 0)
        return pv_fail(m->err, errno, "read link '%s' to measure it", name);
    PV_TRY(begin(m, &h, TYPE_LINK, 0777));
    gcry_md_write(h, text, (size_t)len);
    finish(h, out);
    return 0;
}

static int measure_dir(struct measuring *m, int dir, const char *name, unsigned depth,
                       uint8_t out[HASH_BYTES]);

static int measure_entry(struct measuring *m, int dir, const char *name, unsigned depth,
                         uint8_t out[HASH_BYTES])
{
    struct stat st;

    if (++m->entries > PV_FILES_TREE_MAX)
        return pv_refuse(m->err, EFBIG, "the tree has more than %d entries", PV_FILES_TREE_MAX);
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return pv_fail(m->err, errno, "look at '%s' to measure it", name);
    if (S_ISDIR(st.st_mode))
        return measure_dir(m, dir, name, depth + 1, out);
    if (S_ISREG(st.st_mode))
        return measure_file(m, dir, name, out);
    if (S_ISLNK(st.st_mode))
        return measure_link(m, dir, name, out);
    return pv_refuse(m->err, EINVAL, "'%s' is neither file, directory nor link", name);
}

static int real_name(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Feeds one entry and frees it. */
static int feed(struct measuring *m, gcry_md_hd_t h, int dir, struct dirent *e, unsigned depth,
                bool go_on)
{
    pv_autofree struct dirent *owned = e;
    size_t len = strlen(owned->d_name);
    const uint8_t be[2] = {(uint8_t)(len >> 8), (uint8_t)len};
    uint8_t hash[HASH_BYTES];

    if (!go_on)
        return 0;
    PV_TRY(measure_entry(m, dir, owned->d_name, depth, hash));
    gcry_md_write(h, be, sizeof be);
    gcry_md_write(h, owned->d_name, len);
    gcry_md_write(h, hash, sizeof hash);
    return 0;
}

static int measure_dir(struct measuring *m, int dir, const char *name, unsigned depth,
                       uint8_t out[HASH_BYTES])
{
    pv_autoclose int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    __attribute__((cleanup(free_names))) struct dirent **names = NULL;
    AUTO_HASH h = NULL;
    struct stat st;
    int rc = 0;
    int n;

    if (depth > DEPTH_MAX)
        return pv_refuse(m->err, ELOOP, "the tree is deeper than %d directories", DEPTH_MAX);
    if (fd < 0 || fstat(fd, &st) < 0)
        return pv_fail(m->err, errno, "open directory '%s' to measure it", name);
    PV_TRY(begin(m, &h, TYPE_DIR, st.st_mode));
    n = scandirat(fd, ".", &names, real_name, by_bytes);
    if (n < 0)
        return pv_fail(m->err, errno, "list directory '%s' to measure it", name);
    for (int i = 0; i < n; i++) {
        int one = feed(m, h, fd, names[i], depth, rc == 0);

        rc = rc < 0 ? rc : one;
    }
    if (rc == 0)
        finish(h, out);
    return rc;
}

int pv_files_measure(int root_fd, uint8_t ret_hash[32], struct pv_err *err)
{
    pv_autofree struct measuring *m = calloc(1, sizeof *m);
    uint8_t hash[HASH_BYTES];

    if (!m)
        return pv_fail(err, ENOMEM, "allocate room to measure a tree");
    m->err = err;
    PV_TRY(measure_dir(m, root_fd, ".", 0, hash));
    memcpy(ret_hash, hash, sizeof hash);
    return 0;
}
