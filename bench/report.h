/* What the benchmark prints: one row a figure, ours beside Redis's, with the target where there is one. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

struct samples {
    double values[160];
    int count;
};

void samples_add(struct samples *s, double value);
double samples_median(const struct samples *s);

void report_title(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The ratio is ours / redis. Targets are upper bounds; 0: none. */
void report_ratio(const char *what, const char *unit, double ours, double redis, double ratio_at_most);
/* Our own figure must not pass a bound, whatever Redis's is. */
void report_bound(const char *what, const char *unit, double ours, double redis, double ours_at_most);
int report_missed(void); /* targets missed so far */

#endif
