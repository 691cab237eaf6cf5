/* slipstream-bench: servers side by side, any that speak Redis's protocol, under a load generator of its own. */
#include "bench/load/null_server.h"
#include "bench/program/compare.h"
#include "bench/program/options.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- the run --- */

/* The servers own the first processor, and the load the second, where there are two. */
static void pin(void)
{
    if (sysconf(_SC_NPROCESSORS_ONLN) >= 2) process_pin_self(2);
}

static int start(struct instance *i, struct contestant *of, const char *role, char error[512])
{
    char why[256];
    instance_init(i, of, role);
    i->directives = &of->directives;
    i->cpu = sysconf(_SC_NPROCESSORS_ONLN) < 2 ? 0 : 1;
    if (instance_start(i, why) != 0) {
        snprintf(error, 512, "%s", why);
        return -1;
    }
    if (i->pid) instance_set(i, "save", ""); /* no snapshots but those that the schedule wants */
    return 0;
}

/* Who it is, and what it was not told because it does not know it. */
static void note_server(struct rows *rows, struct instance *i)
{
    int n = rows->server_count++;
    snprintf(rows->servers[n].name, sizeof rows->servers[n].name, "%s", i->of->name);
    instance_version(i, rows->servers[n].version);
    directives_describe(&i->of->directives, rows->servers[n].note, sizeof rows->servers[n].note);
    if (rows->servers[n].note[0]) fprintf(stderr, "%s: %s\n", rows->servers[n].name, rows->servers[n].note);
}

static void describe_throughput(const struct throughput_plan *p, FILE *out)
{
    fprintf(out, "%ld keys (%s), values of %s bytes, %d connections, %d rounds of %d ms, ", p->keys, p->distribution,
            p->sizes, p->connections, p->rounds, p->duration_ms);
    if (p->rate_per_s > 0)
        fprintf(out, "%g requests a second, latency from when due", p->rate_per_s);
    else
        fputs("as fast as answered", out);
    for (int i = 0; i < p->request_count; i++) fprintf(out, "%s%s", i ? "; " : ". The mix: ", p->requests[i]);
}

/* How all was measured, for a reader who has the report alone. */
static void describe(const struct options *o, char *text, size_t size)
{
    FILE *out = fmemopen(text, size - 1, "w");
    if (!out) return;
    if (o->throughput) describe_throughput(&o->plan, out);
    for (int i = 0; i < o->directives.count; i++)
        fprintf(out, "%s%s", i ? ", " : o->throughput ? ". Directives: " : "Directives: ", o->directives.lines[i]);
    fclose(out);
}

static int start_all(struct options *o, struct instance *servers, struct instance *replicas, struct rows *rows,
                     char error[512])
{
    for (int i = 0; i < o->server_count; i++) {
        if (start(&servers[i], &o->servers[i], "server", error) != 0) return -1;
        if (o->plan.schedule == SCHEDULE_REPLICA && start(&replicas[i], &o->servers[i], "replica", error) != 0)
            return -1;
        note_server(rows, &servers[i]);
    }
    return 0;
}

static int run_throughput(struct options *o, struct rows *rows, char error[512])
{
    static struct instance servers[CONTESTANTS_MAX], replicas[CONTESTANTS_MAX];
    int status = start_all(o, servers, replicas, rows, error);
    if (status == 0) status = throughput_run(&o->plan, servers, replicas, o->server_count, rows, error);
    for (int i = 0; i < o->server_count; i++) {
        instance_free(&servers[i]);
        instance_free(&replicas[i]);
    }
    return status;
}

/* Started once, where no throughput has told who it is and which directives it knows. */
static int ask_versions(struct options *o, struct rows *rows, char error[512])
{
    struct instance i;
    for (int n = 0; n < o->server_count; n++) {
        int status = start(&i, &o->servers[n], "version", error);
        if (status == 0) note_server(rows, &i);
        instance_free(&i);
        if (status) return status;
    }
    return 0;
}

static int run(struct options *o, struct rows *rows, char error[512])
{
    pin();
    int status = o->throughput ? run_throughput(o, rows, error) : ask_versions(o, rows, error);
    for (int i = 0; i < o->part_count && status == 0; i++) {
        struct bench b = {o->servers, o->server_count, o->plan.rounds, rows, o->parts[i]->name};
        fprintf(stderr, "%s: %s\n", o->parts[i]->name, o->parts[i]->what);
        o->parts[i]->run(&b);
    }
    return status;
}

static bool is_standard_output(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

static int write_report(const char *path, void (*report)(const struct rows *r, FILE *out), const struct rows *r)
{
    if (!path) return 0;
    FILE *out = is_standard_output(path) ? stdout : fopen(path, "w");
    if (!out) {
        fprintf(stderr, "slipstream-bench: %s: %s\n", path, strerror(errno));
        return -1;
    }
    report(r, out);
    int bad = ferror(out);
    if (out != stdout) bad |= fclose(out);
    return bad ? -1 : 0;
}

/* An open loop whose own lateness is a good part of the latency measured this machine, and not the server. */
static void tell_lateness(struct rows *rows)
{
    static const char late[] = ".generator.late.p99";
    for (int i = 0; i < rows->count; i++) {
        const struct row *row = &rows->list[i];
        char name[sizeof row->name];
        size_t len = strlen(row->name);
        if (len < strlen(late) || strcmp(row->name + len - strlen(late), late) != 0) continue;
        snprintf(name, sizeof name, "%.*s.p99", (int)(len - strlen(late)), row->name);
        const struct row *latency = rows_find(rows, row->part, name);
        for (int s = 0; s < rows->server_count && latency; s++) {
            if (!(samples_summary(&row->of[s]).median > samples_summary(&latency->of[s]).median / 4)) continue;
            size_t end = strlen(rows->servers[s].note);
            snprintf(rows->servers[s].note + end, sizeof rows->servers[s].note - end, "%sthe load was late itself (%s)",
                     end ? "; " : "", row->name);
        }
    }
}

static int report(const struct options *o, struct rows *rows)
{
    tell_lateness(rows);
    int missed = targets_apply(&o->targets, rows);
    if (!is_standard_output(o->json) && !is_standard_output(o->csv) && !is_standard_output(o->html))
        rows_table(rows, stdout);
    if (missed) fprintf(stderr, "%d target%s missed\n", missed, missed == 1 ? "" : "s");
    int bad = write_report(o->json, rows_json, rows) | write_report(o->csv, rows_csv, rows) |
              write_report(o->html, rows_html, rows);
    return bad ? 2 : missed ? 1 : 0;
}

static int null_server(const char *text)
{
    long port;
    if (whole_number(text, 1, 65535, &port) != 0) return usage(stderr);
    null_server_run((int)port);
    fprintf(stderr, "slipstream-bench: port %ld: %s\n", port, strerror(errno));
    return 2;
}

int main(int argc, char **argv)
{
    static struct options o;
    struct rows rows = {.list = NULL};
    char error[512];
    if (argc < 2) return usage(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return usage(stdout);
    if (strcmp(argv[1], "compare") == 0) return compare_run(argc - 2, argv + 2);
    if (argc >= 3 && strcmp(argv[1], "null-server") == 0)
        return null_server(argv[2]); /* directives mean nothing to it */
    signal(SIGPIPE, SIG_IGN);
    if (options_read(&o, argc, argv) != 0) return 2;
    rows.seed = o.plan.seed;
    describe(&o, rows.what, sizeof rows.what);
    if (run(&o, &rows, error) != 0) {
        complain(error);
        return 1;
    }
    int status = report(&o, &rows);
    rows_free(&rows);
    return status;
}
