/* The CGI header block and the deployment document. */
#include "deploy_json.h"

#include "pv/http_response.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_cgi_response r;
    struct gw_deploy_request d;
    struct pv_err err = PV_ERR_INIT;
    if (pv_cgi_parse(data, size, &r, &err) == 0) {
        assert(r.status >= 200 && r.status <= 599 && r.body_off <= size);
        for (unsigned i = 0; i < r.n_fields; i++)
            assert(!strpbrk(r.fields[i].value, "\r\n") && !strpbrk(r.fields[i].name, "\r\n: "));
        pv_cgi_done(&r);
    }
    if (gw_deploy_parse(data, size, &d, &err) == 0)
        assert(d.image[0] == '/');
    gw_deploy_request_done(&d);
    return 0;
}
