/* What one number cannot say of a row's work: how latency went in the course of a round, and how it is spread. */
#ifndef REPORT_CURVES_H
#define REPORT_CURVES_H

#include "bench/report/statistics.h"

#define CURVE_SLICES_MAX 128
#define CURVE_POINTS_MAX 16

/* A part of a round; a sample is a round. Nothing was answered in it: there is none. */
struct curve_slice {
    struct samples p50_us, p99_us, max_us, replies;
};

/* Of one server. */
struct curve {
    struct curve_slice slices[CURVE_SLICES_MAX];
    int slice_count;
    double slice_ms;
    struct samples event_from_ms, event_to_ms; /* what happened in the middle of a round */
    struct {
        double percent, us;
    } spread[CURVE_POINTS_MAX]; /* of all rounds together, ascending */
    int spread_count;
};

#endif
