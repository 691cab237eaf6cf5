/* The bars of LATENCY GRAPH, as Redis draws them. Server process.
 *
 * The range of the samples is cut into GRAPH_ROWS * 3 steps: a row has three marks (_ o #) for where in it a bar ends,
 * and bars go through lower rows. */
#include "server/core/observe/latency_text.h"

#include <stdio.h>
#include <string.h>

#define GRAPH_ROWS    4
#define GRAPH_COLUMNS 80
#define MARKS         "_o#"
#define MARK_COUNT    3
#define LABEL_BYTES   24

static void print_label(int64_t ago_s, char out[LABEL_BYTES])
{
    if (ago_s < 0) ago_s = 0; /* somebody has set the clock back */
    if (ago_s < 60)
        snprintf(out, LABEL_BYTES, "%llds", (long long)ago_s);
    else if (ago_s < 3600)
        snprintf(out, LABEL_BYTES, "%lldm", (long long)ago_s / 60);
    else if (ago_s < 86400)
        snprintf(out, LABEL_BYTES, "%lldh", (long long)ago_s / 3600);
    else
        snprintf(out, LABEL_BYTES, "%lldd", (long long)ago_s / 86400);
}

static int step_of(uint32_t ms, const struct latency_summary *range)
{
    const int steps = GRAPH_ROWS * MARK_COUNT;
    uint32_t span = range->most_ms - range->least_ms;
    int step = span ? (int)((double)(ms - range->least_ms) / span * steps) : 0;
    return step < steps ? step : steps - 1;
}

static char mark_in_row(int step, int row)
{
    int mark = step - row * MARK_COUNT;
    if (mark < 0) return ' ';
    return mark < MARK_COUNT ? MARKS[mark] : '|';
}

static void draw_row(const char *row, unsigned columns, struct outq *out)
{
    outq_append(out, row, columns);
    outq_append(out, "\n", 1);
}

/* Top down, each column to itself. */
static void draw_labels(const struct latency_series *s, unsigned first, unsigned columns, int64_t now_s,
                        struct outq *out)
{
    char labels[GRAPH_COLUMNS][LABEL_BYTES] = {{0}}, row[GRAPH_COLUMNS];
    size_t tallest = 0;
    for (unsigned i = 0; i < columns; i++) {
        print_label(now_s - latency_sample(s, first + i)->at_s, labels[i]);
        if (strlen(labels[i]) > tallest) tallest = strlen(labels[i]);
    }
    for (size_t at = 0; at < tallest; at++) {
        for (unsigned i = 0; i < columns; i++) row[i] = at < strlen(labels[i]) ? labels[i][at] : ' ';
        draw_row(row, columns, out);
    }
}

static void draw_piece(const struct latency_series *s, unsigned first, unsigned columns,
                       const struct latency_summary *range, int64_t now_s, struct outq *out)
{
    char row[GRAPH_COLUMNS];
    for (int r = GRAPH_ROWS - 1; r >= 0; r--) {
        for (unsigned i = 0; i < columns; i++)
            row[i] = mark_in_row(step_of(latency_sample(s, first + i)->ms, range), r);
        draw_row(row, columns, out);
    }
    memset(row, ' ', columns);
    draw_row(row, columns, out);
    draw_labels(s, first, columns, now_s, out);
}

void latency_graph(const char *name, const struct latency_series *s, int64_t now_s, struct outq *out)
{
    struct latency_summary range = latency_summarize(s, now_s);
    char head[128], rule[GRAPH_COLUMNS];
    int len = snprintf(head, sizeof head, "%s - high %u ms, low %u ms (all time high %u ms)\n", name, range.most_ms,
                       range.least_ms, s->max_ms);
    outq_append(out, head, (size_t)len);
    memset(rule, '-', sizeof rule);
    draw_row(rule, GRAPH_COLUMNS, out);
    for (unsigned first = 0; first < s->count; first += GRAPH_COLUMNS) {
        if (first) outq_append(out, "\n", 1);
        unsigned left = s->count - first;
        draw_piece(s, first, left < GRAPH_COLUMNS ? left : GRAPH_COLUMNS, &range, now_s, out);
    }
}
