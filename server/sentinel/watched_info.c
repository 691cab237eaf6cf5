/* What a master and its replicas say of themselves by INFO, and what has to be put right then. Sentinel process;
 * pure. */
#include "server/sentinel/sentinel.h"

#include "server/base/alloc.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* --- who is who --- */

/* Whether it shows that it is one of ours: by whom it follows, or by who follows it. Who says neither is taken as it
 * was known: a server that comes back empty does not show more. */
static bool belongs(const struct watched *w, const struct instance *i, const struct report *r, struct bytes info)
{
    struct sentinel_address at;
    if (r->role == ROLE_REPLICA)
        return !r->master.port || instance_is_at(w->master, r->master.host, r->master.port) ||
               watched_replica_at(w, r->master.host, r->master.port);
    if (i->kind == INSTANCE_MASTER || !r->connected_replicas) return true;
    for (size_t from = 0; report_next_replica(info, &from, &at);)
        if (watched_replica_at(w, at.host, at.port) || instance_is_at(w->master, at.host, at.port)) return true;
    return false;
}

static void judge_stranger(struct watched *w, struct instance *i, const struct report *r, struct bytes info,
                           bool another_run_id)
{
    bool stranger = (another_run_id || i->stranger) && i->kind == INSTANCE_REPLICA && !belongs(w, i, r, info);
    if (stranger && !i->stranger)
        sentinel_note(w->sentinel, LOG_WARNING,
                      "%s:%d of %s answers with another run id, %.8s, and belongs to others (%s %s:%d, %" PRIu64
                      " replicas of its own): it is taken for a stranger at a reused address, and left alone",
                      i->address.host, i->address.port, w->name, r->run_id,
                      r->role == ROLE_REPLICA ? "it follows" : "it is a master", r->master.host, r->master.port,
                      r->connected_replicas);
    i->stranger = stranger;
}

static bool take_run_id(struct watched *w, struct instance *i, const struct report *r, int64_t now_ms)
{
    if (!*r->run_id || strcmp(i->run_id, r->run_id) == 0) return false;
    if (*i->run_id) {
        struct health_settings health = sentinel_health_settings(w->sentinel, i);
        sentinel_say(w->sentinel, LOG_WARNING, "+reboot", w, i, "%s", "");
        health_step(&i->health, &health, &(struct health_event){.kind = HEALTH_EVENT_REBOOTED}, now_ms);
    }
    memcpy(i->run_id, r->run_id, sizeof i->run_id);
    i->run_since_ms = now_ms;
    return true;
}

static void find_replicas(struct watched *w, struct bytes info, int64_t now_ms)
{
    struct sentinel_address at;
    for (size_t from = 0; report_next_replica(info, &from, &at);) {
        if (watched_replica_at(w, at.host, at.port) || instance_is_at(w->master, at.host, at.port)) continue;
        struct instance *found = watched_add_replica(w, &at, now_ms);
        sentinel_say(w->sentinel, LOG_NOTICE, "+slave", w, found, "%s", "");
        sentinel_save(w->sentinel);
    }
}

/* --- what changed --- */

/* Whether this role is the first that it has had since it started. We may have started later, and then know it by no
 * other run id: so long as it runs for less time than somebody is given to move the master, it has come back. */
static bool came_with_role(const struct watched *w, const struct instance *i, const struct report *r, bool was_known)
{
    int64_t young_ms = sentinel_health_settings(w->sentinel, i).role_grace_ms;
    return was_known || (r->uptime_s >= 0 && r->uptime_s * 1000 < young_ms);
}

static void take_role(struct watched *w, struct instance *i, const struct report *r, bool rebooted, int64_t now_ms)
{
    struct health_settings health = sentinel_health_settings(w->sentinel, i);
    enum reported_role expected = i->kind == INSTANCE_MASTER ? ROLE_MASTER : ROLE_REPLICA;
    struct health_event event = {.kind = HEALTH_EVENT_ROLE,
                                 .wrong = i->kind == INSTANCE_MASTER && r->role == ROLE_REPLICA,
                                 .rebooted = rebooted};
    health_step(&i->health, &health, &event, now_ms);
    if (r->role == ROLE_UNKNOWN) return;
    if (r->role == ROLE_REPLICA) i->deposed = i->left_alone = false;
    /* What is expected of a newcomer is no news. */
    if (i->report.role == r->role || (i->report.role == ROLE_UNKNOWN && r->role == expected)) return;
    i->role_since_ms = now_ms;
    sentinel_say(w->sentinel, LOG_VERBOSE, r->role == expected ? "+role-change" : "-role-change", w, i,
                 " new reported role is %s", r->role == ROLE_MASTER ? "master" : "slave");
}

static bool same_master(const struct report *a, const struct report *b)
{
    return a->master.port == b->master.port && strcasecmp(a->master.host, b->master.host) == 0;
}

/* --- a master that has lost data --- */

/* Judged once it has loaded what it has. */
static void take_keys(struct watched *w, struct instance *i, const struct report *r, bool restarted, int64_t now_ms)
{
    if (restarted) i->keys_before = i->report.keys;
    if (r->loading || r->role != ROLE_MASTER || i->kind != INSTANCE_MASTER) return;
    if (r->keys) {
        i->emptied_ms = 0;
    } else if (i->keys_before) {
        i->emptied_ms = now_ms;
        sentinel_note(w->sentinel, LOG_WARNING,
                      "%s:%d of %s has restarted and is empty; it had %" PRIu64
                      " keys. Its replicas are asked for theirs",
                      i->address.host, i->address.port, w->name, i->keys_before);
        watched_ask_infos(w, now_ms);
    }
    i->keys_before = 0;
}

/* It restarted from an older file, and holds replicas back that have more. Said once. */
static void take_ahead(struct watched *w, const struct instance *i, const struct report *r, int64_t now_ms)
{
    if (i->kind != INSTANCE_MASTER || !r->ahead_bytes || i->report.ahead_bytes) return;
    sentinel_note(w->sentinel, LOG_WARNING,
                  "%s:%d of %s has restarted at offset %" PRIu64 ", and a replica has %" PRIu64
                  " bytes more of its history. Its replicas are asked for their offsets",
                  i->address.host, i->address.port, w->name, r->master_offset, r->ahead_bytes);
    watched_ask_infos(w, now_ms);
}

/* What the master has said since then settles it: one that follows it may have got its keys from there. */
static bool is_settled(const struct watched *w, const struct instance *r)
{
    return !r->report.master_link_up || w->master->info_ms > r->info_ms;
}

/* A replica that has said so since then has not followed it yet, and is worth being promoted. */
static bool replicas_have_more(struct watched *w)
{
    if (w->master->report.role == ROLE_MASTER && w->master->report.ahead_bytes) return true;
    for (int i = 0; w->master->emptied_ms && i < w->replica_count; i++) {
        const struct instance *r = w->replicas[i];
        bool has_keys = !r->stranger && r->report.keys && r->report.role == ROLE_REPLICA;
        if (!has_keys || r->info_ms < w->master->emptied_ms) continue;
        if (is_settled(w, r)) return true;
        w->master->info_sent_ms = 0; /* at once */
    }
    return false;
}

static void judge_emptied(struct watched *w, int64_t now_ms)
{
    bool emptied = replicas_have_more(w);
    if (emptied == w->master->health.emptied) return;
    struct health_settings health = sentinel_health_settings(w->sentinel, w->master);
    struct health_event event = {.kind = HEALTH_EVENT_EMPTIED, .wrong = emptied};
    unsigned changes = health_step(&w->master->health, &health, &event, now_ms);
    if (changes) sentinel_health_changed(w->sentinel, w->master, changes, now_ms);
}

/* --- its histories --- */

static bool is_none(const char *history)
{
    return history[strspn(history, "0")] == '\0';
}

static void take_history(struct watched *w, const struct instance *i, const struct report *r, int64_t now_ms)
{
    struct reign *reign = &w->reign;
    if (i->kind != INSTANCE_MASTER || r->role != ROLE_MASTER || r->loading || !*r->history || !w->was_promoted) return;
    if (!reign->count) {
        if (i->health.rebooted_ms || is_none(r->second_history)) return;
        memcpy(reign->before, r->second_history, sizeof reign->before);
    }
    reign->told_ms = now_ms;
    for (int n = 0; n < reign->count; n++)
        if (strcmp(reign->history[n], r->history) == 0) return;
    if (reign->count == REIGN_MAX) {
        w->was_promoted = false; /* too many: then offsets alone are compared */
        reign->count = 0;
    } else {
        memcpy(reign->history[reign->count++], r->history, sizeof reign->history[0]);
    }
}

/* --- what has to be put right --- */

bool watched_master_is_sane(const struct watched *w, int64_t now_ms)
{
    const struct instance *m = w->master;
    return instance_is_up(m) && !w->down && m->report.role == ROLE_MASTER && m->info_ms &&
           now_ms - m->info_ms < 2 * w->sentinel->settings.periods.info;
}

void watched_order_follow(struct watched *w, struct instance *i)
{
    const struct instance *master = watched_current(w);
    struct sentinel_action *a = sentinel_send(w->sentinel, i, REQUEST_FOLLOW);
    a->address = master->address;
    if (!w->sentinel->settings.announce_hostnames && *master->ip)
        memcpy(a->address.host, master->ip, sizeof master->ip);
    a->address.port = master->address.port;
}

/* For how long it has said this role to us: what lay between was said to nobody. */
static int64_t claims_role_ms(const struct instance *i, int64_t now_ms)
{
    int64_t since_ms = i->role_since_ms;
    if (i->health.linked_ms > since_ms) since_ms = i->health.linked_ms;
    if (i->health.since_ms > since_ms) since_ms = i->health.since_ms;
    return now_ms - since_ms;
}

/* So long a configuration takes at most to reach us. */
static int64_t news_ms(const struct watched *w)
{
    return 4 * w->sentinel->settings.periods.hello;
}

/* In TILT no configuration is taken: behind it there is to be time for that, as behind a cut. */
static bool has_listened(const struct watched *w, int64_t now_ms)
{
    int64_t ended_ms = w->sentinel->tilt.ended_ms;
    return !ended_ms || now_ms - ended_ms >= news_ms(w);
}

/* It is known to have been replaced, and has not followed the last master since, who might have been replaced by it. */
static bool has_been_replaced(const struct watched *w, const struct instance *i)
{
    const struct report *r = &i->report;
    return i->deposed && !watched_is_of_reign(w, r->history) && !watched_is_of_reign(w, r->second_history);
}

/* Two configurations of one epoch: settle_draw() decides, and either of them may be the newer one soon. */
static bool is_drawn(const struct watched *w, int64_t now_ms)
{
    return w->draw_epoch && w->draw_epoch == w->config_epoch && now_ms - w->draw_since_ms < 2 * news_ms(w);
}

/* Whether `claimant` may be the master of a configuration that we have not heard of: it takes a majority of Sentinels
 * to make one, and we may have been cut off then, and be alone now. Of who is known to have been replaced that is not
 * assumed. NULL: somebody whom we do not know. */
static bool may_be_newer(const struct watched *w, const struct instance *claimant, int64_t now_ms)
{
    if (is_drawn(w, now_ms)) return true;
    return !(claimant && has_been_replaced(w, claimant)) && !watched_majority_told(w, news_ms(w), now_ms);
}

static void leave_alone(struct watched *w, struct instance *i, int64_t claims_ms)
{
    if (i->left_alone) return;
    i->left_alone = true;
    sentinel_note(w->sentinel, LOG_WARNING,
                  "%s:%d of %s says for %" PRId64
                  " ms that it is a master. It is left alone until a majority of the %d "
                  "Sentinels has been heard: it may have been promoted without our knowing",
                  i->address.host, i->address.port, w->name, claims_ms, w->voter_count + 1);
}

/* A replica that says it is a master: the old one that came back, most often. The newest configuration has time to
 * reach us before anybody is told to follow: it may be a new one, seen from where we were cut off. */
static void convert(struct watched *w, struct instance *i, int64_t now_ms)
{
    int64_t claims_ms = claims_role_ms(i, now_ms);
    if (claims_ms < news_ms(w) || i->config_since_ms > now_ms - news_ms(w) || !watched_master_is_sane(w, now_ms))
        return;
    if (may_be_newer(w, i, now_ms)) {
        leave_alone(w, i, claims_ms);
        return;
    }
    sentinel_note(w->sentinel, LOG_NOTICE,
                  "%s:%d of %s says for %" PRId64 " ms that it is a master; %s:%d is, by configuration epoch %" PRIu64,
                  i->address.host, i->address.port, w->name, claims_ms, w->master->address.host,
                  w->master->address.port, w->config_epoch);
    watched_order_follow(w, i);
    sentinel_say(w->sentinel, LOG_NOTICE, "+convert-to-slave", w, i, "%s", "");
    i->role_since_ms = now_ms; /* the next order not before that time again */
}

static void fix_master(struct watched *w, struct instance *i, int64_t now_ms)
{
    const struct report *r = &i->report;
    if (instance_is_at(w->master, r->master.host, r->master.port) || !watched_master_is_sane(w, now_ms)) return;
    if (now_ms - i->config_since_ms < w->settings.failover_timeout_ms) return;
    if (may_be_newer(w, watched_replica_at(w, r->master.host, r->master.port), now_ms)) return;
    sentinel_note(w->sentinel, LOG_NOTICE, "%s:%d of %s follows %s:%d for %" PRId64 " ms, instead of %s:%d",
                  i->address.host, i->address.port, w->name, r->master.host, r->master.port,
                  now_ms - i->config_since_ms, w->master->address.host, w->master->address.port);
    watched_order_follow(w, i);
    sentinel_say(w->sentinel, LOG_NOTICE, "+fix-slave-config", w, i, "%s", "");
    i->config_since_ms = now_ms;
}

static void put_right(struct watched *w, struct instance *i, int64_t now_ms)
{
    if (i->stranger || watched_in_failover(w) || i->kind != INSTANCE_REPLICA || !has_listened(w, now_ms)) return;
    if (i->report.role == ROLE_MASTER) convert(w, i, now_ms);
    if (i->report.role == ROLE_REPLICA) fix_master(w, i, now_ms);
}

void watched_take_info(struct watched *w, struct instance *i, struct bytes info, int64_t now_ms)
{
    struct report r;
    report_parse(info, &r);
    bool known = *i->run_id, another = take_run_id(w, i, &r, now_ms);
    judge_stranger(w, i, &r, info, another);
    take_role(w, i, &r, another && came_with_role(w, i, &r, known), now_ms);
    if (r.role == ROLE_REPLICA && !same_master(&r, &i->report)) i->config_since_ms = now_ms;
    take_keys(w, i, &r, another, now_ms);
    take_ahead(w, i, &r, now_ms);
    take_history(w, i, &r, now_ms);
    if (r.role == ROLE_UNKNOWN) r.role = i->report.role;
    i->report = r;
    i->info_ms = now_ms;
    mem_free(i->info);
    i->info = bytes_to_text(info);
    if (i->kind == INSTANCE_MASTER && r.role == ROLE_MASTER && r.lists_replicas) find_replicas(w, info, now_ms);
    if (w->sentinel->tilt.on) return;
    judge_emptied(w, now_ms);
    if (i == w->chosen && r.role == ROLE_MASTER) watched_failover_event(w, FAILOVER_EVENT_PROMOTED, now_ms);
    put_right(w, i, now_ms);
    watched_drive_failover(w, now_ms);
}
