#include "files/lock.h"

#include "files/file.h"

#include <limits.h>
#include <sys/file.h>

enum { MANDATORY = 32 /* LOCK_MAND */ };

enum lock_kind { FLOCK = 1, POSIX, OFD };

/* A chain under the node. POSIX ranges belong to the one process, the others to an open file. */
struct pv_lock {
    pv_ref next;
    pv_ref file;  /* owner; 0 for the process */
    uint8_t kind; /* enum lock_kind */
    bool write;
    int64_t start, end; /* inclusive */
};

static const struct pv_lock *look(const struct pv_files *f, pv_ref ref)
{
    return pv_at(&f->arena, ref);
}

static struct pv_lock *edit(struct pv_files *f, pv_ref ref)
{
    return pv_edit(&f->arena, ref, 0, sizeof(struct pv_lock));
}

/* Removes what matches; file 0 stands for the process. */
static void remove_all(struct pv_files *f, pv_ref node, pv_ref file, bool any)
{
    pv_ref before = 0;

    for (pv_ref at = pv_node(f, node)->locks, next; at; at = next) {
        next = look(f, at)->next;
        if (!any && look(f, at)->file != file) {
            before = at;
            continue;
        }
        if (before)
            edit(f, before)->next = next;
        else
            pv_node_edit(f, node)->locks = next;
        pv_arena_drop(&f->arena, at, sizeof(struct pv_lock));
        f->changed++;
    }
}

void pv_locks_forget(struct pv_files *f, pv_ref node)
{
    remove_all(f, node, 0, true);
}

void pv_locks_close(struct pv_files *f, pv_ref node)
{
    remove_all(f, node, 0, false);
}

void pv_locks_release(struct pv_files *f, pv_ref node, pv_ref file)
{
    remove_all(f, node, file, false);
}

static bool same_owner(const struct pv_lock *a, const struct pv_lock *b)
{
    return a->file == b->file && (a->kind == FLOCK) == (b->kind == FLOCK);
}

static bool overlap(const struct pv_lock *a, const struct pv_lock *b)
{
    return a->start <= b->end && b->start <= a->end;
}

/* The first lock of another owner in the way; 0 when there is none. */
static pv_ref conflict(const struct pv_files *f, pv_ref node, const struct pv_lock *want)
{
    for (pv_ref at = pv_node(f, node)->locks; at; at = look(f, at)->next) {
        const struct pv_lock *have = look(f, at);

        if ((have->kind == FLOCK) == (want->kind == FLOCK) && !same_owner(have, want) &&
            overlap(have, want) && (have->write || want->write))
            return at;
    }
    return 0;
}

/* The entry behind which a lock belongs: an owner's are together, by their start, and owners are in
 * the order in which they came. 0: at the front. */
static pv_ref place(const struct pv_files *f, pv_ref node, const struct pv_lock *lock)
{
    pv_ref before = 0;
    bool met = false;

    for (pv_ref at = pv_node(f, node)->locks; at; at = look(f, at)->next) {
        bool own = same_owner(look(f, at), lock);

        if ((met && !own) || (own && look(f, at)->start >= lock->start))
            break;
        met = own;
        before = at;
    }
    return before;
}

static int insert(struct pv_files *f, pv_ref node, const struct pv_lock *lock, pv_ref *ret)
{
    pv_ref before = place(f, node, lock);
    pv_ref ref = pv_arena_new(&f->arena, sizeof *lock);

    if (!ref)
        return -ENOLCK;
    *edit(f, ref) = *lock;
    edit(f, ref)->next = before ? look(f, before)->next : pv_node(f, node)->locks;
    if (before)
        edit(f, before)->next = ref;
    else
        pv_node_edit(f, node)->locks = ref;
    *ret = ref;
    return 0;
}

/* Cuts the owner's locks, except one, out of the range. Splitting one needs a new entry. */
static int cut(struct pv_files *f, pv_ref node, const struct pv_lock *range, pv_ref except)
{
    pv_ref before = 0;

    for (pv_ref at = pv_node(f, node)->locks, next; at; at = next) {
        struct pv_lock have = *look(f, at);

        next = have.next;
        if (at == except || !same_owner(&have, range) || !overlap(&have, range)) {
            before = at;
            continue;
        }
        if (have.start < range->start && have.end > range->end) {
            struct pv_lock tail = have;

            tail.start = range->end + 1;
            edit(f, at)->end = range->start - 1;
            return insert(f, node, &tail, &before); /* nothing else of this owner is here */
        }
        if (have.start < range->start) {
            edit(f, at)->end = range->start - 1;
            before = at;
        } else if (have.end > range->end) {
            edit(f, at)->start = range->end + 1;
            before = at;
        } else {
            if (before)
                edit(f, before)->next = next;
            else
                pv_node_edit(f, node)->locks = next;
            pv_arena_drop(&f->arena, at, sizeof(struct pv_lock));
        }
    }
    return 0;
}

/* The range with what the owner has of the same kind at its borders. */
static struct pv_lock widened(const struct pv_files *f, pv_ref node, const struct pv_lock *lock)
{
    struct pv_lock wide = *lock;

    for (pv_ref at = pv_node(f, node)->locks; at; at = look(f, at)->next) {
        const struct pv_lock *have = look(f, at);
        bool apart = (have->end < INT64_MAX && have->end + 1 < lock->start) ||
                     (lock->end < INT64_MAX && lock->end + 1 < have->start);

        if (apart || !same_owner(have, lock) || have->write != lock->write)
            continue;
        wide.start = have->start < wide.start ? have->start : wide.start;
        wide.end = have->end > wide.end ? have->end : wide.end;
    }
    return wide;
}

static int put(struct pv_files *f, pv_ref node, const struct pv_lock *lock, bool unlock)
{
    struct pv_lock whole = unlock ? *lock : widened(f, node, lock);
    pv_ref added = 0;

    f->changed++;
    if (!unlock)
        PV_TRY(insert(f, node, &whole, &added));
    return cut(f, node, &whole, added);
}

int64_t pv_files_flock(struct pv_files *f, int fd, int op)
{
    pv_ref file = pv_fd_file(f, fd);
    int kind = op & ~LOCK_NB;
    struct pv_lock lock = {.file = file, .kind = FLOCK, .write = kind == LOCK_EX, .end = INT64_MAX};
    pv_ref node;

    if (op & MANDATORY)
        return 0; /* as Linux since 5.15 */
    if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
        return -EINVAL;
    if (!file)
        return -EBADF;
    node = pv_file_node(f, file);
    if (kind != LOCK_UN && conflict(f, node, &lock)) {
        PV_TRY(put(f, node, &lock, true)); /* a conversion gives up the old lock first */
        return op & LOCK_NB ? -EAGAIN : PV_FILES_WAIT;
    }
    return put(f, node, &lock, kind == LOCK_UN);
}

static int range_of(const struct pv_files *f, pv_ref file, const struct flock *l,
                    struct pv_lock *ret)
{
    int64_t start = l->l_start;

    if (l->l_whence != SEEK_SET && l->l_whence != SEEK_CUR && l->l_whence != SEEK_END)
        return -EINVAL;
    if (l->l_whence != SEEK_SET &&
        __builtin_add_overflow(start,
                               l->l_whence == SEEK_CUR ? pv_file(f, file)->offset
                                                       : pv_node(f, pv_file_node(f, file))->size,
                               &start))
        return -EOVERFLOW;
    if (start < 0)
        return -EINVAL;
    ret->start = start;
    if (l->l_len > 0) {
        if (l->l_len - 1 > INT64_MAX - start)
            return -EOVERFLOW;
        ret->end = start + l->l_len - 1;
    } else if (l->l_len < 0) {
        if (start + l->l_len < 0)
            return -EINVAL;
        ret->end = start - 1;
        ret->start = start + l->l_len;
    } else {
        ret->end = INT64_MAX;
    }
    return 0;
}

/* The open file's first own lock in the range. */
static pv_ref own_lock(const struct pv_files *f, pv_ref node, const struct pv_lock *want)
{
    for (pv_ref at = pv_node(f, node)->locks; at; at = look(f, at)->next)
        if (same_owner(look(f, at), want) && overlap(look(f, at), want))
            return at;
    return 0;
}

static int64_t get_lock(const struct pv_files *f, pv_ref node, const struct pv_lock *want,
                        struct flock *ret)
{
    pv_ref at = ret->l_type == F_UNLCK ? own_lock(f, node, want) : conflict(f, node, want);
    const struct pv_lock *have = look(f, at);

    if (!at) {
        ret->l_type = F_UNLCK;
        return 0;
    }
    ret->l_type = have->write ? F_WRLCK : F_RDLCK;
    ret->l_whence = SEEK_SET;
    ret->l_start = have->start;
    ret->l_len = have->end == INT64_MAX ? 0 : have->end - have->start + 1;
    ret->l_pid = have->kind == POSIX ? (pid_t)pv_state(f)->pid : -1;
    return 0;
}

static int check_access(const struct pv_file *file, short type)
{
    uint32_t access = file->flags & O_ACCMODE;

    if ((type == F_RDLCK && access == O_WRONLY) || (type == F_WRLCK && access == O_RDONLY))
        return -EBADF;
    return type == F_RDLCK || type == F_WRLCK || type == F_UNLCK ? 0 : -EINVAL;
}

static int64_t set_lock(struct pv_files *f, pv_ref file, bool wait, short type,
                        const struct pv_lock *want)
{
    pv_ref node = pv_file_node(f, file);

    PV_TRY(check_access(pv_file(f, file), type));
    if (type != F_UNLCK && conflict(f, node, want))
        return wait ? PV_FILES_WAIT : -EAGAIN;
    return put(f, node, want, type == F_UNLCK);
}

int64_t pv_files_fcntl_lock(struct pv_files *f, int fd, int cmd, struct flock *lock)
{
    pv_ref file = pv_fd_file(f, fd);
    bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
    struct pv_lock want = {
        .file = ofd ? file : 0, .kind = ofd ? OFD : POSIX, .write = lock->l_type == F_WRLCK};

    if (!file)
        return -EBADF;
    if (ofd && lock->l_pid != 0)
        return -EINVAL;
    if (cmd == F_GETLK || cmd == F_OFD_GETLK) {
        if (lock->l_type != F_RDLCK && lock->l_type != F_WRLCK && !(ofd && lock->l_type == F_UNLCK))
            return -EINVAL;
        PV_TRY(range_of(f, file, lock, &want));
        return get_lock(f, pv_file_node(f, file), &want, lock);
    }
    if (cmd != F_SETLK && cmd != F_SETLKW && !ofd)
        return -EINVAL;
    PV_TRY(range_of(f, file, lock, &want));
    return set_lock(f, file, cmd == F_SETLKW || cmd == F_OFD_SETLKW, lock->l_type, &want);
}
