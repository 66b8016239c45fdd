/* The configuration file: what is accepted is within its limits, the rest is refused with a
 * sentence. */
#include "config.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_config c;
    struct pv_err err = PV_ERR_INIT;
    pv_config_init(&c);
    int rc = pv_config_parse(&c, (const char *)data, size, &err);
    assert(rc == 0 || (rc < 0 && err.text[0]));
    assert(c.state_dir[0] == '/' && memchr(c.state_dir, 0, sizeof c.state_dir));
    assert(c.package_root[0] == '/' && memchr(c.package_root, 0, sizeof c.package_root));
    assert(strchr(c.listen, ':') && c.uid_base >= 1000);
    return 0;
}
