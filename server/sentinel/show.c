/* Masters, replicas and Sentinels as maps of names and texts. Sentinel process; pure. */
#include "server/sentinel/show.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct map_reply {
    struct reply *reply;
    size_t pairs;
};

static void __attribute__((format(printf, 3, 4))) field(struct map_reply *m, const char *name, const char *format, ...)
{
    char text[2 * SENTINEL_HOST_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    reply_bulk_text(m->reply, name);
    reply_bulk_text(m->reply, text);
    m->pairs++;
}

static void add_flag(char flags[256], bool is, const char *name)
{
    size_t len = strlen(flags);
    if (is) snprintf(flags + len, 256 - len, "%s%s", len ? "," : "", name);
}

static void show_flags(struct map_reply *m, const struct watched *w, const struct instance *i)
{
    static const char *const kinds[] = {
        [INSTANCE_MASTER] = "master", [INSTANCE_REPLICA] = "slave", [INSTANCE_SENTINEL] = "sentinel"};
    char flags[256] = "";
    bool in_failover = watched_in_failover(w);
    add_flag(flags, health_is_down(&i->health), "s_down");
    add_flag(flags, i == w->master && w->down, "o_down");
    add_flag(flags, true, kinds[i->kind]);
    add_flag(flags, !i->link[LINK_COMMANDS].up, "disconnected");
    add_flag(flags, i == w->master && in_failover, "failover_in_progress");
    add_flag(flags, i == w->master && in_failover && w->failover.forced, "force_failover");
    add_flag(flags, i == w->chosen && i->report.role != ROLE_MASTER, "promoted");
    add_flag(flags, i->reconfiguration == RECONFIGURATION_SENT, "reconf_sent");
    add_flag(flags, i->reconfiguration == RECONFIGURATION_INPROGRESS, "reconf_inprog");
    add_flag(flags, i->reconfiguration == RECONFIGURATION_DONE, "reconf_done");
    field(m, "flags", "%s", flags);
}

static void show_common(struct map_reply *m, const struct watched *w, const struct instance *i, const char *name,
                        int64_t now_ms)
{
    bool by_name = w->sentinel->settings.announce_hostnames;
    const struct health *h = &i->health;
    field(m, "name", "%s", name);
    field(m, "ip", "%s", instance_host(i, by_name));
    field(m, "port", "%d", i->address.port);
    field(m, "runid", "%s", i->run_id);
    show_flags(m, w, i);
    field(m, "link-pending-commands", "%d", i->pending);
    field(m, "link-refcount", "1");
    if (w->failover.state != FAILOVER_NONE && i == w->master)
        field(m, "failover-state", "%s", failover_name(w->failover.state));
    field(m, "last-ping-sent", "%" PRId64, h->pinged_ms ? now_ms - h->pinged_ms : 0);
    field(m, "last-ok-ping-reply", "%" PRId64, now_ms - h->ok_ms);
    field(m, "last-ping-reply", "%" PRId64, now_ms - h->heard_ms);
    if (health_is_down(h)) field(m, "s-down-time", "%" PRId64, now_ms - h->since_ms);
    if (i == w->master && w->down) field(m, "o-down-time", "%" PRId64, now_ms - w->down_since_ms);
    field(m, "down-after-milliseconds", "%" PRId64, w->settings.down_after_ms);
}

static void show_info(struct map_reply *m, const struct instance *i, int64_t now_ms)
{
    enum reported_role role = i->report.role;
    bool master = role == ROLE_MASTER || (role == ROLE_UNKNOWN && i->kind == INSTANCE_MASTER);
    field(m, "info-refresh", "%" PRId64, i->info_ms ? now_ms - i->info_ms : 0);
    field(m, "role-reported", "%s", master ? "master" : "slave");
    field(m, "role-reported-time", "%" PRId64, now_ms - i->role_since_ms);
}

void show_master(struct reply *reply, const struct watched *w, int64_t now_ms)
{
    struct reply_deferred d;
    struct map_reply m = {reply, 0};
    reply_deferred_begin(reply, &d);
    show_common(&m, w, w->master, w->name, now_ms);
    show_info(&m, w->master, now_ms);
    field(&m, "config-epoch", "%" PRIu64, w->config_epoch);
    field(&m, "num-slaves", "%d", w->replica_count);
    field(&m, "num-other-sentinels", "%d", w->voter_count);
    field(&m, "quorum", "%d", w->settings.quorum);
    field(&m, "failover-timeout", "%" PRId64, w->settings.failover_timeout_ms);
    field(&m, "parallel-syncs", "%d", w->settings.parallel_syncs);
    if (w->access.notification_script) field(&m, "notification-script", "%s", w->access.notification_script);
    if (w->access.reconfig_script) field(&m, "client-reconfig-script", "%s", w->access.reconfig_script);
    reply_deferred_map(reply, &d, m.pairs);
}

void show_replica(struct reply *reply, const struct watched *w, const struct instance *i, int64_t now_ms)
{
    char name[SENTINEL_HOST_MAX + 16];
    struct reply_deferred d;
    struct map_reply m = {reply, 0};
    const struct report *r = &i->report;
    snprintf(name, sizeof name, "%s:%d", instance_host(i, w->sentinel->settings.announce_hostnames), i->address.port);
    reply_deferred_begin(reply, &d);
    show_common(&m, w, i, name, now_ms);
    show_info(&m, i, now_ms);
    field(&m, "master-link-down-time", "%" PRId64, r->master_link_down_ms < 0 ? -1000 : r->master_link_down_ms);
    field(&m, "master-link-status", "%s", r->master_link_up ? "ok" : "err");
    field(&m, "master-host", "%s", *r->master.host ? r->master.host : "?");
    field(&m, "master-port", "%d", r->master.port);
    field(&m, "slave-priority", "%" PRId64, r->priority);
    field(&m, "slave-repl-offset", "%" PRIu64, r->offset);
    field(&m, "replica-announced", "%d", r->announced);
    reply_deferred_map(reply, &d, m.pairs);
}

void show_sentinel(struct reply *reply, const struct watched *w, const struct voter *v, int64_t now_ms)
{
    struct reply_deferred d;
    struct map_reply m = {reply, 0};
    reply_deferred_begin(reply, &d);
    show_common(&m, w, v->peer, v->peer->run_id, now_ms);
    field(&m, "last-hello-message", "%" PRId64, v->hello_ms ? now_ms - v->hello_ms : 0);
    field(&m, "voted-leader", "%s", *v->ballot.leader ? v->ballot.leader : "?");
    field(&m, "voted-leader-epoch", "%" PRIu64, v->ballot.epoch);
    reply_deferred_map(reply, &d, m.pairs);
}
