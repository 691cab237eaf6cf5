/* See throughput.h. The order of the servers turns from round to round, so that whatever else the machine does hits all
 * alike. Keys are filled first: a GET of a missing key costs a part of a hit. */
#include "bench/program/throughput.h"

#include "bench/load/generator.h"
#include "bench/program/threads.h"
#include "tests/harness/process.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define FILL_BATCH 1000
#define SILENCE_S  60
#define BOUND_S    30
#define MS         1000000ll

struct work {
    char name[24];
    struct mix mix;
    int pipeline;
};

/* One server's turn in a round. */
struct turn {
    const struct throughput_plan *plan;
    struct work *work;
    struct instance *server, *replica;
    struct rows *rows;
    int number;
    struct threads before;
    int64_t cpu_before_us;
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
    if (!t->server->pid) return;
    threads_read(&t->before, t->server->pid);
    t->cpu_before_us = process_tree_cpu_us(t->server->pid);
}

static void strike(void *context)
{
    struct turn *t = context;
    struct instance *i = t->plan->schedule == SCHEDULE_BGSAVE ? t->server : t->replica;
    int done = 0;
    if (t->plan->schedule == SCHEDULE_BGSAVE)
        redisAppendCommand(i->client, "BGSAVE");
    else
        redisAppendCommand(i->client, "REPLICAOF %s %d", t->server->host, t->server->port);
    while (redisBufferWrite(i->client, &done) == REDIS_OK && !done) continue;
}

/* The answer to what was struck; a replica is taken away again. */
static int end_strike(struct turn *t, char error[512])
{
    struct instance *i = t->plan->schedule == SCHEDULE_BGSAVE ? t->server : t->replica;
    redisReply *r = NULL;
    if (t->plan->schedule == SCHEDULE_STEADY) return 0;
    int status = redisGetReply(i->client, (void **)&r) == REDIS_OK && r->type == REDIS_REPLY_STATUS ? 0 : -1;
    if (status) snprintf(error, 512, "server '%s': %.200s", i->of->name, r ? r->str : i->client->errstr);
    freeReplyObject(r);
    if (t->plan->schedule == SCHEDULE_REPLICA) freeReplyObject(instance_command(i, "REPLICAOF NO ONE"));
    return status;
}

static void add(struct turn *t, const char *name, const char *unit, enum row_better better, double value)
{
    char full[112];
    snprintf(full, sizeof full, "%s.p%d.%s", t->work->name, t->work->pipeline, name);
    rows_add(t->rows, t->number, "throughput", full, unit, better, value);
}

static void add_threads(struct turn *t, double replies)
{
    struct threads now;
    char name[56];
    threads_read(&now, t->server->pid);
    threads_since(&now, &t->before);
    for (int i = 0; i < now.count; i++) {
        if (!now.list[i].cpu_us) continue;
        snprintf(name, sizeof name, "cpu.%s", now.list[i].name);
        add(t, name, "us/req", NEITHER_IS_BETTER, (double)now.list[i].cpu_us / replies);
    }
}

static void add_rows(struct turn *t, const struct load_result *r)
{
    static const struct {
        const char *name;
        double percent;
    } latencies[] = {{"p50", 50}, {"p99", 99}, {"p99.9", 99.9}, {"max", 100}};
    double replies = (double)r->replies;
    add(t, "requests", "1/s", t->plan->rate_per_s > 0 ? NEITHER_IS_BETTER : MORE_IS_BETTER,
        replies * 1e9 / (double)r->elapsed_ns);
    for (size_t i = 0; i < sizeof latencies / sizeof *latencies; i++)
        add(t, latencies[i].name, "us", LESS_IS_BETTER,
            (double)histogram_percentile(&r->latency, latencies[i].percent) / 1000);
    if (t->server->pid) {
        double cpu_us = (double)(process_tree_cpu_us(t->server->pid) - t->cpu_before_us);
        add(t, "cpu", "us/req", LESS_IS_BETTER, cpu_us / replies);
        add_threads(t, replies);
    }
    add(t, "generator.cpu", "us/req", NEITHER_IS_BETTER, (double)r->cpu_ns / 1000 / replies);
    if (t->plan->rate_per_s > 0)
        add(t, "generator.late.p99", "us", NEITHER_IS_BETTER, (double)histogram_percentile(&r->late, 99) / 1000);
}

static int drive(struct turn *t, const int *sockets, struct request_source *source, char error[512])
{
    const struct throughput_plan *p = t->plan;
    struct load_event events[] = {{0, begin_turn, t}, {p->duration_ms * MS / 2, strike, t}};
    struct load_plan load = {.sockets = sockets,
                             .connections = p->connections,
                             .mix = &t->work->mix,
                             .source = source,
                             .pipeline = t->work->pipeline,
                             .rate_per_s = p->rate_per_s,
                             .warm_up_ns = p->warm_up_ms * MS,
                             .duration_ns = p->duration_ms * MS,
                             .silence_ns = SILENCE_S * 1000 * MS,
                             .events = events,
                             .event_count = p->schedule == SCHEDULE_STEADY ? 1 : 2};
    struct load_result *result = malloc(sizeof *result);
    char why[256] = "no memory";
    int status = result ? load_run(&load, result, why) : -1;
    if (status == 0 && result->errors) {
        snprintf(why, sizeof why, "%" PRIu64 " error replies, the first: %s", result->errors, result->first_error);
        status = -1;
    } else if (status == 0 && !result->replies) {
        snprintf(why, sizeof why, "no request was answered within the measured time");
        status = -1;
    }
    if (status) snprintf(error, 512, "server '%s', %s: %s", t->server->of->name, t->work->name, why);
    if (status == 0) status = end_strike(t, error);
    if (status == 0) add_rows(t, result);
    free(result);
    return status;
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
    if (status == 0 && open == count) status = drive(t, sockets, source, error);
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
            struct turn t = {plan, w, &servers[n], &replicas[n], rows, n, {.count = 0}, 0};
            fprintf(stderr, "%s.p%d, round %d of %d: %s\n", w->name, w->pipeline, round + 1, plan->rounds,
                    servers[n].of->name);
            if (take_turn(&t, source, error) != 0) return -1;
        }
    }
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
    for (int i = 0; i < count && status == 0; i++) status = fill(&servers[i], plan, &source, error);
    for (int i = 0; i < works && status == 0; i++) {
        struct work w = {.pipeline = 0};
        status = make_work(&w, plan, i, &source, error);
        if (status == 0) status = measure(plan, &w, servers, replicas, count, &source, rows, error);
        mix_free(&w.mix);
    }
    request_source_free(&source);
    return status;
}
