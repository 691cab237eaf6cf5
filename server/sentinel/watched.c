/* What belongs to a master that is watched. Sentinel process; pure. */
#include "server/sentinel/watched.h"

#include "server/base/alloc.h"
#include "server/sentinel/sentinel.h"

#include <stdio.h>
#include <string.h>

struct watched *watched_new(struct sentinel *s, const char *name, const struct sentinel_address *master,
                            const struct watched_settings *settings, int64_t now_ms)
{
    struct watched *w = mem_calloc(1, sizeof *w);
    w->sentinel = s;
    w->settings = *settings;
    snprintf(w->name, sizeof w->name, "%s", name);
    w->master = sentinel_add_instance(s, INSTANCE_MASTER, w, master, now_ms);
    failover_init(&w->failover);
    return w;
}

static void free_access(struct watched_access *a)
{
    for (int i = 0; i < a->rename_count; i++) {
        mem_free(a->renames[i].from);
        mem_free(a->renames[i].to);
    }
    mem_free(a->renames);
    mem_free(a->auth_user);
    mem_free(a->auth_pass);
    mem_free(a->notification_script);
    mem_free(a->reconfig_script);
}

void watched_free(struct watched *w)
{
    struct sentinel *s = w->sentinel;
    for (int i = 0; i < w->replica_count; i++) sentinel_forget_instance(s, w->replicas[i]);
    while (w->voter_count) watched_remove_voter(w, &w->voters[w->voter_count - 1]);
    sentinel_forget_instance(s, w->master);
    mem_free(w->replicas);
    mem_free(w->voters);
    free_access(&w->access);
    mem_free(w);
}

struct instance *watched_replica_at(const struct watched *w, const char *host, int port)
{
    for (int i = 0; i < w->replica_count; i++)
        if (instance_is_at(w->replicas[i], host, port)) return w->replicas[i];
    return NULL;
}

static void put_replica(struct watched *w, struct instance *i)
{
    if (w->replica_count == w->replica_room) {
        w->replica_room = w->replica_room ? 2 * w->replica_room : 4;
        w->replicas = mem_realloc(w->replicas, (size_t)w->replica_room * sizeof(struct instance *));
    }
    w->replicas[w->replica_count++] = i;
}

struct instance *watched_add_replica(struct watched *w, const struct sentinel_address *at, int64_t now_ms)
{
    struct instance *i = sentinel_add_instance(w->sentinel, INSTANCE_REPLICA, w, at, now_ms);
    put_replica(w, i);
    return i;
}

struct voter *watched_voter(const struct watched *w, const char *run_id)
{
    for (int i = 0; i < w->voter_count; i++)
        if (strcmp(w->voters[i].peer->run_id, run_id) == 0) return &w->voters[i];
    return NULL;
}

struct voter *watched_add_voter(struct watched *w, struct instance *peer)
{
    if (w->voter_count == w->voter_room) {
        w->voter_room = w->voter_room ? 2 * w->voter_room : 4;
        w->voters = mem_realloc(w->voters, (size_t)w->voter_room * sizeof(struct voter));
    }
    struct voter *voter = &w->voters[w->voter_count++];
    *voter = (struct voter){.peer = peer};
    return voter;
}

void watched_remove_voter(struct watched *w, struct voter *voter)
{
    struct instance *peer = voter->peer;
    *voter = w->voters[--w->voter_count];
    sentinel_release_peer(w->sentinel, peer);
}

void watched_reset(struct watched *w, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    if (watched_in_failover(w)) watched_failover_event(w, FAILOVER_EVENT_ABORT, now_ms);
    for (int i = 0; i < w->replica_count; i++) sentinel_forget_instance(s, w->replicas[i]);
    w->replica_count = 0;
    while (w->voter_count) watched_remove_voter(w, &w->voters[w->voter_count - 1]);
    w->down = false;
    w->begin_ms = 0;
    health_step(&w->master->health, &(struct health_settings){0},
                &(struct health_event){.kind = HEALTH_EVENT_ROLE, .wrong = false}, now_ms);
    sentinel_say(s, LOG_WARNING, "+reset-master", w, w->master, "%s", "");
}

struct instance *watched_current(const struct watched *w)
{
    bool promoted = w->failover.state == FAILOVER_RECONFIGURE || w->failover.state == FAILOVER_UPDATE;
    return promoted && w->chosen ? w->chosen : w->master;
}

/* Its connections stay; what was known of it in its former part does not. */
static void change_part(struct instance *i, enum instance_kind kind, int64_t now_ms)
{
    bool linked = i->link[LINK_COMMANDS].up;
    i->kind = kind;
    i->reconfiguration = RECONFIGURATION_NONE;
    i->config_since_ms = i->role_since_ms = now_ms;
    i->keys_before = 0;
    i->emptied_ms = 0;
    i->info_sent_ms = 0;
    health_init(&i->health, now_ms);
    i->health.linked = linked;
    i->health.linked_ms = now_ms;
}

static bool runs_since_promotion(const struct instance *i)
{
    bool restarted = i->report.role == ROLE_MASTER && i->health.rebooted_ms >= i->role_since_ms;
    return *i->run_id && !restarted;
}

void watched_switch(struct watched *w, const struct sentinel_address *to, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    bool by_name = s->settings.announce_hostnames;
    struct instance *former = w->master, *next = watched_replica_at(w, to->host, to->port);
    if (!next && instance_is_at(former, to->host, to->port)) return;
    if (!next) next = watched_add_replica(w, to, now_ms);
    for (int i = 0; i < w->replica_count; i++)
        if (w->replicas[i] == next) w->replicas[i] = former;
    w->master = next;
    w->was_promoted = runs_since_promotion(next);
    w->reign = (struct reign){0};
    w->down = false;
    w->begin_ms = 0;
    failover_start_afresh(&w->failover);
    next->stranger = next->deposed = false;
    former->deposed = true;
    change_part(former, INSTANCE_REPLICA, now_ms);
    change_part(next, INSTANCE_MASTER, now_ms);
    for (int i = 0; i < w->voter_count; i++) w->voters[i].says_down = false;
    sentinel_save(s);
    sentinel_say(s, LOG_WARNING, "+switch-master", w, NULL, "%s %s %d %s %d", w->name, instance_host(former, by_name),
                 former->address.port, instance_host(next, by_name), next->address.port);
    for (int i = 0; i < w->replica_count; i++) {
        w->replicas[i]->reconfiguration = RECONFIGURATION_NONE;
        w->replicas[i]->config_since_ms = now_ms;
        sentinel_say(s, LOG_NOTICE, "+slave", w, w->replicas[i], "%s", "");
    }
}
