/* See try.h. */
#include "bench/lab/try.h"

#include "bench/lab/compare.h"
#include "bench/lab/writer.h"
#include "tests/harness/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATCH_UP_BOUND_MS 60000
#define ANSWER_BOUND_MS   1000
#define LOOK_US           500
#define GRACE_MS          2000 /* for a writer whose master was away */

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {"as predicted", "FINDING", "not here", "failed"};
    return names[verdict];
}

/* What a master counts. */
struct counts {
    long long full, partial, forks;
};

static struct counts count_syncs(struct instance *master)
{
    char *info = instance_info(master, "stats", ANSWER_BOUND_MS);
    struct counts c = {info_number_of(info, "sync_full"), info_number_of(info, "sync_partial_ok"),
                       info_number_of(info, "total_forks")};
    free(info);
    return c;
}

static enum granted counted(const struct counts *before, const struct counts *after)
{
    if (after->full > before->full) return GRANTED_FULL;
    return after->partial > before->partial ? GRANTED_PARTIAL : GRANTED_NOTHING;
}

/* --- the course of a try --- */

struct course {
    const struct cell *cell;
    struct scene scene;
    struct tracker *tracker;
    struct try_result *out;
    struct counts before;
    int64_t struck_us;
    uint64_t connections; /* through the proxy, up to the fault */
    uint64_t bytes;       /* to the replica, up to the healing */
};

static bool stopped_by(struct course *c, int status, const char *why)
{
    if (!status) return false;
    c->out->verdict = status == FAULT_NOT_HERE ? VERDICT_NOT_HERE : VERDICT_FAILED;
    snprintf(c->out->sentence, sizeof c->out->sentence, "%s", why);
    return true;
}

static void read_both(struct course *c, struct prediction *out)
{
    char *master = instance_info(&c->scene.master, "replication", ANSWER_BOUND_MS);
    char *replica = instance_info(&c->scene.replica, "replication", ANSWER_BOUND_MS);
    predict(c->cell->fault, c->cell->length_ms, c->scene.settings.timeout_s, master, replica, out);
    free(master);
    free(replica);
}

/* A fault that heals itself is decided upon while it lasts: nobody writes before that. */
static bool strike_and_write(struct course *c)
{
    const struct cell *cell = c->cell;
    char why[256] = "";
    int64_t start_ms = clock_ms();
    c->out->fault_from_ms = tracker_now_ms(c->tracker);
    c->before = count_syncs(&c->scene.master);
    if (cell->fault->heals_itself) read_both(c, &c->out->predicted);
    c->struck_us = clock_us();
    if (stopped_by(c, cell->fault->strike(&c->scene, why), why)) return false;
    tracker_watch(c->tracker, &c->scene.master, &c->scene.replica);
    bool renewed = !cell->fault->heals_itself && !cell->fault->asks_within;
    if (renewed) c->connections = wire_log_connections(&c->scene.wire);
    if (!cell->fault->stops_master && !cell->fault->asks_within) c->before = count_syncs(&c->scene.master);
    uint64_t rate = cell->fault->writes_itself ? 0 : cell->bytes_per_s;
    struct writer_plan plan = {
        .host = c->scene.master.host,
        .port = c->scene.master.port,
        .bytes_per_s = rate,
        .bytes = rate * (uint64_t)cell->length_ms / 1000,
        .value_bytes = cell->value_bytes,
        .keys = cell->keys,
        .seed = c->out->seed,
    };
    struct writer *writer = writer_start(&plan);
    while (clock_ms() - start_ms < cell->length_ms) sleep_us(LOOK_US);
    struct written written = writer_end(writer, cell->fault->breaks ? GRACE_MS : 0);
    c->out->writes_acknowledged = written.acknowledged;
    return true;
}

static bool heal(struct course *c)
{
    char why[256] = "";
    const struct fault *fault = c->cell->fault;
    if (fault->prepare && stopped_by(c, fault->prepare(&c->scene, why), why)) return false;
    if (!fault->heals_itself) read_both(c, &c->out->predicted);
    c->bytes = proxy_bytes_to_caller(c->scene.proxy);
    c->out->fault_to_ms = tracker_now_ms(c->tracker);
    if (fault->heal) return !stopped_by(c, fault->heal(&c->scene, why), why);
    proxy_heal(c->scene.proxy);
    return true;
}

/* Before a fault that heals itself nobody knows how far the stream will be when the replica asks. With about a backlog
 * written by then, either answer is right. */
static void allow_for_writes(struct course *c, int64_t answered_us)
{
    const struct cell *cell = c->cell;
    struct prediction *p = &c->out->predicted;
    uint64_t written = cell->bytes_per_s * (uint64_t)(answered_us - c->struck_us) / 1000000;
    if (!cell->fault->heals_itself || c->out->on_wire != GRANTED_FULL || written < cell->backlog_bytes / 2) return;
    p->granted = GRANTED_FULL;
    snprintf(p->why, sizeof p->why, "about %llu bytes were written before it was back, the backlog has %llu",
             (unsigned long long)written, (unsigned long long)cell->backlog_bytes);
}

/* In step is not enough where the connection must have been made anew: the old one may not be known to be dead. */
static void catch_up(struct course *c)
{
    struct try_result *out = c->out;
    struct handshake h = {.granted = GRANTED_NOTHING};
    int64_t healed_us = clock_us(), until_ms = clock_ms() + CATCH_UP_BOUND_MS;
    int64_t answered_us = 0;
    bool expected = out->predicted.granted != GRANTED_NOTHING;
    out->caught_up_ms = out->caught_up_at_ms = -1;
    while (clock_ms() < until_ms) {
        bool answered =
            wire_log_answered(&c->scene.wire, c->connections + 1, 1 + c->scene.more_count, &h, &answered_us);
        if ((answered || !expected) && scene_in_step(&c->scene)) {
            out->caught_up_at_ms = tracker_now_ms(c->tracker);
            out->caught_up_ms = (double)(clock_us() - healed_us) / 1000;
            if (c->cell->fault->heals_itself && answered)
                out->caught_up_ms = (double)(answered_us - c->struck_us) / 1000;
            break;
        }
        sleep_us(LOOK_US);
    }
    wire_log_answered(&c->scene.wire, c->connections + 1, 1 + c->scene.more_count, &h, &answered_us);
    out->on_wire = h.granted;
    if (h.granted) allow_for_writes(c, answered_us);
    snprintf(out->answer, sizeof out->answer, "%s", h.answer);
    out->bytes_again = proxy_bytes_to_caller(c->scene.proxy) - c->bytes;
    struct counts after = count_syncs(&c->scene.master);
    out->by_info = counted(&c->before, &after);
    out->forks = after.forks < 0 ? -1 : after.forks - c->before.forks;
}

static void judge(struct course *c)
{
    struct try_result *out = c->out;
    char difference[160] = "";
    size_t room = sizeof out->sentence;
    out->verdict = VERDICT_FINDING;
    out->data_equal = out->caught_up_ms >= 0 && same_data(&c->scene.master, &c->scene.replica, difference);
    for (int i = 0; out->data_equal && i < c->scene.more_count; i++)
        out->data_equal = same_data(&c->scene.master, &c->scene.more[i], difference);
    if (out->caught_up_ms < 0)
        snprintf(out->sentence, room, "The replica has not caught up %d s after the fault was healed.",
                 CATCH_UP_BOUND_MS / 1000);
    else if (!out->data_equal)
        snprintf(out->sentence, room, "Offsets are equal and the data are not: %s.", difference);
    else if (out->on_wire != out->by_info)
        snprintf(out->sentence, room, "The wire says %s (%s) and the master's counters say %s.",
                 granted_name(out->on_wire), out->answer, granted_name(out->by_info));
    else if (out->on_wire != out->predicted.granted)
        snprintf(out->sentence, room, "Expected %s (%s), and it was %s.", granted_name(out->predicted.granted),
                 out->predicted.why, granted_name(out->on_wire));
    else
        out->verdict = VERDICT_AS_PREDICTED;
}

void try_cell(const struct cell *cell, uint64_t seed, struct try_result *out)
{
    struct course c = {.cell = cell, .out = out};
    struct scene_settings settings = {
        .master = cell->master,
        .replica = cell->replica,
        .backlog_bytes = cell->backlog_bytes,
        .timeout_s = cell->timeout_s,
        .keys = cell->keys,
        .value_bytes = cell->value_bytes,
        .sibling = cell->fault->wants_sibling,
        .more_replicas = cell->fault->more_replicas,
        .chain = cell->fault->wants_chain,
        .seed = seed,
        .length_ms = cell->length_ms,
    };
    char why[256] = "";
    *out = (struct try_result){.seed = seed, .caught_up_ms = -1, .caught_up_at_ms = -1, .writes_lost = -1};
    if (cell->master->host[0] && !cell->fault->by_wire) {
        stopped_by(&c, FAULT_NOT_HERE, "servers that run already have the faults of a line alone");
        return;
    }
    if (!stopped_by(&c, scene_set(&c.scene, &settings, why), why)) {
        c.connections = wire_log_connections(&c.scene.wire);
        c.tracker = tracker_start(&c.scene.master, &c.scene.replica);
        if (strike_and_write(&c) && heal(&c)) {
            catch_up(&c);
            judge(&c);
            scene_count_lost(&c.scene);
            if (c.scene.counts_losses) out->writes_lost = (int64_t)c.scene.lost;
            out->writes_acknowledged += c.scene.doomed;
        }
        tracker_end(c.tracker, &out->track);
    }
    scene_clear(&c.scene);
}
