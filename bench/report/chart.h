/* Curves as SVG: latencies on a logarithmic scale, one line and one pattern of dashes a server. */
#ifndef REPORT_CHART_H
#define REPORT_CHART_H

#include "bench/report/rows.h"

extern const char chart_style[]; /* for page_begin() */

/* p50 and p99 in the course of a round, each a median over the rounds, and what happened in its middle. */
void chart_course(const struct rows *r, const struct work_curves *w, FILE *out);
/* The share of requests that took no longer: percentiles, on a scale that gives each nine the same room. */
void chart_spread(const struct rows *r, const struct work_curves *w, FILE *out);
/* Which line is whose. */
void chart_legend(const struct rows *r, const struct work_curves *w, FILE *out);

#endif
