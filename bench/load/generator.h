/* The load generator: many connections from one thread, as cheap as a request can be, so that servers are the limit.
 *
 * Closed loop: each connection sends a pipeline, waits for all its replies, and sends the next. Open loop: request k of
 * connection i is due at a time that the rate says, whatever the server does; its latency counts from when it was due,
 * so that a stall is seen by all that it hit. How late the generator itself was is kept apart: where that is not small,
 * this machine was the limit, and the figures are not the server's. */
#ifndef LOAD_GENERATOR_H
#define LOAD_GENERATOR_H

#include "bench/load/counter.h"
#include "bench/load/histogram.h"
#include "bench/load/mix.h"
#include "bench/load/tls.h"

#define LOAD_SLICES_MAX 4096
#define LOAD_PHASES     3

/* Something that happens once; it must not wait. At one time they happen in the order of the list. What happens later
 * than at the beginning waits for a first reply, so that there is something to compare with. */
struct load_event {
    int64_t at_ns; /* after the warm-up's end, at which measuring begins; in ascending order */
    void (*strike)(void *context);
    void *context;
};

struct load_plan {
    const int *sockets; /* connected streams, the caller's; they are made non-blocking */
    SSL *const *tls;    /* of each of them, after its handshake; NULL: plain. SIGPIPE has to be ignored then */
    int connections;
    const struct mix *mix;
    struct request_source *source;
    int pipeline;        /* requests sent together, at least 1 */
    double rate_per_s;   /* of requests over all connections; 0: closed loop */
    int64_t warm_up_ns;  /* sent alike, and not measured */
    int64_t duration_ns; /* at least; a closed loop goes on until one request has been measured */
    uint64_t requests; /* closed loop: ends after so many are sent, if that comes before the duration's end; 0: never */
    int64_t slice_ns;  /* latency over time, in slices of this length; 0: none */
    int64_t silence_ns; /* no reply for so long, though some are due, ends the run in error */
    const struct load_event *events;
    int event_count;
    const int *phase; /* which of the result's phases a reply counts for; an event may change it; NULL: none */
};

struct load_slice {
    uint64_t replies, p50_ns, p99_ns, max_ns;
};

struct load_result {
    uint64_t replies, errors; /* measured ones; errors of all */
    char first_error[COUNTER_LINE];
    int64_t elapsed_ns;                   /* from the warm-up's end to the last reply */
    int64_t cpu_ns;                       /* of this thread in that time */
    struct histogram latency;             /* ns */
    struct histogram late;                /* ns from due to sent, when the socket would have taken it; open loop only */
    struct histogram phases[LOAD_PHASES]; /* latency, by when the reply came */
    struct load_slice slices[LOAD_SLICES_MAX];
    int slice_count;
};

/* 0, or -1: `error` says why. */
int load_run(const struct load_plan *plan, struct load_result *result, char error[256]);

#endif
