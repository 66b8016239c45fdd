#include "pv/archive.h"

#include "log_files.h"

#include "pv/id.h"
#include "pv/io.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { REQUEST_MAX = 128 };

int pv_detach_ask(int key_dir_fd, const struct pv_archive_info *info, struct pv_err *err)
{
    char text[REQUEST_MAX], hex[2 * PV_HASH_BYTES + 1];
    pv_hex(info->hash, sizeof info->hash, hex);
    int n = snprintf(text, sizeof text, "%" PRIu64 " %s\n", info->end, hex);
    return pv_replace_file_at(key_dir_fd, PV_LOG_DETACH_REQUEST, text, (size_t)n, 0644, err);
}

static bool parse(const char *text, struct pv_detach_request *ret)
{
    char hex[2 * PV_HASH_BYTES + 1], end[2];
    unsigned long long number;
    if (sscanf(text, "%19llu %64[0-9a-f]%1[\n]", &number, hex, end) != 3 ||
        strlen(hex) != sizeof hex - 1)
        return false;
    ret->end = number;
    return pv_unhex(hex, ret->archive, sizeof ret->archive);
}

int pv_detach_asked(int key_dir_fd, struct pv_detach_request *ret, struct pv_err *err)
{
    pv_autobuf struct pv_buf text;
    struct pv_err why = PV_ERR_INIT;
    pv_buf_init(&text, REQUEST_MAX);
    int rc = pv_read_file_at(key_dir_fd, PV_LOG_DETACH_REQUEST, &text, &why);
    if (rc == -ENOENT)
        return 0;
    if (rc < 0 && rc != -EMSGSIZE)
        return pv_refuse(err, rc, "%s", why.text);
    pv_buf_u8(&text, 0);
    if (rc == 0 && !text.failed && parse((const char *)text.data, ret))
        return 1;
    return pv_refuse(err, EBADMSG, "a request to detach entries is malformed");
}

int pv_detach_answered(int key_dir_fd, struct pv_err *err)
{
    return unlinkat(key_dir_fd, PV_LOG_DETACH_REQUEST, 0) < 0 && errno != ENOENT
               ? pv_fail(err, errno, "remove the request to detach entries")
               : 0;
}
