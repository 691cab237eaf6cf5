/* The report as one HTML page, without any outside asset: for each pair of servers a map of the grid, and for each try
 * a timeline of both offsets. It reads on a phone and on paper: colour never says anything that a word does not. */
#include "bench/lab/results.h"
#include "bench/report/page.h"

#include <inttypes.h>
#include <string.h>

#define CHART_WIDTH  640
#define CHART_HEIGHT 160
#define CHART_LEFT   8
#define CHART_RIGHT  (CHART_WIDTH - 8)
#define CHART_TOP    26
#define CHART_BOTTOM (CHART_HEIGHT - 22)

static const char style[] =
    ":root{--full:#fdeecb;--master:#1f5fa8;--replica:#b4541a;--fault:#e7e2f3}"
    "@media(prefers-color-scheme:dark){:root{--full:#5a4413;--master:#6fb1ff;--replica:#ffa266;--fault:#332b4a}}"
    "td.full{background:var(--full)}.m{stroke:var(--master)}.r{stroke:var(--replica)}"
    ".m,.r{fill:none;stroke-width:2}svg text.mt{fill:var(--master)}svg text.rt{fill:var(--replica)}"
    ".f{fill:var(--fault)}.d{stroke:var(--ink);stroke-dasharray:3 3}";

/* --- the map of a pair --- */

static bool same_pair(const struct cell *a, const struct cell *b)
{
    return a->master == b->master && a->replica == b->replica;
}

static bool same_row(const struct cell *a, const struct cell *b)
{
    return same_pair(a, b) && a->fault == b->fault && a->length_ms == b->length_ms;
}

static bool same_column(const struct cell *a, const struct cell *b)
{
    return a->bytes_per_s == b->bytes_per_s && a->backlog_bytes == b->backlog_bytes;
}

/* Whether result i is the first that `same` holds for, among those of its pair. */
static bool is_first(const struct results *r, int i, bool (*same)(const struct cell *a, const struct cell *b))
{
    for (int k = 0; k < i; k++)
        if (same_pair(&r->list[k]->cell, &r->list[i]->cell) && same(&r->list[k]->cell, &r->list[i]->cell)) return false;
    return true;
}

static void put_column_heads(const struct results *r, int pair, FILE *out)
{
    fputs("<thead><tr><th>fault, for so long</th>", out);
    for (int i = pair; i < r->count; i++) {
        const struct cell *c = &r->list[i]->cell;
        char rate[24], backlog[24];
        if (!same_pair(c, &r->list[pair]->cell) || !is_first(r, i, same_column)) continue;
        grid_size_text((int64_t)c->bytes_per_s, rate);
        grid_size_text((int64_t)c->backlog_bytes, backlog);
        fprintf(out, "<th>%s/s<br>backlog %s</th>", rate, backlog);
    }
    fputs("</tr></thead>", out);
}

static const char *cell_class(const struct try_result *t)
{
    if (t->verdict == VERDICT_NOT_HERE) return "none";
    if (t->verdict != VERDICT_AS_PREDICTED) return "bad";
    return t->on_wire == GRANTED_FULL ? "full" : "good";
}

/* The slowest try stands for its cell, and a finding for all of them. */
static const struct result *worst_of(const struct results *r, const struct cell *row, const struct cell *column)
{
    const struct result *worst = NULL;
    for (int i = 0; i < r->count; i++) {
        const struct result *x = r->list[i];
        if (!same_row(&x->cell, row) || !same_column(&x->cell, column)) continue;
        bool worse = !worst || (x->got.verdict == VERDICT_FINDING && worst->got.verdict != VERDICT_FINDING) ||
                     (x->got.verdict == worst->got.verdict && x->got.caught_up_ms > worst->got.caught_up_ms);
        if (worse) worst = x;
    }
    return worst;
}

static void put_cell(const struct result *x, FILE *out)
{
    const struct try_result *t = &x->got;
    fprintf(out, "<td class=%s>", cell_class(t));
    if (t->verdict == VERDICT_NOT_HERE || t->verdict == VERDICT_FAILED)
        fputs(verdict_name(t->verdict), out);
    else
        fprintf(out, "%s%s<br>%.1f ms", t->verdict == VERDICT_FINDING ? "FINDING: " : "",
                t->on_wire == GRANTED_NOTHING ? "no resync" : granted_name(t->on_wire), t->caught_up_ms);
    fputs("</td>", out);
}

static void put_map(const struct results *r, int pair, FILE *out)
{
    fputs("<div class=wide><table>", out);
    put_column_heads(r, pair, out);
    for (int i = pair; i < r->count; i++) {
        const struct cell *row = &r->list[i]->cell;
        char length[24];
        if (!same_pair(row, &r->list[pair]->cell) || !is_first(r, i, same_row)) continue;
        grid_time_text(row->length_ms, length);
        fprintf(out, "<tr><th>%s, %s</th>", row->fault->name, length);
        for (int k = pair; k < r->count; k++) {
            if (!same_pair(&r->list[k]->cell, row) || !is_first(r, k, same_column)) continue;
            const struct result *x = worst_of(r, row, &r->list[k]->cell);
            if (x) put_cell(x, out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}

/* --- a timeline --- */

struct scale {
    int last_ms;
    long long low, high; /* offsets */
};

static struct scale scale_of(const struct try_result *x)
{
    const struct track *t = &x->track;
    struct scale s = {.last_ms = 1, .low = -1};
    for (int i = 0; i < t->count; i++) {
        const long long offsets[] = {t->points[i].master_offset, t->points[i].replica_offset};
        for (int k = 0; k < 2; k++) {
            if (offsets[k] < 0) continue;
            if (s.low < 0 || offsets[k] < s.low) s.low = offsets[k];
            if (offsets[k] > s.high) s.high = offsets[k];
        }
        if (t->points[i].t_ms > s.last_ms) s.last_ms = t->points[i].t_ms;
    }
    /* What the comparison of the data takes afterwards is of no interest. */
    if (x->caught_up_at_ms > 0 && s.last_ms > x->caught_up_at_ms * 6 / 5) s.last_ms = x->caught_up_at_ms * 6 / 5;
    if (s.high <= s.low) s.high = s.low + 1;
    return s;
}

static double x_of(const struct scale *s, int t_ms)
{
    return CHART_LEFT + (double)t_ms * (CHART_RIGHT - CHART_LEFT) / s->last_ms;
}

static double y_of(const struct scale *s, long long offset)
{
    return CHART_BOTTOM - (double)(offset - s->low) * (CHART_BOTTOM - CHART_TOP) / (double)(s->high - s->low);
}

static long long offset_at(const struct track_point *p, bool master)
{
    return master ? p->master_offset : p->replica_offset;
}

/* Where a server did not answer its line is broken; at the chart's edge it goes on to the next point,
 * which is beyond. */
static void put_line(const struct track *t, const struct scale *s, bool master, FILE *out)
{
    bool drawing = false, beyond = false;
    fprintf(out, "<path class=%c d=\"", master ? 'm' : 'r');
    for (int i = 0; i < t->count && !beyond; i++) {
        int t_ms = t->points[i].t_ms;
        long long offset = offset_at(&t->points[i], master);
        beyond = t_ms > s->last_ms;
        if (beyond && drawing && offset >= 0) {
            int before_ms = t->points[i - 1].t_ms;
            long long before = offset_at(&t->points[i - 1], master);
            offset = before + (offset - before) * (s->last_ms - before_ms) / (t_ms - before_ms);
            t_ms = s->last_ms;
        }
        if (offset >= 0 && t_ms <= s->last_ms)
            fprintf(out, "%c%.1f %.1f", drawing ? 'L' : 'M', x_of(s, t_ms), y_of(s, offset));
        drawing = offset >= 0;
    }
    fputs("\"/>", out);
}

static void put_decision(const struct try_result *t, const struct scale *s, FILE *out)
{
    if (t->caught_up_at_ms < 0) return;
    double x = x_of(s, t->caught_up_at_ms);
    bool right = x > CHART_WIDTH * 0.6;
    fprintf(out, "<line class=d x1=%.1f x2=%.1f y1=%d y2=%d /><text x=%.1f y=%d text-anchor=%s>%s, caught up</text>", x,
            x, CHART_TOP, CHART_BOTTOM, x + (right ? -4 : 4), CHART_TOP - 6, right ? "end" : "start",
            t->on_wire == GRANTED_NOTHING ? "no resync" : granted_name(t->on_wire));
}

static void put_timeline(const struct result *x, FILE *out)
{
    const struct try_result *t = &x->got;
    struct scale s = scale_of(t);
    double from = x_of(&s, t->fault_from_ms), to = x_of(&s, t->fault_to_ms);
    fprintf(out,
            "<svg viewBox=\"0 0 %d %d\" role=img aria-label=\"offsets of master and replica over %d ms\">"
            "<rect class=f x=%.1f y=%d width=%.1f height=%d /><text x=%.1f y=%d>%s</text>"
            "<line class=a x1=%d x2=%d y1=%d y2=%d />",
            CHART_WIDTH, CHART_HEIGHT, s.last_ms, from, CHART_TOP, to > from ? to - from : 1, CHART_BOTTOM - CHART_TOP,
            from + 4, CHART_TOP + 12, x->cell.fault->name, CHART_LEFT, CHART_RIGHT, CHART_BOTTOM, CHART_BOTTOM);
    put_line(&t->track, &s, true, out);
    put_line(&t->track, &s, false, out);
    put_decision(t, &s, out);
    fprintf(out,
            "<text x=%d y=%d>0</text><text x=%d y=%d text-anchor=end>%d ms</text>"
            "<text class=mt x=%d y=%d text-anchor=middle>master</text>"
            "<text class=rt x=%d y=%d text-anchor=middle>replica</text></svg>\n",
            CHART_LEFT, CHART_HEIGHT - 6, CHART_RIGHT, CHART_HEIGHT - 6, s.last_ms, CHART_WIDTH / 2 - 40,
            CHART_HEIGHT - 6, CHART_WIDTH / 2 + 40, CHART_HEIGHT - 6);
}

static void put_try(const struct result *x, FILE *out)
{
    const struct try_result *t = &x->got;
    char length[24], rate[24], backlog[24], command[RESULT_COMMAND_BYTES];
    grid_time_text(x->cell.length_ms, length);
    grid_size_text((int64_t)x->cell.bytes_per_s, rate);
    grid_size_text((int64_t)x->cell.backlog_bytes, backlog);
    result_command(x, command);
    fprintf(out, "<figure><h3>%s for %s, %s/s, backlog %s: %s</h3>", x->cell.fault->name, length, rate, backlog,
            verdict_name(t->verdict));
    if (t->sentence[0]) {
        fputs("<p>", out);
        page_text(out, t->sentence);
        fputs("</p>", out);
    }
    if (t->track.count > 1) put_timeline(x, out);
    fputs("<figcaption>", out);
    page_text(out, t->predicted.why);
    fprintf(out, "<br>sent again: %" PRIu64 " bytes; forks: %lld; worst answer to another client: %.1f ms",
            t->bytes_again, t->forks, (double)t->track.worst_delay_us / 1000);
    fprintf(out, "; peak memory of the master: %.1f MiB; %" PRIu64 " writes acknowledged",
            (double)t->track.peak_bytes / (1 << 20), t->writes_acknowledged);
    if (t->writes_lost >= 0) fprintf(out, ", %" PRId64 " of them lost", t->writes_lost);
    fputs("<br><code>slipstream-lab ", out);
    page_text(out, command);
    fputs("</code></figcaption></figure>\n", out);
}

/* --- the page --- */

static bool of_same_pair(const struct cell *a, const struct cell *b)
{
    (void)a;
    (void)b;
    return true; /* is_first() compares the pair itself */
}

static void put_pair(const struct results *r, int pair, FILE *out)
{
    const struct cell *c = &r->list[pair]->cell;
    fputs("<h2>", out);
    page_text(out, c->replica->name);
    fputs(" follows ", out);
    page_text(out, c->master->name);
    fputs("</h2>\n", out);
    put_map(r, pair, out);
    for (int i = pair; i < r->count; i++)
        if (same_pair(&r->list[i]->cell, c) && r->list[i]->got.verdict != VERDICT_NOT_HERE) put_try(r->list[i], out);
}

void report_html(const struct results *r, FILE *out)
{
    page_begin(out, "What happens when a replica comes back", style);
    fprintf(out,
            "<p>%d tries, <strong>%d findings</strong>, seed %" PRIu64
            ". Of a cell with several tries the slowest is shown. Milliseconds count from healed to caught up.</p><p "
            "class=soft>",
            r->count, results_findings(r), r->seed);
    for (int i = 0; i < r->server_count; i++) {
        page_text(out, r->servers[i].of->name);
        fputs(": ", out);
        page_text(out, r->servers[i].version);
        fputs(i + 1 < r->server_count ? "; " : "", out);
    }
    fputs("</p>\n", out);
    for (int i = 0; i < r->count; i++)
        if (is_first(r, i, of_same_pair)) put_pair(r, i, out);
    page_end(out);
}
