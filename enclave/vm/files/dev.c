#include "files/dev.h"

#include "files/mount.h"

#include <string.h>
#include <sys/sysmacros.h>

struct device {
    const char *name;
    enum pv_special special;
    unsigned minor;
    unsigned major;
};

static const struct device devices[] = {
    {"null", PV_SPECIAL_NULL, 3, 1},      {"zero", PV_SPECIAL_ZERO, 5, 1},
    {"full", PV_SPECIAL_FULL, 7, 1},      {"random", PV_SPECIAL_RANDOM, 8, 1},
    {"urandom", PV_SPECIAL_RANDOM, 9, 1}, {"tty", PV_SPECIAL_TTY, 0, 5},
};

static const char *const links[][2] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

int pv_dev_build(struct pv_files *f)
{
    pv_ref dev = pv_mount_dir(f, pv_state(f)->root, "dev", PV_FS_DEV, 0755);

    if (!dev)
        return -ENOMEM;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        pv_ref dentry = pv_mount_dir(f, dev, devices[i].name, PV_FS_DEV, 0666);
        struct pv_node *node;

        if (!dentry)
            return -ENOMEM;
        node = pv_node_edit(f, pv_dentry_node(f, dentry));
        node->mode = S_IFCHR | 0666;
        node->nlink = 1;
        node->special = (uint8_t)devices[i].special;
        node->rdev = makedev(devices[i].major, devices[i].minor);
    }
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        PV_TRY(pv_mount_link(f, dev, links[i][0], PV_FS_DEV, links[i][1]));
    return 0;
}

/* Nothing else ends such a read, and its buffers may be the same memory many times over: a longer
 * one is cut short, as a signal does on Linux. */
enum { RANDOM_MAX = 1 << 20, ZERO_MAX = 64 << 20 };

static int64_t fill(struct pv_files *f, struct pv_io *io, bool random)
{
    int64_t max = random ? RANDOM_MAX : ZERO_MAX;
    int64_t done = 0;
    size_t len;
    void *to;

    while (done < max && (to = pv_io_next(io, (size_t)(max - done), &len))) {
        if (random)
            f->host->random(f->ctx, to, len);
        else
            memset(to, 0, len);
        done += (int64_t)len;
    }
    return done;
}

static int64_t device_read(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    enum pv_special special = pv_node(f, pv_file_node(f, file))->special;

    (void)off;
    return special == PV_SPECIAL_NULL ? 0 : fill(f, io, special == PV_SPECIAL_RANDOM);
}

static int64_t device_write(struct pv_files *f, pv_ref file, struct pv_io *io, int64_t off)
{
    (void)off;
    if (pv_node(f, pv_file_node(f, file))->special == PV_SPECIAL_FULL)
        return io->left ? -ENOSPC : 0;
    return (int64_t)io->left;
}

static int64_t device_seek(struct pv_files *f, pv_ref file, int64_t off, int whence)
{
    enum pv_special special = pv_node(f, pv_file_node(f, file))->special;

    (void)off;
    if (whence > SEEK_HOLE || whence < 0)
        return -EINVAL;
    if (special != PV_SPECIAL_RANDOM)
        return 0; /* null_lseek: always at the beginning */
    return whence > SEEK_END ? -EINVAL : off < 0 ? -EINVAL : 0; /* noop_llseek keeps its place */
}

const struct pv_file_ops pv_device_ops = {
    .name = "device",
    .seekable = true,
    .read = device_read,
    .write = device_write,
    .seek = device_seek,
};
