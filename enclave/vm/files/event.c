#include "files/event.h"

#include "files/path.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

/* path from the directory of dirfd, as far as that is known; not normalised. */
static const char *absolute(const struct pv_files *f, int dirfd, const char *path, char *buf,
                            size_t room)
{
    pv_ref base = pv_state(f)->cwd;
    pv_ref file = dirfd == AT_FDCWD ? 0 : pv_fd_any(f, dirfd);
    int64_t len;

    if (!path)
        return "";
    if (*path == '/' || (dirfd != AT_FDCWD && !file))
        return path;
    if (file)
        base = pv_file(f, file)->dentry;
    len = pv_dentry_path(f, base, buf, room);
    if (len < 0)
        return path;
    if (*path)
        snprintf(buf + len, room - (size_t)len, "%s%s", len == 1 ? "" : "/", path);
    return buf;
}

static void describe(const struct pv_files *f, pv_ref file, struct pv_files_event *event)
{
    const struct pv_node *node = pv_node(f, pv_file_node(f, file));

    event->mode = node->mode;
    /* other numbers mean nothing outside */
    if (node->fs == PV_FS_TREE && node->special != PV_SPECIAL_MADE) {
        event->dev = node->disk;
        event->ino = node->ino;
    }
    event->size_bytes = (uint64_t)node->size;
    event->flags = pv_file(f, file)->flags;
}

int64_t pv_event_named(struct pv_files *f, const struct pv_named *what, int64_t result)
{
    char path[PV_PATH_ROOM + PV_PATH_BYTES];
    char path2[PV_PATH_ROOM + PV_PATH_BYTES];
    struct pv_files_event event = {.kind = what->kind, .call = what->call, .result = result};

    if (!f->host->event || result == PV_FILES_WAIT)
        return result;
    if (result == -EROFS || result == -EPERM)
        event.kind = PV_FILES_DENIED;
    event.path = absolute(f, what->dirfd, what->path, path, sizeof path);
    event.path2 = absolute(f, what->dirfd2, what->path2, path2, sizeof path2);
    event.flags = what->flags;
    if (what->kind == PV_FILES_OPEN && result >= 0) {
        pv_ref file = pv_fd_any(f, (int)result);

        describe(f, file, &event);
        event.flags = what->flags;
        if (pv_dentry_path(f, pv_file(f, file)->dentry, path, sizeof path) >= 0)
            event.path = path;
    }
    f->host->event(f->ctx, &event);
    return result;
}

int64_t pv_event_file(struct pv_files *f, enum pv_files_event_kind kind, const char *call,
                      pv_ref file, int64_t result)
{
    char path[PV_PATH_ROOM];
    struct pv_files_event event = {.kind = kind, .call = call, .result = result, .path2 = ""};

    if (!f->host->event)
        return result;
    describe(f, file, &event);
    event.path = pv_dentry_path(f, pv_file(f, file)->dentry, path, sizeof path) < 0 ? "" : path;
    f->host->event(f->ctx, &event);
    return result;
}

int64_t pv_event_address(struct pv_files *f, enum pv_files_event_kind kind, const char *call,
                         const struct sockaddr *address, socklen_t len, int64_t result)
{
    struct pv_files_event event = {
        .kind = kind, .call = call, .result = result, .path = "", .path2 = ""};

    if (!f->host->event)
        return result;
    if (address && len >= sizeof address->sa_family)
        event.family = address->sa_family;
    if (event.family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof in);
        memcpy(event.address, &in.sin_addr, 4);
        event.port = ntohs(in.sin_port);
    } else if (event.family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in;

        memcpy(&in, address, sizeof in);
        memcpy(event.address, &in.sin6_addr, 16);
        event.port = ntohs(in.sin6_port);
    }
    f->host->event(f->ctx, &event);
    return result;
}

void pv_event_first(struct pv_files *f, pv_ref ref, bool write)
{
    const struct pv_file *file = pv_file(f, ref);

    if (write ? file->write_seen : file->read_seen)
        return;
    if (file->kind == PV_FILE_STREAM) /* request and response: who passes them in and out tells */
        return;
    if (write)
        pv_file_edit(f, ref)->write_seen = true;
    else
        pv_file_edit(f, ref)->read_seen = true;
    pv_event_file(f, write ? PV_FILES_FIRST_WRITE : PV_FILES_FIRST_READ, write ? "write" : "read",
                  ref, 0);
}
