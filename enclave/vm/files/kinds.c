/* Every kind of open file and what it does. */
#include "files/dev.h"
#include "files/dir.h"
#include "files/epoll.h"
#include "files/eventfd.h"
#include "files/file.h"
#include "files/inet.h"
#include "files/pipe.h"
#include "files/proc.h"
#include "files/regular.h"
#include "files/stream.h"
#include "files/timerfd.h"
#include "files/unix.h"

#include <assert.h>

static const struct pv_file_ops path_ops = {.name = "path"};

static const struct pv_file_ops *const table[PV_FILE_KINDS] = {
    [PV_FILE_MEMORY] = &pv_memory_ops, [PV_FILE_TREE] = &pv_tree_file_ops,
    [PV_FILE_DIR] = &pv_dir_ops,       [PV_FILE_STREAM] = &pv_stream_ops,
    [PV_FILE_DEVICE] = &pv_device_ops, [PV_FILE_TEXT] = &pv_text_ops,
    [PV_FILE_PIPE] = &pv_pipe_ops,     [PV_FILE_EVENT] = &pv_event_ops,
    [PV_FILE_TIMER] = &pv_timer_ops,   [PV_FILE_EPOLL] = &pv_epoll_ops,
    [PV_FILE_UNIX] = &pv_unix_ops,     [PV_FILE_INET] = &pv_inet_ops,
    [PV_FILE_PATH] = &path_ops,
};

const struct pv_file_ops *pv_file_ops(enum pv_file_kind kind)
{
    assert(kind < PV_FILE_KINDS && table[kind]);
    return table[kind];
}
