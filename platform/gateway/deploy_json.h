/* OpenFaaS's FunctionDeployment with the extension object "provost". */
#pragma once
#include "pv/spec.h"

#include <jansson.h>

struct gw_deploy_request {
    char image[PV_PATH_MAX];
    json_t *annotations; /* owned, or NULL */
    struct pv_spec
        spec; /* package and version are not set; argv is empty for the default command */
};
/* Refuses unknown keys by name. ret needs done after success and failure alike. */
PV_MUST_CHECK int gw_deploy_parse(const void *p, size_t len, struct gw_deploy_request *ret,
                                  struct pv_err *err);
/* The body's object, owned by the caller. NULL: it is none, and err says why in plain words. */
json_t *gw_json_object(const void *p, size_t len, struct pv_err *err);
void gw_deploy_request_done(struct gw_deploy_request *r);
/* A memory quantity of Kubernetes ("64Mi", "128M", "1000000"). */
PV_MUST_CHECK int gw_parse_memory(const char *text, uint64_t *ret, struct pv_err *err);
/* A CPU quantity ("500m", "0.5", "2") in thousandths of a CPU. */
PV_MUST_CHECK int gw_parse_cpu(const char *text, uint32_t *ret, struct pv_err *err);
