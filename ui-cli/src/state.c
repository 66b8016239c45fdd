#include "state.h"

#include "input.h"
#include "pv/log_reader.h"
#include "pv/own.h"
#include "pv/rotations.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

static int explain(const struct cli *cli, int error, const char *name, struct pv_err *err)
{
    if (error == ENOENT)
        return pv_refuse(err, ENOENT,
                         "there is no '%s' in the state directory '%s'; name the right one with "
                         "--state or PROVOST_STATE",
                         name, cli->state_dir);
    if (error == EACCES)
        return pv_refuse(err, EACCES, "'%s/%s' may not be read by this user; run as root",
                         cli->state_dir, name);
    return pv_fail(err, error, "open '%s/%s'", cli->state_dir, name);
}

static int open_in_state(const struct cli *cli, const char *name, int flags, int *ret_fd,
                         struct pv_err *err)
{
    char path[PV_PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", cli->state_dir, name) >= (int)sizeof path)
        return pv_refuse(err, EINVAL, "the state directory's name is too long");
    int fd = open(path, flags | O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return explain(cli, errno, name, err);
    *ret_fd = fd;
    return 0;
}

int cli_state_open(const struct cli *cli, const char *name, int *ret_fd, struct pv_err *err)
{
    return open_in_state(cli, name, O_DIRECTORY, ret_fd, err);
}

int cli_state_key(const struct cli *cli, const char *file, struct pv_note_key *ret,
                  struct pv_err *err)
{
    char path[PV_PATH_MAX];
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, PV_NOTE_MAX);
    if (snprintf(path, sizeof path, "%s/keys/log.pub", cli->state_dir) >= (int)sizeof path)
        return pv_refuse(err, EINVAL, "the state directory's name is too long");
    int rc = cli_read_input(file ? file : path, &text, err);
    if (rc < 0 && !file)
        return explain(cli, -rc, "keys/log.pub", err);
    PV_TRY(rc);
    rc = pv_note_key_parse((const char *)text.data, text.len, ret, err);
    return rc < 0 ? pv_wrap(err, rc, "public key '%s'", file ? file : path) : 0;
}

int cli_follow_rotations(const char *file, struct pv_note_key *key, struct pv_err *err)
{
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, PV_ROTATIONS_MAX);
    if (!file)
        return 0;
    PV_TRY(cli_read_input(file, &text, err));
    int rc = pv_rotations_follow(key, text.len ? text.data : (const uint8_t *)"", text.len, err);
    return rc < 0 ? pv_wrap(err, rc, "'%s'", file) : 0;
}

/* As 'provost verify' knows them: with the ends of those that were given up. */
int cli_state_followed_key(const struct cli *cli, const char *file, struct pv_note_key *ret,
                           struct pv_err *err)
{
    char path[PV_PATH_MAX];
    PV_TRY(cli_state_key(cli, file, ret, err));
    if (snprintf(path, sizeof path, "%s/log/rotations", cli->state_dir) >= (int)sizeof path)
        return pv_refuse(err, EINVAL, "the state directory's name is too long");
    if (access(path, R_OK) < 0)
        return errno == ENOENT ? 0 : explain(cli, errno, "log/rotations", err);
    return cli_follow_rotations(path, ret, err);
}

int cli_state_log_size(const struct cli *cli, uint64_t *ret, struct pv_err *err)
{
    pv_autoclose int fd = -1;
    PV_TRY(open_in_state(cli, "log", O_DIRECTORY, &fd, err));
    return pv_log_written(fd, ret, err);
}

bool cli_state_daemon_runs(const struct cli *cli)
{
    pv_autoclose int fd = -1;
    if (open_in_state(cli, "provostd.lock", 0, &fd, NULL) < 0)
        return false;
    /* the lock is released with the descriptor; a supervisor starting just now would try again */
    return flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}
