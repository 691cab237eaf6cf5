/* Gathering rows, and writing them for programs. See rows.h. */
#include "bench/report/rows.h"

#include "bench/report/fields.h"
#include "tests/harness/fail.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct row *find(struct rows *r, const char *part, const char *name)
{
    for (int i = 0; i < r->count; i++)
        if (strcmp(r->list[i].part, part) == 0 && strcmp(r->list[i].name, name) == 0) return &r->list[i];
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
    struct row *row = find(r, part, name);
    snprintf(row->unit, sizeof row->unit, "%s", unit);
    row->better = better;
    samples_add(&row->of[server], value);
}

void rows_free(struct rows *r)
{
    free(r->list);
    r->list = NULL;
    r->count = 0;
}

static void put_row(struct fields *f, const struct rows *r, const struct row *row, int server)
{
    static const char *const better[] = {"less", "more", "neither"};
    struct summary s = samples_summary(&row->of[server]), base = samples_summary(&row->of[0]);
    struct interval ratio = samples_ratio(&row->of[server], &row->of[0]);
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
    fields_real(f, "ratio", s.median / base.median);
    fields_real(f, "ratio_low", ratio.low);
    fields_real(f, "ratio_high", ratio.high);
    fields_number(f, "seed", (int64_t)r->seed);
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
