/* See throughput.h. The order of the servers turns from round to round, so that whatever else the machine does hits all
 * alike. Keys are filled first: a GET of a missing key costs a part of a hit. */
#include "bench/program/throughput.h"

#include "bench/load/generator.h"
#include "bench/program/event_counter.h"
#include "bench/program/threads.h"
#include "tests/harness/clock.h"
#include "tests/harness/process.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define PART       "throughput"
#define SLICES     50 /* of a round, for its course */
#define FILL_BATCH 1000
#define SILENCE_S  60
#define BOUND_S    30
#define MS         1000000ll

struct work {
    char name[24];
    struct mix mix;
    int pipeline;
    struct histogram latency[CONTESTANTS_MAX]; /* of all rounds */
};

/* One server's turn in a round. */
struct turn {
    const struct throughput_plan *plan;
    struct work *work;
    struct instance *server;
    struct rows *rows;
    int number;
    struct threads before, after;
    int64_t begun_ns, cpu_before_us, cpu_after_us;
    struct event_counter instructions; /* counts nothing where the machine does not */
    uint64_t instructions_before, instructions_after;
    struct scheduled scheduled;
};

/* --- filling --- */

static int take_ok(redisContext *c, const struct instance *i, char error[512])
{
    redisReply *r = NULL;
    if (redisGetReply(c, (void **)&r) != REDIS_OK)
        snprintf(error, 512, "server '%s', while keys are filled: %s", i->of->name, c->errstr);
    else if (r->type == REDIS_REPLY_ERROR)
        snprintf(error, 512, "server '%s', while keys are filled: %.200s", i->of->name, r->str);
    int status = r && r->type != REDIS_REPLY_ERROR ? 0 : -1;
    freeReplyObject(r);
    return status;
}

static int fill(struct instance *i, const struct throughput_plan *plan, struct request_source *source, char error[512])
{
    redisContext *c = contestant_connect(i->host, i->port, (struct timeval){BOUND_S, 0});
    int status = c->err ? -1 : 0;
    if (c->err) snprintf(error, 512, "server '%s': %s", i->of->name, c->errstr);
    for (long at = 0; at < plan->keys && status == 0;) {
        long first = at;
        for (; at < plan->keys && at < first + FILL_BATCH; at++) {
            size_t len = sizes_next(&source->sizes, &source->random);
            redisAppendCommand(c, "SET key:%012ld %b", at, source->letters, len);
        }
        for (; first < at && status == 0; first++) status = take_ok(c, i, error);
    }
    redisFree(c);
    return status;
}

/* --- one turn --- */

static void begin_turn(void *context)
{
    struct turn *t = context;
    t->begun_ns = clock_us() * 1000;
    if (!t->server->pid) return;
    threads_read(&t->before, t->server->pid);
    t->cpu_before_us = process_tree_cpu_us(t->server->pid) + process_ended_children_cpu_us(t->server->pid);
    t->instructions_before = event_counter_read(&t->instructions);
}

static void end_turn(struct turn *t)
{
    if (!t->server->pid) return;
    t->instructions_after = event_counter_read(&t->instructions);
    threads_read(&t->after, t->server->pid);
    t->cpu_after_us = process_tree_cpu_us(t->server->pid) + process_ended_children_cpu_us(t->server->pid);
}

static struct work_curves *curves_of(struct rows *rows, const struct work *w)
{
    char name[64];
    snprintf(name, sizeof name, "%s.p%d", w->name, w->pipeline);
    return rows_curves(rows, PART, name);
}

static void add(struct turn *t, const char *name, const char *unit, enum row_better better, double value)
{
    char full[112];
    snprintf(full, sizeof full, "%s.p%d.%s", t->work->name, t->work->pipeline, name);
    rows_add(t->rows, t->number, PART, full, unit, better, value);
}

static void add_threads(struct turn *t, double replies)
{
    struct threads now = t->after;
    char name[56];
    threads_since(&now, &t->before);
    for (int i = 0; i < now.count; i++) {
        if (!now.list[i].cpu_us) continue;
        snprintf(name, sizeof name, "cpu.%s", now.list[i].name);
        add(t, name, "us/req", NEITHER_IS_BETTER, (double)now.list[i].cpu_us / replies);
    }
}

/* Of a phase only what its few requests can show. */
static void add_latencies(struct turn *t, const char *phase, const struct histogram *h)
{
    static const struct {
        const char *name;
        double percent;
    } latencies[] = {{"p50", 50}, {"p99", 99}, {"p99.9", 99.9}, {"max", 100}};
    char name[56];
    for (size_t i = 0; i < sizeof latencies / sizeof *latencies && h->total; i++) {
        if (*phase && latencies[i].percent == 99.9) continue;
        snprintf(name, sizeof name, "%s%s", phase, latencies[i].name);
        add(t, name, "us", LESS_IS_BETTER, (double)histogram_percentile(h, latencies[i].percent) / 1000);
    }
}

/* What happened in the middle: how long it took, and what requests met before, meanwhile and afterwards. */
static void add_phases(struct turn *t, const struct load_result *r)
{
    static const char *const names[PHASES] = {"before.", "meanwhile.", "after."};
    const struct scheduled *s = &t->scheduled;
    char name[56];
    if (s->schedule == SCHEDULE_STEADY) return;
    snprintf(name, sizeof name, "%s.took", schedule_name(s->schedule));
    add(t, name, "ms", LESS_IS_BETTER, (double)(s->over_ns - s->struck_ns) / MS);
    for (int i = 0; i < PHASES; i++) add_latencies(t, names[i], &r->phases[i]);
}

static void add_rows(struct turn *t, const struct load_result *r)
{
    double replies = (double)r->replies;
    add(t, "requests", "1/s", t->plan->rate_per_s > 0 ? NEITHER_IS_BETTER : MORE_IS_BETTER,
        replies * 1e9 / (double)r->elapsed_ns);
    add_latencies(t, "", &r->latency);
    add_phases(t, r);
    if (t->server->pid) {
        double cpu_us = (double)(t->cpu_after_us - t->cpu_before_us);
        add(t, "cpu", "us/req", LESS_IS_BETTER, cpu_us / replies);
        if (t->instructions.count)
            add(t, "instructions", "1/req", LESS_IS_BETTER,
                (double)(t->instructions_after - t->instructions_before) / replies);
        add_threads(t, replies);
    }
    add(t, "generator.cpu", "us/req", NEITHER_IS_BETTER, (double)r->cpu_ns / 1000 / replies);
    if (t->plan->rate_per_s > 0)
        add(t, "generator.late.p99", "us", NEITHER_IS_BETTER, (double)histogram_percentile(&r->late, 99) / 1000);
}

/* --- curves --- */

static void add_course(struct turn *t, const struct load_result *r)
{
    struct work_curves *w = curves_of(t->rows, t->work);
    struct curve *c = &w->of[t->number];
    const struct scheduled *s = &t->scheduled;
    c->slice_ms = (double)t->plan->duration_ms / SLICES;
    for (int i = 0; i < r->slice_count && i < CURVE_SLICES_MAX; i++) {
        const struct load_slice *slice = &r->slices[i];
        if (i >= SLICES && !slice->replies) break; /* what came after the end has come */
        if (i >= SLICES && t->plan->rate_per_s == 0) break;
        struct curve_slice *of = &c->slices[i];
        if (i == c->slice_count) c->slice_count++;
        samples_add(&of->replies, (double)slice->replies);
        if (!slice->replies) continue;
        samples_add(&of->p50_us, (double)slice->p50_ns / 1000);
        samples_add(&of->p99_us, (double)slice->p99_ns / 1000);
        samples_add(&of->max_us, (double)slice->max_ns / 1000);
    }
    if (s->schedule == SCHEDULE_STEADY) return;
    snprintf(w->event, sizeof w->event, "%s", schedule_name(s->schedule));
    samples_add(&c->event_from_ms, (double)(s->struck_ns - t->begun_ns) / MS);
    samples_add(&c->event_to_ms, (double)(s->over_ns - t->begun_ns) / MS);
}

/* Only what so many requests can show; the last is the worst, at its own place. */
static void set_spread(struct curve *c, const struct histogram *h)
{
    static const double percents[] = {10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.995, 99.999, 99.9999};
    double total = (double)h->total;
    if (!h->total) return;
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        if (total * (1 - percents[i] / 100) < 1) break;
        c->spread[c->spread_count].percent = percents[i];
        c->spread[c->spread_count++].us = (double)histogram_percentile(h, percents[i]) / 1000;
    }
    c->spread[c->spread_count].percent = 100 * (1 - 1 / (total + 1));
    c->spread[c->spread_count++].us = (double)h->max / 1000;
}

/* --- driving --- */

/* What a load must have been to be worth a row. */
static int check(const struct load_result *r, char why[256])
{
    if (r->errors)
        snprintf(why, 256, "%" PRIu64 " error replies, the first: %s", r->errors, r->first_error);
    else if (!r->replies)
        snprintf(why, 256, "no request was answered within the measured time");
    return r->errors || !r->replies ? -1 : 0;
}

static int drive(struct turn *t, const int *sockets, struct request_source *source, char error[512])
{
    const struct throughput_plan *p = t->plan;
    struct load_event events[1 + SCHEDULE_EVENTS] = {{0, begin_turn, t}};
    struct load_plan load = {.sockets = sockets,
                             .connections = p->connections,
                             .mix = &t->work->mix,
                             .source = source,
                             .pipeline = t->work->pipeline,
                             .rate_per_s = p->rate_per_s,
                             .warm_up_ns = p->warm_up_ms * MS,
                             .duration_ns = p->duration_ms * MS,
                             .slice_ns = p->duration_ms * MS / SLICES,
                             .silence_ns = SILENCE_S * 1000 * MS,
                             .events = events,
                             .phase = p->schedule == SCHEDULE_STEADY ? NULL : &t->scheduled.phase};
    struct load_result *result = malloc(sizeof *result);
    char why[256] = "no memory";
    load.event_count = 1 + schedule_events(&t->scheduled, load.duration_ns, events + 1);
    int status = result ? load_run(&load, result, why) : -1;
    end_turn(t);
    if (status == 0) status = check(result, why);
    if (status) snprintf(error, 512, "server '%s', %s: %s", t->server->of->name, t->work->name, why);
    if (status == 0 && schedule_finish(&t->scheduled) != 0) {
        snprintf(error, 512, "%s", t->scheduled.error);
        status = -1;
    }
    if (status == 0) {
        add_rows(t, result);
        add_course(t, result);
        histogram_add(&t->work->latency[t->number], &result->latency);
    }
    free(result);
    return status;
}

static int count_instructions(struct event_counter *c, pid_t pid)
{
    return event_counter_open(c, pid, PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS);
}

/* Once for the run, to who looks on and in its report. */
static void tell_whether_instructions_count(struct rows *rows)
{
    struct event_counter mine;
    size_t len = strlen(rows->what);
    if (count_instructions(&mine, getpid()) == 0) {
        event_counter_close(&mine);
        return;
    }
    snprintf(rows->what + len, sizeof rows->what - len, "%sInstructions are not counted here (%s)", len ? ". " : "",
             strerror(errno));
    fprintf(stderr, "instructions are not counted here: %s\n", strerror(errno));
}

static int take_turn(struct turn *t, struct request_source *source, char error[512])
{
    int count = t->plan->connections, open = 0, status = 0;
    redisContext **contexts = calloc((size_t)count, sizeof(redisContext *));
    int *sockets = calloc((size_t)count, sizeof *sockets);
    for (; contexts && sockets && open < count && status == 0; open++) {
        contexts[open] = contestant_connect(t->server->host, t->server->port, (struct timeval){BOUND_S, 0});
        sockets[open] = contexts[open]->fd;
        status = contexts[open]->err ? -1 : 0;
        if (status) snprintf(error, 512, "server '%s': %s", t->server->of->name, contexts[open]->errstr);
    }
    if (t->server->pid) count_instructions(&t->instructions, t->server->pid);
    if (status == 0 && open == count) status = drive(t, sockets, source, error);
    event_counter_close(&t->instructions);
    while (open) redisFree(contexts[--open]);
    free(contexts);
    free(sockets);
    return status;
}

/* --- all of it --- */

static int make_work(struct work *w, const struct throughput_plan *plan, int number,
                     const struct request_source *source, char error[512])
{
    static const char *const alone[][2] = {{"set", "SET key:{key} {value}"}, {"get", "GET key:{key}"}};
    w->pipeline = plan->pipelines[number % plan->pipeline_count];
    if (!plan->request_count) {
        const char *const *of = alone[number / plan->pipeline_count];
        snprintf(w->name, sizeof w->name, "%s", of[0]);
        return mix_add(&w->mix, of[1], source);
    }
    snprintf(w->name, sizeof w->name, "mix");
    for (int i = 0; i < plan->request_count; i++) {
        if (mix_add(&w->mix, plan->requests[i], source) == 0) continue;
        snprintf(error, 512, "'%.200s' is no request", plan->requests[i]);
        return -1;
    }
    return 0;
}

static int measure(const struct throughput_plan *plan, struct work *w, struct instance *servers,
                   struct instance *replicas, int count, struct request_source *source, struct rows *rows,
                   char error[512])
{
    for (int round = 0; round < plan->rounds; round++) {
        for (int k = 0; k < count; k++) {
            int n = (round + k) % count;
            struct turn t = {.plan = plan, .work = w, .server = &servers[n], .rows = rows, .number = n};
            t.scheduled = (struct scheduled){
                .schedule = plan->schedule, .server = &servers[n], .replica = &replicas[n], .phase = PHASE_BEFORE};
            fprintf(stderr, "%s.p%d, round %d of %d: %s\n", w->name, w->pipeline, round + 1, plan->rounds,
                    servers[n].of->name);
            if (take_turn(&t, source, error) != 0) return -1;
        }
    }
    for (int n = 0; n < count; n++) set_spread(&curves_of(rows, w)->of[n], &w->latency[n]);
    return 0;
}

int throughput_run(const struct throughput_plan *plan, struct instance *servers, struct instance *replicas, int count,
                   struct rows *rows, char error[512])
{
    struct request_source source;
    struct keys keys;
    struct sizes sizes;
    int status = 0, works = plan->pipeline_count * (plan->request_count ? 1 : 2);
    snprintf(error, 512, "'%.100s' is no distribution of keys, or '%.100s' none of sizes", plan->distribution,
             plan->sizes);
    if (keys_parse(&keys, plan->distribution, (uint64_t)plan->keys) != 0 || sizes_parse(&sizes, plan->sizes) != 0)
        return -1;
    if (request_source_init(&source, &keys, &sizes, plan->seed) != 0) return -1;
    tell_whether_instructions_count(rows);
    for (int i = 0; i < count && status == 0; i++) status = fill(&servers[i], plan, &source, error);
    for (int i = 0; i < works && status == 0; i++) {
        struct work *w = calloc(1, sizeof *w);
        snprintf(error, 512, "no memory");
        status = w ? make_work(w, plan, i, &source, error) : -1;
        if (status == 0) status = measure(plan, w, servers, replicas, count, &source, rows, error);
        if (w) mix_free(&w->mix);
        free(w);
    }
    request_source_free(&source);
    return status;
}
