#include "pv/graph_model.h"

static const char *const type_names[PV_N_MAX] = {
    [PV_N_CLIENT] = "client",
    [PV_N_FUNCTION] = "function",
    [PV_N_REQUEST] = "request",
    [PV_N_RESPONSE] = "response",
    [PV_N_UNIT] = "invocation",
    [PV_N_PROCESS] = "process",
    [PV_N_FILE] = "file",
    [PV_N_PIPE] = "pipe",
    [PV_N_SOCKET_IN] = "socket-in",
    [PV_N_SOCKET_OUT] = "socket-out",
    [PV_N_SENT] = "sent",
    [PV_N_RECEIVED] = "received",
    [PV_N_ENDPOINT] = "endpoint",
    [PV_N_SECRET] = "secret",
    [PV_N_LOG] = "log",
    [PV_N_DENIED] = "denied",
    [PV_N_PATH_OP] = "path-change",
};

static const char *const relation_names[PV_R_MAX] = {
    [PV_R_USED] = "used",
    [PV_R_GENERATED] = "wasGeneratedBy",
    [PV_R_INFORMED] = "wasInformedBy",
    [PV_R_DERIVED] = "wasDerivedFrom",
    [PV_R_REVISION] = "wasRevisionOf",
    [PV_R_ATTRIBUTED] = "wasAttributedTo",
    [PV_R_ASSOCIATED] = "wasAssociatedWith",
    [PV_R_EXECUTED] = "pv:executed",
    [PV_R_LOADED] = "pv:loaded",
};

const char *pv_node_type_name(unsigned type)
{
    return type < PV_N_MAX && type_names[type] ? type_names[type] : "?";
}

const char *pv_relation_name(unsigned rel)
{
    return rel < PV_R_MAX && relation_names[rel] ? relation_names[rel] : "?";
}
