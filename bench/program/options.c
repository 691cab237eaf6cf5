/* See options.h. */
#include "bench/program/options.h"

#include "bench/servers/option_pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECTIONS_MAX 10000

int usage(FILE *out)
{
    fputs(
        "slipstream-bench: servers side by side, any that speak Redis's protocol\n\n"
        "  1  name two servers by the commands that start them; the first is the baseline of all ratios:\n"
        "       slipstream-bench --server a='redis-server --port {port} --dir {dir}' \\\n"
        "                        --server b='valkey-server --port {port} --dir {dir}'\n"
        "  2  each gets a free port and an empty directory, and the same keys; all are measured in turn,\n"
        "     round by round\n"
        "  3  read the last columns: the ratio to the baseline, and the interval it lies in; where that holds 1, this\n"
        "     run shows no difference: more --rounds narrow it\n"
        "  4  a load like yours: --request '9:GET key:{key}' --request '1:SET key:{key} {value}' --value 10-1000\n"
        "     --distribution zipf:0.99 --clients 200 --pipeline 1,16\n"
        "  5  a stall shows when requests come at a fixed pace: --rate 20000 --schedule bgsave\n"
        "  6  a page to look at, and rows to keep: --html report.html --json new.json\n"
        "  7  what became slower since: slipstream-bench compare old.json new.json\n"
        "  8  a server that runs already: --attach a=host:6379 (keys key:... are written there, and stay)\n\n"
        "Options:\n"
        "  --server NAME='COMMAND with {port} and {dir}'   --attach NAME=HOST:PORT   REDISCLI_AUTH is the password\n"
        "  --rounds N  --clients N  --pipeline N,...  --duration MS  --warm-up MS  --keys N\n"
        "  --rate N         open loop: N requests a second, latency from when one was due; 0: as fast as answered\n"
        "  --request '[WEIGHT:]WORDS'   several are one mix; without: SET, then GET\n"
        "  --distribution uniform|zipf:0.99|hot:0.01:0.9  --value 64|10-1000|64*9,1024*1   (bytes*weight)\n"
        "  --schedule steady|bgsave|replica   in the middle of a round a BGSAVE begins, or a replica joins; latency\n"
        "                   is told for before, meanwhile and after\n"
        "  --config 'NAME VALUE'   a directive for all servers; one that does not know it goes without, which is told\n"
        "  --parts NAME,...  throughput, what is measured unless told otherwise; all; or, of servers that take a\n"
        "                   configuration file, one of those below\n"
        "  --html FILE  --json FILE  --csv FILE   one page; rows with stable names (- is standard output)\n"
        "  --targets FILE   lines SERVER PART ROW ratio|value <=|>= NUMBER; ends with 1 if one is missed\n"
        "  --seed N         the same requests again\n"
        "  compare OLD.json NEW.json [PERCENT]   ends with 1 if something is worse by more than so much (5)\n"
        "  null-server PORT   answers +OK to each request: what the generator itself costs\n\n"
        "Ends with 1 when a server failed, and says how; with 2 if it could not begin.\n",
        out);
    fputs("\nParts beside throughput:\n", out);
    for (const struct part *p = parts; p->name; p++) fprintf(out, "  %-12s %s\n", p->name, p->what);
    return out == stderr ? 2 : 0;
}

int complain(const char *error)
{
    fprintf(stderr, "slipstream-bench: %s\n", error);
    return -1;
}

int whole_number(const char *text, long low, long high, long *value)
{
    char *end;
    errno = 0;
    *value = strtol(text, &end, 10);
    return errno || end == text || *end || *value < low || *value > high ? -1 : 0;
}

static int take_int(const char *text, long low, long high, int *value)
{
    long n;
    if (whole_number(text, low, high, &n) != 0) return -1;
    *value = (int)n;
    return 0;
}

static int take_pipelines(struct throughput_plan *p, const char *text)
{
    char copy[128], *rest = copy;
    snprintf(copy, sizeof copy, "%s", text);
    p->pipeline_count = 0;
    for (char *word; (word = strsep(&rest, ","));)
        if (p->pipeline_count == PIPELINES_MAX || take_int(word, 1, 10000, &p->pipelines[p->pipeline_count++]) != 0)
            return -1;
    return 0;
}

static int take_schedule(struct throughput_plan *p, const char *text)
{
    for (enum schedule s = SCHEDULE_STEADY; s <= SCHEDULE_REPLICA; s++) {
        if (strcmp(text, schedule_name(s)) != 0) continue;
        p->schedule = s;
        return 0;
    }
    return -1;
}

/* "throughput", a part's name, or "all". */
static int take_part(struct options *o, const char *name)
{
    bool all = strcmp(name, "all") == 0, known = all || strcmp(name, "throughput") == 0;
    o->throughput |= known;
    for (const struct part *p = parts; p->name; p++) {
        if (!all && strcmp(name, p->name) != 0) continue;
        if (o->part_count == PARTS_MAX) return -1;
        o->parts[o->part_count++] = p;
        known = true;
    }
    return known ? 0 : -1;
}

static int take_parts(struct options *o, const char *text)
{
    char copy[256], *rest = copy;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *name; (name = strsep(&rest, ","));)
        if (take_part(o, name) != 0) return -1;
    return 0;
}

static int add_server(struct options *o, const char *text, char error[256])
{
    snprintf(error, 256, "more than %d servers", CONTESTANTS_MAX);
    return o->server_count == CONTESTANTS_MAX ? -1 : contestant_parse(&o->servers[o->server_count++], text, error);
}

/* NAME=HOST:PORT of one that runs. */
static int attach_server(struct options *o, const char *text, char error[256])
{
    size_t len = strcspn(text, "=");
    char name[sizeof o->servers->name];
    snprintf(error, 256, "--attach wants NAME=HOST:PORT, not '%.100s'", text);
    if (!len || !text[len] || len >= sizeof name) return -1;
    snprintf(name, sizeof name, "%.*s", (int)len, text);
    if (o->server_count == CONTESTANTS_MAX) snprintf(error, 256, "more than %d servers", CONTESTANTS_MAX);
    return o->server_count == CONTESTANTS_MAX
               ? -1
               : contestant_attach(&o->servers[o->server_count++], name, text + len + 1, error);
}

/* 0; -1: `error` says why; 1: there is no such option. */
static int take_option(void *options, const char *name, const char *value, char error[256])
{
    struct options *o = options;
    struct throughput_plan *p = &o->plan;
    char *end;
    if (strcmp(name, "server") == 0) return add_server(o, value, error);
    if (strcmp(name, "attach") == 0) return attach_server(o, value, error);
    if (strcmp(name, "targets") == 0) return targets_read(&o->targets, value, error);
    snprintf(error, 256, "'%.100s' is no value of --%.40s", value, name);
    if (strcmp(name, "rounds") == 0) return take_int(value, 1, SAMPLES_MAX, &p->rounds);
    if (strcmp(name, "clients") == 0) return take_int(value, 1, CONNECTIONS_MAX, &p->connections);
    if (strcmp(name, "pipeline") == 0) return take_pipelines(p, value);
    if (strcmp(name, "duration") == 0) return take_int(value, 1, 86400000, &p->duration_ms);
    if (strcmp(name, "warm-up") == 0) return take_int(value, 0, 86400000, &p->warm_up_ms);
    if (strcmp(name, "keys") == 0) return whole_number(value, 1, 1000000000, &p->keys);
    if (strcmp(name, "config") == 0) return directives_add(&o->directives, value);
    if (strcmp(name, "parts") == 0) return take_parts(o, value);
    if (strcmp(name, "schedule") == 0) return take_schedule(p, value);
    if (strcmp(name, "rate") == 0) {
        p->rate_per_s = strtod(value, &end);
        return end == value || *end || !(p->rate_per_s >= 0) || p->rate_per_s > 1e9 ? -1 : 0;
    }
    if (strcmp(name, "seed") == 0) {
        p->seed = strtoull(value, &end, 10);
        return end == value || *end ? -1 : 0;
    }
    if (strcmp(name, "request") == 0) {
        if (p->request_count == REQUESTS_MAX) return -1;
        p->requests[p->request_count++] = value;
        return 0;
    }
    const char **text = strcmp(name, "distribution") == 0 ? &p->distribution
                        : strcmp(name, "value") == 0      ? &p->sizes
                        : strcmp(name, "json") == 0       ? &o->json
                        : strcmp(name, "csv") == 0        ? &o->csv
                        : strcmp(name, "html") == 0       ? &o->html
                                                          : NULL;
    if (!text) return 1;
    *text = value;
    return 0;
}

int options_read(struct options *o, int argc, char **argv)
{
    char error[256];
    o->plan = (struct throughput_plan){.pipelines = {1, 16},
                                       .pipeline_count = 2,
                                       .distribution = "uniform",
                                       .sizes = "64",
                                       .keys = 100000,
                                       .connections = 50,
                                       .rounds = 5,
                                       .duration_ms = 2000,
                                       .warm_up_ms = 200,
                                       .seed = (uint64_t)time(NULL)};
    if (option_pairs_read(argc, argv, take_option, o, error) != 0) return complain(error);
    o->throughput |= !o->part_count;
    if (!o->server_count) return complain("no --server is named; --help has an example");
    for (int i = 0; i < o->server_count; i++) {
        o->servers[i].directives = o->directives;
        if (o->servers[i].host[0] && (o->part_count || o->directives.count || o->plan.schedule == SCHEDULE_REPLICA))
            return complain("--parts, --config and --schedule replica start servers: --attach names one that runs");
    }
    return 0;
}
