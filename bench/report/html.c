/* The rows as one page: for each work its curves and its numbers, for the rest of a part a table. */
#include "bench/report/chart.h"
#include "bench/report/page.h"
#include "bench/report/rows.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static void put_value(double value, FILE *out)
{
    fprintf(out, "%.*f", fabs(value) >= 10000 ? 0 : fabs(value) >= 100 ? 1 : 3, value);
}

static const char *cell_class(const struct comparison *c)
{
    return c->verdict == BETTER ? "good" : c->verdict == WORSE ? "bad" : "none";
}

static void put_cell(const struct row *row, int server, FILE *out)
{
    struct summary s = samples_summary(&row->of[server]);
    struct comparison c = comparison_of(row->better, &row->of[server], &row->of[0]);
    const struct row_target *t = &row->targets[server];
    if (!row->of[server].count) {
        fputs("<td>-</td>", out);
        return;
    }
    fprintf(out, "<td class=%s>", server ? cell_class(&c) : "base");
    put_value(s.median, out);
    if (row->of[server].count > 1) {
        fputs(" <small>(", out);
        put_value(s.min, out);
        fputs(" to ", out);
        put_value(s.max, out);
        fputs(")</small>", out);
    }
    if (server && !isnan(c.ratio)) {
        fprintf(out, "<br>%.3f", c.ratio);
        if (c.verdict != NOT_COMPARED) fprintf(out, " [%.3f, %.3f]", c.interval.low, c.interval.high);
        if (row->better != NEITHER_IS_BETTER && c.verdict != NOT_COMPARED)
            fprintf(out, " %s", c.verdict == NO_DIFFERENCE ? "no difference" : comparison_words(&c));
    }
    if (t->text[0]) {
        fputs("<br>", out);
        page_text(out, t->text);
        fprintf(out, ": %s", t->met ? "met" : "<strong>MISSED</strong>");
    }
    fputs("</td>", out);
}

static bool is_of(const struct row *row, const struct work_curves *w)
{
    size_t len = strlen(w->name);
    return strcmp(row->part, w->part) == 0 && strncmp(row->name, w->name, len) == 0 && row->name[len] == '.';
}

static bool is_of_any(const struct rows *r, const struct row *row)
{
    for (int i = 0; i < r->curve_count; i++)
        if (is_of(row, r->curves[i])) return true;
    return false;
}

/* The rows of a work; w NULL: those of the part that are of none. */
static void put_table(const struct rows *r, const char *part, const struct work_curves *w, FILE *out)
{
    fputs("<div class=wide><table><thead><tr><th></th>", out);
    for (int s = 0; s < r->server_count; s++) {
        fputs("<th>", out);
        page_text(out, r->servers[s].name);
        fputs("</th>", out);
    }
    fputs("</tr></thead>\n", out);
    for (int i = 0; i < r->count; i++) {
        const struct row *row = &r->list[i];
        if (strcmp(row->part, part) != 0 || (w ? !is_of(row, w) : is_of_any(r, row))) continue;
        fputs("<tr><th>", out);
        page_text(out, row->name + (w ? strlen(w->name) + 1 : 0));
        fputs(row->unit[0] ? ", " : "", out);
        page_text(out, row->unit);
        fputs("</th>", out);
        for (int s = 0; s < r->server_count; s++) put_cell(row, s, out);
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}

static void put_work(const struct rows *r, const struct work_curves *w, FILE *out)
{
    fputs("<h3>", out);
    page_text(out, w->name);
    fputs("</h3>", out);
    chart_legend(r, w, out);
    fputs("<figure>", out);
    chart_course(r, w, out);
    fputs("</figure><figure>", out);
    chart_spread(r, w, out);
    fputs("</figure>", out);
    put_table(r, w->part, w, out);
}

static void put_part(const struct rows *r, const char *part, FILE *out)
{
    bool more = false;
    fputs("<h2>", out);
    page_text(out, part);
    fputs("</h2>\n", out);
    for (int i = 0; i < r->curve_count; i++)
        if (strcmp(r->curves[i]->part, part) == 0) put_work(r, r->curves[i], out);
    for (int i = 0; i < r->count; i++) more |= strcmp(r->list[i].part, part) == 0 && !is_of_any(r, &r->list[i]);
    if (more) put_table(r, part, NULL, out);
}

static void put_servers(const struct rows *r, FILE *out)
{
    fputs("<p>", out);
    for (int s = 0; s < r->server_count; s++) {
        fputs(s ? "<br>" : "", out);
        fputs("<strong>", out);
        page_text(out, r->servers[s].name);
        fputs("</strong>: ", out);
        page_text(out, r->servers[s].version);
        fputs(s ? "" : ", the baseline of ratios", out);
        fputs(r->servers[s].note[0] ? "; " : "", out);
        page_text(out, r->servers[s].note);
    }
    fputs("</p><p class=soft>", out);
    page_text(out, r->what);
    fprintf(out,
            "%sSeed %" PRIu64 ". A number is a median (with the least and the most); below it the ratio to the "
            "baseline's, and the interval in which 95 of 100 resamplings lie: where it holds 1, this run shows no "
            "difference.</p>\n",
            r->what[0] ? ". " : "", r->seed);
}

static bool is_first_of_part(const struct rows *r, int i)
{
    for (int k = 0; k < i; k++)
        if (strcmp(r->list[k].part, r->list[i].part) == 0) return false;
    return true;
}

void rows_html(const struct rows *r, FILE *out)
{
    page_begin(out, "Servers side by side", chart_style);
    put_servers(r, out);
    for (int i = 0; i < r->count; i++)
        if (is_first_of_part(r, i)) put_part(r, r->list[i].part, out);
    page_end(out);
}
