/* See append_only_parts.h: who waits for the disk. Server process.
 *
 *   answers    with appendfsync always, from the end of their turn until all that had been published by then is
 *              durable: a write must not be acknowledged, and nobody be shown, what a crash of the machine could undo
 *   WAITAOF    and a master that has asked for our acknowledgement: told when their offset is durable
 *   a resync   full, once what our master had when we asked for it is in the file: that is made durable, and he is told
 *   writes     while the journal is further behind than a replica might be (client-output-buffer-limit replica): the
 *              stream that it still needs is kept in memory, and must not grow without bound
 *
 * The journal rings once for the lowest of these offsets; all are looked at then. */
#include "server/core/dataset/append_only_parts.h"

#include "repl/replication.h"
#include "server/base/clock.h"
#include "server/base/log.h"
#include "server/core/dataset/children.h"
#include "server/core/observe/latency.h"
#include "server/core/session/pause.h"
#include "server/net/hold.h"
#include "server/net/loop.h"

#define FSYNC_IS_LATE_MS 2000 /* everysec: Redis's measure for aof_delayed_fsync */

static const char pause_purpose[] = "append only file";

static uint64_t lower_of(uint64_t a, uint64_t b) /* 0: none */
{
    return a && (!b || a < b) ? a : b;
}

/* Those it was called for may have gone meanwhile, and those who came since wait for the next call. */
static uint64_t called_for(const struct append_only *a)
{
    bool under_way = a->group.state == GROUP_SYNCING && journal_durable_offset(a->journal) < a->called_offset;
    return under_way ? a->called_offset : 0;
}

static void watch(struct append_only *a)
{
    uint64_t lowest = lower_of(loop_hold_next_mark(a->core->loop), lower_of(a->watched, called_for(a)));
    if (lowest == a->asked) return;
    a->asked = lowest;
    journal_watch(a->journal, lowest);
}

/* --- answers --- */

static int64_t gathered_long_enough(void *arg)
{
    struct append_only *a = arg;
    a->gather_timer = NULL; /* the turn's end looks at it */
    return LOOP_TIMER_DONE;
}

/* The group that gathers for the next fsync, at a turn's end. */
static void follow_group(struct append_only *a)
{
    struct hold_counts n = loop_hold_counts(a->core->loop);
    int64_t now_us = clock_monotonic_us();
    unsigned answered = n.answers != a->answers ? n.answered : 0;
    bool all = journal_durable_offset(a->journal) >= a->called_offset;
    enum group_action action;
    if (answered || (all && a->group.state == GROUP_SYNCING))
        action = group_commit_answered(&a->group, now_us, answered, n.waiting, all);
    else
        action = group_commit_turn(&a->group, now_us, n.waiting, n.returned);
    a->answers = n.answers;
    if (action == GROUP_GOES) journal_free_to_go(a->journal);
    if (action == GROUP_CALL) {
        a->called_offset = replication_history(a->core->replication)->offset;
        journal_call(a->journal);
    }
    int64_t deadline_us = group_commit_deadline_us(&a->group);
    if (deadline_us && !a->gather_timer)
        a->gather_timer = loop_timer_start_us(a->core->loop, deadline_us - now_us, gathered_long_enough, a);
}

static void end_group(struct append_only *a)
{
    group_commit_reset(&a->group);
    journal_free_to_go(a->journal);
}

/* While the journal cannot write, whoever waits for nothing gets his answers: they say that nothing is accepted, or
 * tell what is known. */
static void mark_answers(struct append_only *a)
{
    struct loop *loop = a->core->loop;
    if (journal_error(a->journal)) loop_hold_let_pass(loop);
    loop_hold_mark(loop, replication_history(a->core->replication)->offset, journal_durable_offset(a->journal));
}

void append_only_follow_fsync(struct append_only *a)
{
    bool always = append_only_settings(a)->fsync == AOF_FSYNC_ALWAYS && !a->fsync_is_held;
    bool held = a->state == APPEND_ONLY_ON && always;
    if (held == loop_holds_output(a->core->loop)) return;
    loop_hold_output(a->core->loop, held);
    if (!held) end_group(a);
    watch(a);
}

void append_only_fsync_changed(struct core *core)
{
    struct append_only *a = core->append_only;
    a->fsync_is_held = append_only_settings(a)->no_fsync_on_rewrite && children_running(core->children) != CHILD_NONE;
    journal_hold_fsync(a->journal, a->fsync_is_held);
    append_only_follow_fsync(a);
}

/* --- who is told --- */

uint64_t append_only_durable_offset(const struct core *core)
{
    const struct append_only *a = core->append_only;
    if (a->state == APPEND_ONLY_OFF) return UINT64_MAX;
    return a->state == APPEND_ONLY_ON ? journal_durable_offset(a->journal) : 0;
}

void append_only_on_durable(struct core *core, void (*tell)(struct core *core))
{
    core->append_only->tell_durable = tell;
}

void append_only_watch(struct core *core, uint64_t offset)
{
    struct append_only *a = core->append_only;
    if (!a->watched || offset < a->watched) a->watched = offset;
    watch(a);
}

void append_only_durable_moved(struct append_only *a)
{
    struct core *core = a->core;
    uint64_t durable = append_only_durable_offset(core);
    if (loop_holds_output(core->loop)) mark_answers(a);
    a->asked = 0; /* the journal has rung for it */
    if (a->watched && durable >= a->watched) {
        a->watched = 0; /* whoever waits on says so again */
        replication_durable_moved(core->replication);
        if (a->tell_durable) a->tell_durable(core);
    }
    watch(a);
}

/* --- what a full resync has brought --- */

void append_only_settle(struct core *core, uint64_t offset)
{
    core->append_only->settle = offset;
}

/* A full resync's snapshot may be older than the resync, and the stream made up for its age: with appendfsync no the
 * base alone would be durable, and who waits for what was there when it was asked for would wait for ever. */
static void settle(struct append_only *a)
{
    uint64_t offset = a->settle;
    if (a->state == APPEND_ONLY_OFF) a->settle = 0; /* who turns it on begins with a base of his own */
    if (a->state != APPEND_ONLY_ON || replication_history(a->core->replication)->offset < offset) return;
    a->settle = 0;
    if (journal_durable_offset(a->journal) >= offset) return;
    append_only_watch(a->core, offset); /* our master is told */
    journal_settle(a->journal, offset);
}

/* --- writes that have to wait --- */

static bool journal_is_behind(const struct append_only *a)
{
    struct backlog *b = repl_stream_backlog(replication_stream(a->core->replication));
    return journal_is_running(a->journal) && b && backlog_journal_is_behind(b);
}

/* Looked at each turn, so that one turn's writes are all that come on top of the limit. */
static void hold_writes(struct append_only *a)
{
    struct core *core = a->core;
    bool behind = journal_is_behind(a);
    if (likely(behind == a->behind)) return;
    a->behind = behind;
    uint64_t offset = replication_history(core->replication)->offset, written = journal_written_offset(a->journal);
    uint64_t lag = journal_is_running(a->journal) && offset > written ? offset - written : 0;
    if (behind) {
        log_warning("Writes wait: %llu bytes of the stream are not in the append only file yet; its limit is that of a "
                    "replica (client-output-buffer-limit replica, %llu)",
                    (unsigned long long)lag, (unsigned long long)core->settings->repl.output_hard_bytes);
        pause_begin(core->pauses, PAUSE_WRITE, INT64_MAX, pause_purpose);
    } else {
        log_notice("Writes go on: %llu bytes of the stream are not in the append only file yet",
                   (unsigned long long)lag);
        pause_end(core->pauses, pause_purpose);
    }
}

void append_only_watch_turn(struct append_only *a)
{
    hold_writes(a);
    if (unlikely(a->settle)) settle(a);
    if (likely(!loop_holds_output(a->core->loop))) return;
    mark_answers(a);
    watch(a);
    follow_group(a);
}

static void count_late_fsyncs(struct append_only *a, int64_t now_ms)
{
    uint64_t durable = journal_durable_offset(a->journal);
    bool all = durable >= journal_written_offset(a->journal);
    bool waited_for = a->state == APPEND_ONLY_ON && append_only_settings(a)->fsync == AOF_FSYNC_EVERYSEC;
    if (all || !waited_for || durable != a->durable_seen) {
        a->durable_seen = durable;
        a->durable_seen_ms = now_ms;
    } else if (now_ms - a->durable_seen_ms > FSYNC_IS_LATE_MS) {
        a->durable_seen_ms = now_ms;
        a->delayed_fsyncs++;
        log_notice("Asynchronous AOF fsync is taking too long (disk is busy?): offset %llu is durable, %llu is written",
                   (unsigned long long)durable, (unsigned long long)journal_written_offset(a->journal));
    }
}

/* The journal's delays, under Redis's names. Whose child writes as well, only the server knows. */
static void note_delay(void *context, enum shm_delay kind, int64_t took_us, int64_t at_s)
{
    static const enum latency_event events[SHM_DELAYS] = {[DELAY_WRITE] = LATENCY_AOF_WRITE_ALONE,
                                                          [DELAY_WRITE_BESIDE_FSYNC] = LATENCY_AOF_WRITE_PENDING_FSYNC,
                                                          [DELAY_FSYNC_ALWAYS] = LATENCY_AOF_FSYNC_ALWAYS};
    const struct core *core = context;
    enum latency_event event = events[kind];
    if (kind == DELAY_WRITE && children_running(core->children) != CHILD_NONE) event = LATENCY_AOF_WRITE_ACTIVE_CHILD;
    if (kind != DELAY_FSYNC_ALWAYS) latency_note(core->latency, LATENCY_AOF_WRITE, took_us, at_s);
    latency_note(core->latency, event, took_us, at_s);
}

void append_only_watch_cron(struct append_only *a, int64_t now_ms)
{
    journal_tell_delays(a->journal, note_delay, a->core);
    append_only_fsync_changed(a->core);
    count_late_fsyncs(a, now_ms);
}
