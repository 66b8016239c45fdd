/* The log reader, recovery and verifier over a log directory whose files are the input: a byte that
 * splits it into entries and checkpoints, then both. */
#include "pv/evidence_log.h"
#include "pv/io.h"
#include "pv/own.h"
#include "pv/verify.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int dir_fd = -1, key_fd = -1;
static struct pv_note_key key;

static int make_dir(char *name)
{
    if (!mkdtemp(name))
        abort();
    return open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A key, and the directory that every input is put into. */
static void prepare(void)
{
    static char log_name[] = "/dev/shm/pv-fuzz-log-XXXXXX",
                key_name[] = "/dev/shm/pv-fuzz-key-XXXXXX";
    struct pv_log_recovery found;
    struct pv_err err = PV_ERR_INIT;
    struct pv_log *log;
    dir_fd = make_dir(log_name);
    key_fd = make_dir(key_name);
    if (pv_log_open(&log, dir_fd, key_fd, NULL, NULL, &found, &err) < 0)
        abort();
    key = *pv_log_key(log);
    pv_log_free(log);
}

static void put(const char *name, const uint8_t *p, size_t len)
{
    struct pv_err err = PV_ERR_INIT;
    pv_autoclose int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || pv_write_all(fd, p, len, &err) < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_verify_result res;
    struct pv_log_recovery found;
    struct pv_err err = PV_ERR_INIT;
    struct pv_log *log = NULL;
    if (dir_fd < 0)
        prepare();
    if (size < 1)
        return 0;
    size_t split = (size - 1) * data[0] / 255;
    put("journal/000000", data + 1, split);
    put("checkpoints", data + 1 + split, size - 1 - split);
    put("journal/000000.leaves", data, size);
    struct pv_verify_options opt = {.key = &key};
    if (pv_verify_log(dir_fd, &opt, &res, &err) == 0 && res.verdict == PV_VERDICT_OK &&
        res.signed_entries)
        abort(); /* nobody else has the key */
    if (pv_log_open(&log, dir_fd, key_fd, NULL, NULL, &found, &err) == 0 && found.checkpointed_size)
        abort();
    pv_log_free(log);
    return 0;
}
