#include "verify_pin.h"

#include "input.h"
#include "pv/buf.h"
#include "pv/io.h"
#include "pv/own.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

int cli_pin_read(const char *file, const struct pv_note_key *key, bool may_lack,
                 struct pv_checkpoint *ret, bool *ret_present, struct pv_err *err)
{
    pv_autobuf struct pv_buf note;
    pv_buf_init(&note, PV_NOTE_MAX);
    int rc = cli_read_input(file, &note, err);
    *ret_present = rc == 0;
    if (rc == -ENOENT && may_lack)
        return 0;
    PV_TRY(rc);
    const uint8_t *text = note.len ? note.data : (const uint8_t *)"";
    rc = pv_checkpoint_open(key, text, note.len, ret, err);
    /* The verifier's own file: a key that came after the one given may have signed it. */
    if (rc == -ENOKEY)
        rc = pv_checkpoint_claims(text, note.len, ret, err);
    if (rc == 0 && strcmp(ret->origin, key->name) != 0)
        return pv_refuse(err, EBADMSG, "the remembered checkpoint '%s' is of another log", file);
    return rc < 0 ? pv_wrap(err, rc, "the remembered checkpoint '%s'", file) : 0;
}

int cli_pin_write(const char *file, const char *note, size_t len, struct pv_err *err)
{
    char dir[PV_PATH_MAX];
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    if (snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - file + 1) : 1,
                 slash ? file : ".") >= (int)sizeof dir)
        return pv_refuse(err, EINVAL, "the name '%s' is too long", file);
    pv_autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", dir);
    return pv_replace_file_at(fd, name, note, len, 0644, err);
}
