/* Gathering rows, and writing them for programs. See rows.h. */
#include "bench/report/rows.h"

#include "bench/report/fields.h"
#include "tests/harness/fail.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct row *rows_find(struct rows *r, const char *part, const char *name)
{
    for (int i = 0; i < r->count; i++)
        if (strcmp(r->list[i].part, part) == 0 && strcmp(r->list[i].name, name) == 0) return &r->list[i];
    return NULL;
}

static struct row *found_or_made(struct rows *r, const char *part, const char *name)
{
    struct row *found = rows_find(r, part, name);
    if (found) return found;
    struct row *list = realloc(r->list, ((size_t)r->count + 1) * sizeof *list);
    if (!list) harness_fail("no memory for a row");
    r->list = list;
    memset(&list[r->count], 0, sizeof *list);
    snprintf(list[r->count].part, sizeof list->part, "%s", part);
    snprintf(list[r->count].name, sizeof list->name, "%s", name);
    return &list[r->count++];
}

void rows_add(struct rows *r, int server, const char *part, const char *name, const char *unit, enum row_better better,
              double value)
{
    struct row *row = found_or_made(r, part, name);
    snprintf(row->unit, sizeof row->unit, "%s", unit);
    row->better = better;
    samples_add(&row->of[server], value);
}

struct work_curves *rows_curves(struct rows *r, const char *part, const char *name)
{
    for (int i = 0; i < r->curve_count; i++)
        if (strcmp(r->curves[i]->part, part) == 0 && strcmp(r->curves[i]->name, name) == 0) return r->curves[i];
    struct work_curves **list = realloc(r->curves, ((size_t)r->curve_count + 1) * sizeof *list);
    if (list) r->curves = list;
    struct work_curves *c = list ? calloc(1, sizeof *c) : NULL;
    if (!c) harness_fail("no memory for curves");
    snprintf(c->part, sizeof c->part, "%s", part);
    snprintf(c->name, sizeof c->name, "%s", name);
    return r->curves[r->curve_count++] = c;
}

void rows_free(struct rows *r)
{
    for (int i = 0; i < r->curve_count; i++) free(r->curves[i]);
    free(r->curves);
    free(r->list);
    *r = (struct rows){.curves = NULL};
}

/* --- a server beside the baseline --- */

struct comparison comparison_of(enum row_better better, const struct samples *of, const struct samples *baseline)
{
    struct comparison c = {.ratio = samples_summary(of).median / samples_summary(baseline).median,
                           .interval = samples_ratio(of, baseline)};
    if (!isfinite(c.ratio)) c.ratio = NAN;
    if (isnan(c.ratio) || isnan(c.interval.low))
        c.verdict = NOT_COMPARED;
    else if (c.interval.low <= 1 && c.interval.high >= 1)
        c.verdict = NO_DIFFERENCE;
    else if (better == NEITHER_IS_BETTER)
        c.verdict = DIFFERENT;
    else
        c.verdict = (c.interval.low > 1) == (better == MORE_IS_BETTER) ? BETTER : WORSE;
    return c;
}

const char *comparison_words(const struct comparison *c)
{
    static const char *const words[] = {"", "no difference that this run can show", "better", "worse", "differs"};
    return words[c->verdict];
}

/* --- for programs --- */

static void put_row(struct fields *f, const struct rows *r, const struct row *row, int server)
{
    static const char *const better[] = {"less", "more", "neither"};
    struct summary s = samples_summary(&row->of[server]);
    struct comparison c = comparison_of(row->better, &row->of[server], &row->of[0]);
    const struct row_target *t = &row->targets[server];
    f->begun = false;
    fields_text(f, "part", row->part);
    fields_text(f, "name", row->name);
    fields_text(f, "unit", row->unit);
    fields_text(f, "better", better[row->better]);
    fields_text(f, "server", r->servers[server].name);
    fields_text(f, "version", r->servers[server].version);
    fields_number(f, "samples", row->of[server].count);
    fields_real(f, "median", s.median);
    fields_real(f, "min", s.min);
    fields_real(f, "quartile_low", s.quartile_low);
    fields_real(f, "quartile_high", s.quartile_high);
    fields_real(f, "max", s.max);
    fields_real(f, "ratio", c.ratio);
    fields_real(f, "ratio_low", c.interval.low);
    fields_real(f, "ratio_high", c.interval.high);
    fields_text(f, "verdict", server ? comparison_words(&c) : "");
    fields_text(f, "target", t->text);
    fields_text(f, "kept", !t->text[0] ? "" : t->met ? "met" : "missed");
    fields_number(f, "seed", (int64_t)r->seed);
    fields_reals(f, "values", row->of[server].values, row->of[server].count);
}

static void put_medians(struct fields *f, const char *name, const struct curve *c, size_t offset)
{
    double medians[CURVE_SLICES_MAX];
    for (int i = 0; i < c->slice_count; i++)
        medians[i] = samples_summary((const struct samples *)((const char *)&c->slices[i] + offset)).median;
    fields_reals(f, name, medians, c->slice_count);
}

/* A line of its own kind: it has no median, and no value. */
static void put_curve(struct fields *f, const struct rows *r, const struct work_curves *w, int server)
{
    const struct curve *c = &w->of[server];
    double percents[CURVE_POINTS_MAX], us[CURVE_POINTS_MAX];
    for (int i = 0; i < c->spread_count; i++) {
        percents[i] = c->spread[i].percent;
        us[i] = c->spread[i].us;
    }
    f->begun = false;
    fields_text(f, "part", w->part);
    fields_text(f, "curves", w->name);
    fields_text(f, "unit", "us");
    fields_text(f, "server", r->servers[server].name);
    fields_text(f, "version", r->servers[server].version);
    fields_text(f, "event", w->event);
    fields_real(f, "event_from_ms", samples_summary(&c->event_from_ms).median);
    fields_real(f, "event_to_ms", samples_summary(&c->event_to_ms).median);
    fields_real(f, "slice_ms", c->slice_ms);
    put_medians(f, "p50", c, offsetof(struct curve_slice, p50_us));
    put_medians(f, "p99", c, offsetof(struct curve_slice, p99_us));
    put_medians(f, "max", c, offsetof(struct curve_slice, max_us));
    put_medians(f, "replies", c, offsetof(struct curve_slice, replies));
    fields_reals(f, "percents", percents, c->spread_count);
    fields_reals(f, "values_at_percents", us, c->spread_count);
}

void rows_json(const struct rows *r, FILE *out)
{
    for (int i = 0; i < r->count; i++) {
        for (int s = 0; s < r->server_count; s++) {
            struct fields f = {.out = out, .form = FIELDS_JSON};
            if (!r->list[i].of[s].count) continue;
            fputc('{', out);
            put_row(&f, r, &r->list[i], s);
            fputs("}\n", out);
        }
    }
    for (int i = 0; i < r->curve_count; i++) {
        for (int s = 0; s < r->server_count; s++) {
            struct fields f = {.out = out, .form = FIELDS_JSON};
            if (!r->curves[i]->of[s].spread_count) continue;
            fputc('{', out);
            put_curve(&f, r, r->curves[i], s);
            fputs("}\n", out);
        }
    }
}

void rows_csv(const struct rows *r, FILE *out)
{
    static const struct row empty;
    struct fields f = {.out = out, .form = FIELDS_CSV_HEAD};
    put_row(&f, r, &empty, 0);
    fputc('\n', out);
    for (int i = 0; i < r->count; i++) {
        for (int s = 0; s < r->server_count; s++) {
            f.form = FIELDS_CSV;
            if (!r->list[i].of[s].count) continue;
            put_row(&f, r, &r->list[i], s);
            fputc('\n', out);
        }
    }
}
