#include "metrics.h"

#include "function.h"

#include "pv/clock.h"
#include "pv/ring.h"

static void family(struct pv_buf *b, const char *name, const char *type, const char *help)
{
    pv_buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_histogram(struct pv_buf *b, const char *name, const struct gw_code_stats *c)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < GW_BUCKETS; i++) {
        char le[16] = "+Inf";
        if (i < GW_BUCKETS - 1)
            snprintf(le, sizeof le, "%g", gw_stats_bound(i));
        sum += c->buckets[i];
        pv_buf_printf(b,
                      "gateway_functions_seconds_bucket{function_name=\"%s.%s\",code=\"%u\","
                      "le=\"%s\"} %lu\n",
                      name, GW_NAMESPACE, c->code, le, sum);
    }
    pv_buf_printf(b,
                  "gateway_functions_seconds_sum{function_name=\"%s.%s\",code=\"%u\"} %.9f\n"
                  "gateway_functions_seconds_count{function_name=\"%s.%s\",code=\"%u\"} %lu\n",
                  name, GW_NAMESPACE, c->code, (double)c->sum_ns / (double)PV_NS_PER_S, name,
                  GW_NAMESPACE, c->code, c->count);
}

static void print_functions(struct pv_buf *b, const struct gateway *gw)
{
    family(b, "gateway_function_invocation_total", "counter", "Function metrics");
    for (struct gw_function *f = gw->functions; f; f = gw_function_next(f))
        for (unsigned i = 0; i < f->stats.n; i++)
            pv_buf_printf(b,
                          "gateway_function_invocation_total{function_name=\"%s.%s\",code=\"%u\"} "
                          "%lu\n",
                          f->name, GW_NAMESPACE, f->stats.codes[i].code, f->stats.codes[i].count);
    family(b, "gateway_function_invocation_started", "counter",
           "The total number of function HTTP requests started.");
    for (struct gw_function *f = gw->functions; f; f = gw_function_next(f))
        pv_buf_printf(b, "gateway_function_invocation_started{function_name=\"%s.%s\"} %lu\n",
                      f->name, GW_NAMESPACE, f->stats.started);
    family(b, "gateway_functions_seconds", "histogram", "Function time taken");
    for (struct gw_function *f = gw->functions; f; f = gw_function_next(f))
        for (unsigned i = 0; i < f->stats.n; i++)
            print_histogram(b, f->name, &f->stats.codes[i]);
}

static void print_gauges(struct pv_buf *b, const struct gateway *gw)
{
    family(b, "gateway_service_count", "gauge", "Current count of replicas for function");
    for (struct gw_function *f = gw->functions; f; f = gw_function_next(f))
        if (f->current)
            pv_buf_printf(b, "gateway_service_count{function_name=\"%s.%s\"} %u\n", f->name,
                          GW_NAMESPACE, gw_version_available(f->current));
    family(b, "provost_function_queued", "gauge", "Requests waiting for an instance");
    for (struct gw_function *f = gw->functions; f; f = gw_function_next(f))
        if (f->current)
            pv_buf_printf(b, "provost_function_queued{function_name=\"%s.%s\"} %u\n", f->name,
                          GW_NAMESPACE, f->current->queued);
    family(b, "provost_function_running", "gauge", "Invocations in progress");
    for (struct gw_function *f = gw->functions; f; f = gw_function_next(f))
        if (f->current)
            pv_buf_printf(b, "provost_function_running{function_name=\"%s.%s\"} %u\n", f->name,
                          GW_NAMESPACE, f->current->in_flight);
}

static void print_one(struct pv_buf *b, const char *name, const char *type, const char *help,
                      uint64_t value)
{
    family(b, name, type, help);
    pv_buf_printf(b, "%s %lu\n", name, value);
}

void gw_metrics_get(struct gw_conn *c)
{
    const struct gateway *gw = c->gw;
    const struct gw_metrics *m = &gw->metrics;
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, PV_HTTP_REPLY_MAX);
    print_functions(&b, gw);
    print_gauges(&b, gw);
    print_one(&b, "provost_gateway_connections", "gauge", "Open connections", gw->n_conns);
    print_one(&b, "provost_http_requests_total", "counter", "Requests read", m->http_requests);
    print_one(&b, "provost_http_refused_total", "counter", "Malformed requests", m->http_refused);
    print_one(&b, "provost_auth_failures_total", "counter", "Admin calls without a valid token",
              m->auth_failures);
    print_one(&b, "provost_queue_full_total", "counter", "Requests answered 429", m->queue_full);
    print_one(&b, "provost_connections_refused_total", "counter",
              "Connections answered 503 because too many were open", m->turned_away);
    print_one(&b, "provost_calls_denied_total", "counter", "Calls between functions refused",
              m->calls_denied);
    print_one(&b, "provost_egress_allowed_total", "counter", "Outbound connections allowed",
              m->egress_allowed);
    print_one(&b, "provost_egress_denied_total", "counter", "Outbound connections refused",
              m->egress_denied);
    print_one(&b, "provost_denials_unrecorded_total", "counter",
              "Denials that found no room in the ring", gw->denials_unrecorded);
    if (gw->audit)
        print_one(&b, "provost_ring_free_bytes", "gauge", "Room in the gateway's event ring",
                  pv_producer_space(gw->producer));
    if (b.failed)
        gw_conn_text(c, 500, "the metrics are longer than a reply may be");
    else
        gw_conn_reply(c, 200, "text/plain; version=0.0.4; charset=utf-8", b.data, b.len);
}
