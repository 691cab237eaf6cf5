/* What may be said of a few repeated measurements. */
#ifndef REPORT_STATISTICS_H
#define REPORT_STATISTICS_H

#define SAMPLES_MAX 64

struct samples {
    double values[SAMPLES_MAX];
    int count;
};

struct summary {
    double min, quartile_low, median, quartile_high, max; /* of nothing: NAN */
};

struct interval {
    double low, high;
};

void samples_add(struct samples *s, double value); /* more than there is room for are left out */
struct summary samples_summary(const struct samples *s);
/* Where the ratio of medians, a's to b's, lies in 95 of 100 resamplings of both (the percentile bootstrap: Efron and
 * Tibshirani, "An Introduction to the Bootstrap", chapter 13), always drawn alike. NAN with fewer than three samples of
 * either, or a median of b that is 0. */
struct interval samples_ratio(const struct samples *a, const struct samples *b);

#endif
