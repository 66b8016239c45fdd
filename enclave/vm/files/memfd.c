#include "files/memfd.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum {
    NAME_BYTES = 249,
    EXEC_SEAL = 8, /* MFD_NOEXEC_SEAL */
    EXEC = 16,     /* MFD_EXEC */
    F_SEAL_EXEC_ = 0x20,
    SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE |
            F_SEAL_EXEC_,
};

int64_t pv_memfd_seals(struct pv_files *f, pv_ref file, bool add, unsigned seals)
{
    pv_ref node = pv_file_node(f, file);

    if (pv_file(f, file)->kind != PV_FILE_MEMORY)
        return -EINVAL;
    if (!add)
        return pv_node(f, node)->fs == PV_FS_MEMFD ? pv_node(f, node)->seals : F_SEAL_SEAL;
    if ((pv_file(f, file)->flags & O_ACCMODE) == O_RDONLY)
        return -EPERM;
    if (seals & ~(unsigned)SEALS)
        return -EINVAL;
    if (pv_node(f, node)->fs != PV_FS_MEMFD || pv_node(f, node)->seals & F_SEAL_SEAL)
        return -EPERM;
    if (seals & F_SEAL_EXEC_ && pv_node(f, node)->mode & 0111)
        seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    pv_node_edit(f, node)->seals |= (uint8_t)seals;
    return 0;
}

int64_t pv_files_memfd_create(struct pv_files *f, const char *name, unsigned flags)
{
    size_t len = strnlen(name, NAME_BYTES + 1);
    uint32_t rights = flags & EXEC_SEAL ? 0666 : 0777;
    char full[NAME_BYTES + 16];
    pv_ref file;
    struct pv_node *node;

    if (flags & ~(unsigned)(MFD_CLOEXEC | MFD_ALLOW_SEALING | EXEC_SEAL | EXEC) ||
        len > NAME_BYTES || (flags & (EXEC_SEAL | EXEC)) == (EXEC_SEAL | EXEC))
        return -EINVAL;
    PV_TRY(pv_fd_free(f, 0));
    snprintf(full, sizeof full, "memfd:%s", name);
    file = pv_file_new_anonymous(f, PV_FILE_MEMORY, PV_FS_MEMFD, S_IFREG | rights, full,
                                 O_RDWR | 0100000);
    if (!file)
        return -ENFILE;
    node = pv_node_edit(f, pv_file_node(f, file));
    node->special = PV_SPECIAL_NONE;
    node->nlink = 0;
    node->seals = flags & EXEC_SEAL ? F_SEAL_EXEC_ : flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL;
    return pv_fd_install(f, file, flags & MFD_CLOEXEC);
}

int64_t pv_files_inotify_init1(struct pv_files *f, int flags)
{
    (void)f;
    (void)flags;
    return -EMFILE; /* what a user at its limit of instances sees */
}
