/* What LATENCY GRAPH and LATENCY DOCTOR say of the series, for people. Pure: text into a queue. */
#ifndef SLIPSTREAM_CORE_OBSERVE_LATENCY_TEXT_H
#define SLIPSTREAM_CORE_OBSERVE_LATENCY_TEXT_H

#include "server/base/outq.h"
#include "server/core/observe/latency.h"

/* One column a sample, 80 in a row of them; below each how long ago that was. */
void latency_graph(const char *name, const struct latency_series *s, int64_t now_s, struct outq *out);

/* What the advice depends on, beside the series. */
struct latency_circumstances {
    int64_t threshold_ms;
    int64_t slowlog_slower_than_us; /* negative: no slow log */
    double fork_gb_per_s;           /* 0: there was none */
    int hz;
    bool fsync_always;
};
void latency_doctor(const struct latency_monitor *m, const struct latency_circumstances *c, int64_t now_s,
                    struct outq *out);

#endif
