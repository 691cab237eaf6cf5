/* See chart.h. */
#include "bench/report/chart.h"

#include "bench/report/page.h"

#include <math.h>

#define WIDTH  640
#define HEIGHT 230
#define LEFT   64
#define RIGHT  (WIDTH - 10)
#define TOP    26
#define BAR    7 /* what happened in the middle of a round */
#define BOTTOM (HEIGHT - 26)

const char chart_style[] =
    ":root{--s0:#1f5fa8;--s1:#b4541a;--s2:#2b7a4b;--s3:#7d3c98;--s4:#8a6d00;--s5:#b0216b;--s6:#006d77;--s7:#5d5d5d}"
    "@media(prefers-color-scheme:dark){:root{--s0:#6fb1ff;--s1:#ffa266;--s2:#79d29c;--s3:#cf9be6;--s4:#e0c34c;"
    "--s5:#ff8fc3;--s6:#66d0da;--s7:#b8b8b8}}"
    ".l0{stroke:var(--s0)}.l1{stroke:var(--s1);stroke-dasharray:7 3}.l2{stroke:var(--s2);stroke-dasharray:2 2}"
    ".l3{stroke:var(--s3);stroke-dasharray:9 3 2 3}.l4{stroke:var(--s4);stroke-dasharray:12 4}"
    ".l5{stroke:var(--s5);stroke-dasharray:4 4}.l6{stroke:var(--s6);stroke-dasharray:1 3}"
    ".l7{stroke:var(--s7);stroke-dasharray:12 3 2 3 2 3}"
    "path{fill:none;stroke-width:2.2}path.thin{stroke-width:1;opacity:.75}line.e{stroke-width:5;stroke-dasharray:none}"
    ".legend span{margin-right:1.2rem;white-space:nowrap}.legend svg{width:2.6rem;vertical-align:middle}"
    "td small{color:var(--soft)}";

struct axes {
    int top;
    double x_low, x_high;
    double y_low, y_high; /* decimal logarithms of us */
};

static double x_of(const struct axes *a, double x)
{
    return LEFT + (x - a->x_low) * (RIGHT - LEFT) / (a->x_high - a->x_low);
}

static double y_of(const struct axes *a, double us)
{
    double y = log10(us < 1 ? 1 : us);
    return BOTTOM - (y - a->y_low) * (BOTTOM - a->top) / (a->y_high - a->y_low);
}

static void take_us(struct axes *a, double us)
{
    if (isnan(us)) return;
    double y = log10(us < 1 ? 1 : us);
    if (y < a->y_low) a->y_low = y;
    if (y > a->y_high) a->y_high = y;
}

static double share_of(double percent)
{
    return -log10(1 - (percent < 99.9999999 ? percent : 99.9999999) / 100);
}

/* --- the frame --- */

static void put_time(double us, FILE *out)
{
    if (us < 1000)
        fprintf(out, "%g us", us);
    else if (us < 1e6)
        fprintf(out, "%g ms", us / 1000);
    else
        fprintf(out, "%g s", us / 1e6);
}

/* A line at each 1, 2 and 5 of a decade; where there are many decades, at each 1. */
static void put_grid(const struct axes *a, FILE *out)
{
    static const double steps[] = {1, 2, 5};
    size_t count = a->y_high - a->y_low > 2 ? 1 : 3;
    for (int decade = (int)floor(a->y_low); decade <= a->y_high; decade++) {
        for (size_t i = 0; i < count; i++) {
            double us = steps[i] * pow(10, decade), y = y_of(a, us);
            if (y < a->top - 1 || y > BOTTOM + 1) continue;
            fprintf(out, "<line class=a x1=%d x2=%d y1=%.1f y2=%.1f /><text x=%d y=%.1f text-anchor=end>", LEFT, RIGHT,
                    y, y, LEFT - 6, y + 4);
            put_time(us, out);
            fputs("</text>", out);
        }
    }
}

static void begin(struct axes *a, const char *label, FILE *out)
{
    if (a->y_high < a->y_low) a->y_low = 0, a->y_high = 1;
    a->y_low -= 0.05;
    a->y_high += 0.05;
    fprintf(out, "<svg viewBox=\"0 0 %d %d\" role=img aria-label=\"%s\">", WIDTH, HEIGHT, label);
    put_grid(a, out);
    fprintf(out, "<text x=%d y=14>%s</text>", LEFT, label);
}

static struct axes empty_axes(void)
{
    return (struct axes){.top = TOP, .y_low = INFINITY, .y_high = -INFINITY};
}

/* --- the course of a round --- */

/* Where nothing was answered the line is broken. */
static void put_course(const struct axes *a, const struct curve *c, int server, bool p99, FILE *out)
{
    bool drawing = false;
    fprintf(out, "<path class=\"l%d%s\" d=\"", server, p99 ? "" : " thin");
    for (int i = 0; i < c->slice_count; i++) {
        double us = samples_summary(p99 ? &c->slices[i].p99_us : &c->slices[i].p50_us).median;
        if (!isnan(us)) fprintf(out, "%c%.1f %.1f", drawing ? 'L' : 'M', x_of(a, (i + 0.5) * c->slice_ms), y_of(a, us));
        drawing = !isnan(us);
    }
    fputs("\"/>", out);
}

static void put_event(const struct axes *a, const struct work_curves *w, int server, int *place, FILE *out)
{
    double from = samples_summary(&w->of[server].event_from_ms).median;
    double to = samples_summary(&w->of[server].event_to_ms).median;
    if (isnan(from)) return;
    if (isnan(to) || to > a->x_high) to = a->x_high;
    fprintf(out, "<line class=\"e l%d\" x1=%.1f x2=%.1f y1=%d y2=%d />", server, x_of(a, from),
            fmax(x_of(a, to), x_of(a, from) + 1), TOP + BAR * *place, TOP + BAR * *place);
    ++*place;
}

void chart_course(const struct rows *r, const struct work_curves *w, FILE *out)
{
    struct axes a = empty_axes();
    for (int s = 0; s < r->server_count; s++) {
        const struct curve *c = &w->of[s];
        for (int i = 0; i < c->slice_count; i++) {
            take_us(&a, samples_summary(&c->slices[i].p50_us).median);
            take_us(&a, samples_summary(&c->slices[i].p99_us).median);
        }
        if (w->event[0] && c->spread_count) a.top += BAR;
        if (c->slice_count * c->slice_ms > a.x_high) a.x_high = c->slice_count * c->slice_ms;
    }
    int bars = 0;
    begin(&a, "p99 (thick) and p50 (thin) in the course of a round", out);
    for (int s = 0; s < r->server_count; s++) {
        put_course(&a, &w->of[s], s, false, out);
        put_course(&a, &w->of[s], s, true, out);
        put_event(&a, w, s, &bars, out);
    }
    fprintf(out, "<text x=%d y=%d>0</text><text x=%d y=%d text-anchor=end>%g ms</text>", LEFT, HEIGHT - 8, RIGHT,
            HEIGHT - 8, a.x_high);
    if (w->event[0])
        fprintf(out, "<text x=%d y=%d text-anchor=middle>the bars above: %s goes on</text>", (LEFT + RIGHT) / 2,
                HEIGHT - 8, w->event);
    fputs("</svg>\n", out);
}

/* --- percentiles --- */

static void put_shares(const struct axes *a, FILE *out)
{
    static const double percents[] = {50, 90, 99, 99.9, 99.99, 99.999, 99.9999};
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        double x = x_of(a, share_of(percents[i]));
        if (x > RIGHT) break;
        fprintf(out, "<line class=a x1=%.1f x2=%.1f y1=%d y2=%d /><text x=%.1f y=%d text-anchor=%s>%g%%</text>", x, x,
                TOP, BOTTOM, x, HEIGHT - 8, x > RIGHT - 30 ? "end" : "middle", percents[i]);
    }
}

void chart_spread(const struct rows *r, const struct work_curves *w, FILE *out)
{
    struct axes a = empty_axes();
    a.x_high = share_of(99.5);
    for (int s = 0; s < r->server_count; s++) {
        for (int i = 0; i < w->of[s].spread_count; i++) {
            take_us(&a, w->of[s].spread[i].us);
            a.x_high = fmax(a.x_high, share_of(w->of[s].spread[i].percent));
        }
    }
    begin(&a, "latency that so many percent of requests do not pass, up to the worst", out);
    put_shares(&a, out);
    for (int s = 0; s < r->server_count; s++) {
        const struct curve *c = &w->of[s];
        if (!c->spread_count) continue;
        fprintf(out, "<path class=l%d d=\"", s);
        for (int i = 0; i < c->spread_count; i++)
            fprintf(out, "%c%.1f %.1f", i ? 'L' : 'M', x_of(&a, share_of(c->spread[i].percent)),
                    y_of(&a, c->spread[i].us));
        fputs("\"/>", out);
    }
    fputs("</svg>\n", out);
}

void chart_legend(const struct rows *r, const struct work_curves *w, FILE *out)
{
    fputs("<p class=legend>", out);
    for (int s = 0; s < r->server_count; s++) {
        if (!w->of[s].spread_count) continue;
        fprintf(out, "<span><svg viewBox=\"0 0 42 8\" aria-hidden=true><path class=l%d d=\"M0 4L42 4\"/></svg> ", s);
        page_text(out, r->servers[s].name);
        fputs("</span>", out);
    }
    fputs("</p>", out);
}
