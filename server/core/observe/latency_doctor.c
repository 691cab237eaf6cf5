/* LATENCY DOCTOR: what was slow, how often, and what helps against it. Server process.
 *
 * The words are Redis's where they hold here, for tools and people look for them; what happens otherwise here (a fork
 * that copies little, keys freed aside) is advised upon as it is. */
#include "server/core/observe/latency_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum advice {
    ADVISE_FORK,
    ADVISE_ENABLE_SLOW_LOG,
    ADVISE_TUNE_SLOW_LOG,
    ADVISE_LOOK_AT_SLOW_LOG,
    ADVISE_LOCAL_DISK,
    ADVISE_SSD,
    ADVISE_WRITEBACK,
    ADVISE_RELAX_FSYNC,
    ADVISE_FEWER_WRITES,
    ADVISE_HZ,
    ADVISE_SMALLER_VALUES,
    ADVISE_NO_SUDDEN_MEMORY,
};

#define BIT(advice) (1u << (advice))
#define DISKS       (BIT(ADVISE_LOCAL_DISK) | BIT(ADVISE_SSD) | BIT(ADVISE_WRITEBACK))

/* Regardless of circumstances; the slow log's and fsync's advice has some. */
static const unsigned advice_for[LATENCY_EVENTS] = {
    [LATENCY_COMMAND] = BIT(ADVISE_LOOK_AT_SLOW_LOG) | BIT(ADVISE_SMALLER_VALUES),
    [LATENCY_RDB_UNLINK] = DISKS,
    [LATENCY_EXPIRE_DEL] = BIT(ADVISE_SMALLER_VALUES),
    [LATENCY_EVICTION_CYCLE] = BIT(ADVISE_SMALLER_VALUES) | BIT(ADVISE_NO_SUDDEN_MEMORY),
    [LATENCY_EVICTION_DEL] = BIT(ADVISE_SMALLER_VALUES),
    [LATENCY_AOF_WRITE] = DISKS,
    [LATENCY_AOF_WRITE_PENDING_FSYNC] = DISKS,
    [LATENCY_AOF_WRITE_ACTIVE_CHILD] = DISKS,
    [LATENCY_AOF_WRITE_ALONE] = DISKS,
    [LATENCY_AOF_FSYNC_ALWAYS] = DISKS | BIT(ADVISE_RELAX_FSYNC),
    [LATENCY_AOF_FSTAT] = DISKS,
    [LATENCY_AOF_RENAME] = DISKS | BIT(ADVISE_FEWER_WRITES),
    [LATENCY_AOF_REWRITE_DIFF_WRITE] = DISKS | BIT(ADVISE_FEWER_WRITES),
};

static void say(struct outq *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct outq *out, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len > 0) outq_append(out, text, (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
}

static const char *fork_rating(double gb_per_s)
{
    if (gb_per_s < 10) return "terrible";
    if (gb_per_s < 25) return "poor";
    return gb_per_s < 100 ? "good" : "excellent";
}

static bool forks_slowly(const struct latency_circumstances *c)
{
    return c->fork_gb_per_s > 0 && c->fork_gb_per_s < 25;
}

static unsigned advise_on(enum latency_event e, const struct latency_circumstances *c)
{
    unsigned advice = advice_for[e];
    if (e == LATENCY_FORK && forks_slowly(c)) advice |= BIT(ADVISE_FORK);
    if (e == LATENCY_EXPIRE_CYCLE && c->hz < 100) advice |= BIT(ADVISE_HZ);
    if (e == LATENCY_EXPIRE_CYCLE) advice |= BIT(ADVISE_SMALLER_VALUES);
    if (!c->fsync_always) advice &= ~BIT(ADVISE_RELAX_FSYNC);
    if (e != LATENCY_COMMAND) return advice;
    if (c->slowlog_slower_than_us < 0) return advice | BIT(ADVISE_ENABLE_SLOW_LOG);
    return c->slowlog_slower_than_us / 1000 > c->threshold_ms ? advice | BIT(ADVISE_TUNE_SLOW_LOG) : advice;
}

static void describe(unsigned number, enum latency_event e, const struct latency_series *s, int64_t now_s,
                     const struct latency_circumstances *c, struct outq *out)
{
    struct latency_summary sum = latency_summarize(s, now_s);
    say(out,
        "%u. %s: %u latency spikes (average %ums, mean deviation %ums, period %.2f sec). Worst all time event %ums.",
        number, latency_event_name(e), sum.spikes, sum.average_ms, sum.mean_deviation_ms, sum.period_s, s->max_ms);
    if (e == LATENCY_FORK && c->fork_gb_per_s > 0)
        say(out, " Fork rate is %.2f GB/sec (%s).", c->fork_gb_per_s, fork_rating(c->fork_gb_per_s));
    say(out, "\n");
}

/* # stands for the threshold, in microseconds. */
static const char *const words[] = {
    [ADVISE_FORK] = "If you are using a virtual machine, consider upgrading it with a faster one using a hypervisior "
                    "that provides less latency during fork() calls. Xen is known to have poor fork() performance. "
                    "Even in the context of the same VM provider, certain kinds of instances can execute fork faster "
                    "than others.",
    [ADVISE_ENABLE_SLOW_LOG] =
        "There are latency issues with potentially slow commands you are using. Try to enable the Slow Log Redis "
        "feature using the command 'CONFIG SET slowlog-log-slower-than #'. If the Slow log is disabled Redis is not "
        "able to log slow commands execution for you.",
    [ADVISE_TUNE_SLOW_LOG] =
        "Your current Slow Log configuration only logs events that are slower than your configured latency monitor "
        "threshold. Please use 'CONFIG SET slowlog-log-slower-than #'.",
    [ADVISE_LOOK_AT_SLOW_LOG] =
        "Check your Slow Log to understand what are the commands you are running which are too slow to execute. "
        "Please check https://redis.io/commands/slowlog for more information.",
    [ADVISE_LOCAL_DISK] =
        "It is strongly advised to use local disks for persistence, especially if you are using AOF. Remote disks "
        "provided by platform-as-a-service providers are known to be slow.",
    [ADVISE_SSD] = "SSD disks are able to reduce fsync latency, and total time needed for snapshotting and AOF log "
                   "rewriting (resulting in smaller memory usage).",
    [ADVISE_WRITEBACK] =
        "Mounting ext3/4 filesystems with data=writeback can provide a performance boost compared to data=ordered; "
        "after a hard crash the AOF file may then end in a half-written command and have to be repaired.",
    [ADVISE_RELAX_FSYNC] = "Your fsync policy is set to 'always'. It is very hard to get good performances with such a "
                           "setup, if possible try to relax the fsync policy to 'everysec'.",
    [ADVISE_FEWER_WRITES] =
        "Latency at the end of an AOF rewrite is sometimes caused by very high write load. If possible try to send "
        "less commands to accomplish the same work, or use Lua scripts to group multiple operations into a single "
        "EVALSHA call.",
    [ADVISE_HZ] = "In order to make the Redis keys expiring process more incremental, try to set the 'hz' "
                  "configuration parameter to 100 using 'CONFIG SET hz 100'.",
    [ADVISE_SMALLER_VALUES] =
        "Deleting, expiring or evicting (because of maxmemory policy) large objects is a blocking operation. If you "
        "have very large objects that are often deleted, expired, or evicted, try to fragment those objects into "
        "multiple smaller objects.",
    [ADVISE_NO_SUDDEN_MEMORY] =
        "Sudden changes to the 'maxmemory' setting via 'CONFIG SET', or allocation of large objects via sets or sorted "
        "sets intersections, STORE option of SORT, RESTORE of large keys, may create sudden memory pressure forcing "
        "the server to block trying to evict keys.",
};

static void give_advice(unsigned advice, const struct latency_circumstances *c, struct outq *out)
{
    say(out, "\nI have a few advices for you:\n\n");
    for (unsigned a = 0; a < sizeof words / sizeof *words; a++) {
        if (!(advice & BIT(a))) continue;
        const char *number = strchr(words[a], '#');
        if (number)
            say(out, "- %.*s%lld%s\n", (int)(number - words[a]), words[a], (long long)c->threshold_ms * 1000,
                number + 1);
        else
            say(out, "- %s\n", words[a]);
    }
}

static unsigned describe_all(const struct latency_monitor *m, const struct latency_circumstances *c, int64_t now_s,
                             unsigned *advice, struct outq *out)
{
    unsigned events = 0;
    for (enum latency_event e = 0; e < LATENCY_EVENTS; e++) {
        const struct latency_series *s = latency_series(m, e);
        if (!s) continue;
        if (!events++)
            say(out, "Dave, I have observed latency spikes in this Redis instance. You don't mind talking about it, do "
                     "you Dave?\n\n");
        describe(events, e, s, now_s, c, out);
        *advice |= advise_on(e, c);
    }
    return events;
}

void latency_doctor(const struct latency_monitor *m, const struct latency_circumstances *c, int64_t now_s,
                    struct outq *out)
{
    unsigned advice = 0, events = describe_all(m, c, now_s, &advice, out);
    if (!events && !latency_is_on(m))
        say(out, "I'm sorry, Dave, I can't do that. Latency monitoring is disabled in this Redis instance. You may use "
                 "\"CONFIG SET latency-monitor-threshold <milliseconds>.\" in order to enable it. If we weren't in a "
                 "deep space mission I'd suggest to take a look at https://redis.io/topics/latency-monitor.\n");
    else if (!events)
        say(out, "Dave, no latency spike was observed during the lifetime of this Redis instance, not in the slightest "
                 "bit. I honestly think you ought to sit down calmly, take a stress pill, and think things over.\n");
    else if (advice)
        give_advice(advice, c, out);
    else
        say(out, "\nWhile there are latency events logged, I'm not able to suggest any easy fix: nothing of what I "
                 "know to advise applies to them.\n");
}
