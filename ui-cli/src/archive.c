#include "archive.h"

#include "pv/archive.h"
#include "pv/own.h"
#include "state.h"

#include <fcntl.h>
#include <inttypes.h>

int cli_verify_archive(struct cli *cli, const char *file, const char *key_file,
                       const char *rotations_file)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key key;
    struct pv_archive_info info;
    if (cli_state_key(cli, key_file, &key, &err) < 0 ||
        cli_follow_rotations(rotations_file, &key, &err) < 0)
        return cli_report(&err);
    pv_autoclose int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        (void)pv_fail(&err, errno, "open the archive '%s'", file);
        return cli_report(&err);
    }
    int checked = pv_archive_check(fd, &key, &info, &err);
    if (checked < 0) {
        if (cli->json)
            (void)cli_print_json(cli, json_pack("{s:b, s:s}", "ok", 0, "text", err.text));
        return cli_error(CLI_FAILED, "the archive '%s' does not hold: %s%s", file, err.text,
                         checked == -ENOKEY ? CLI_ROTATIONS_HINT : "");
    }
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:b, s:I, s:I, s:s}", "ok", 1, "first",
                                             (json_int_t)info.first, "end", (json_int_t)info.end,
                                             "log", info.checkpoint.origin));
    printf("archive ok: e%" PRIu64 " to e%" PRIu64
           " are as the log signed them, under a checkpoint "
           "over %" PRIu64 " events\n",
           info.first, info.end - 1, info.checkpoint.size);
    return cli_flush();
}
