/* The head of an archive, whole archives, and a log whose old entries, tiles and "detached" are the
 * input: nothing that its key did not sign is ever ok. What the head's parser takes must fit. */
#include "pv/archive.h"
#include "pv/evidence_log.h"
#include "pv/io.h"
#include "pv/own.h"
#include "pv/verify.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int dir_fd = -1;
static struct pv_note_key key;

static void prepare(void)
{
    static char log_name[] = "/dev/shm/pv-fuzz-archive-XXXXXX",
                key_name[] = "/dev/shm/pv-fuzz-akey-XXXXXX";
    static const char *const dirs[] = {"tile", "tile/0", "tile/entries", "archive"};
    struct pv_log_recovery found;
    struct pv_err err = PV_ERR_INIT;
    struct pv_log *log;
    if (!mkdtemp(log_name) || !mkdtemp(key_name))
        abort();
    dir_fd = open(log_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int key_fd = open(key_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (pv_log_open(&log, dir_fd, key_fd, NULL, NULL, &found, &err) < 0)
        abort();
    key = *pv_log_key(log);
    pv_log_free(log);
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        if (mkdirat(dir_fd, dirs[i], 0700) < 0)
            abort();
}

static void put(const char *name, const uint8_t *p, size_t len)
{
    struct pv_err err = PV_ERR_INIT;
    pv_autoclose int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || pv_write_all(fd, p, len, &err) < 0)
        abort();
}

static void whole_file(const uint8_t *data, size_t size)
{
    struct pv_archive_info info;
    struct pv_err err = PV_ERR_INIT;
    pv_autoclose int fd = memfd_create("archive", MFD_CLOEXEC);
    if (fd < 0 || pv_write_all(fd, data, size, &err) < 0)
        abort();
    if (pv_archive_check(fd, &key, &info, &err) == 0)
        abort(); /* nobody else has the key */
}

/* The first byte splits the rest: tiles of hashes, an archive, and the text of "detached". */
static void a_log(const uint8_t *data, size_t size)
{
    struct pv_verify_result res;
    struct pv_err err = PV_ERR_INIT;
    if (size < 2)
        return;
    size_t split = (size - 1) * data[0] / 255, text = data[1] % 32;
    put("tile/0/000", data + 1, split);
    put("tile/0/001", data + 1, size - 1);
    put("tile/entries/001", data + 1, split / 2);
    put("archive/0-256", data + 1 + split, size - 1 - split);
    put("detached", data + 1, text < size - 1 ? text : size - 1);
    if (data[1] & 1)
        put("detached", (const uint8_t *)"1024\n", 5);
    struct pv_verify_options opt = {.key = &key};
    if (pv_verify_log(dir_fd, &opt, &res, &err) == 0 && res.verdict == PV_VERDICT_OK &&
        (res.signed_entries || res.detached))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pv_archive_head head;
    struct pv_err err = PV_ERR_INIT;
    if (dir_fd < 0)
        prepare();
    if (pv_archive_head_parse(data, size, &head, &err) == 0 &&
        (head.bytes > size || head.first >= head.end || head.proof.n > PV_PROOF_MAX ||
         head.note_len > PV_NOTE_MAX))
        abort();
    whole_file(data, size);
    a_log(data, size);
    return 0;
}
