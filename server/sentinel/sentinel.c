/* The core of a Sentinel: what it owns, and where events go. Sentinel process; pure. */
#include "server/sentinel/sentinel.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/prefetch.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TICK_MS 100
/* So many masters ahead the memory is asked for those that are due, and then for their instances: of hundreds, about
 * one in five is. */
#define AHEAD_WATCHED  40
#define AHEAD_INSTANCE 20

void sentinel_settings_init(struct sentinel_settings *settings)
{
    *settings = (struct sentinel_settings){
        .periods = {.ping = 1000,
                    .info = 10000,
                    .info_urgent = 1000,
                    .hello = 2000,
                    .ask = 1000,
                    .reconnect = 1000,
                    .begin_within = 100,
                    .election = 10000,
                    .promotion = 100,
                    .reconfigured = 10000,
                    .down_after = 30000,
                    .failover_timeout = 180000,
                    .tilt = {TILT_AFTER_MS, TILT_LASTS_MS},
                    .link_young = 15000,
                    .script_runs = 60000,
                    .script_waits = 30000},
        .port = 26379,
    };
}

void sentinel_watched_settings_init(const struct sentinel_periods *p, struct watched_settings *settings, int quorum)
{
    *settings = (struct watched_settings){.quorum = quorum,
                                          .parallel_syncs = 1,
                                          .down_after_ms = p->down_after,
                                          .failover_timeout_ms = p->failover_timeout};
}

void sentinel_init(struct sentinel *s, const struct sentinel_settings *settings, const char *run_id, uint64_t seed)
{
    *s = (struct sentinel){.settings = *settings};
    memcpy(s->run_id, run_id, SENTINEL_RUN_ID);
    random_seed(&s->random, seed);
}

void sentinel_free(struct sentinel *s)
{
    struct sentinel_actions last = {0};
    s->out = &last;
    while (s->master_count > 0) watched_free(s->masters[--s->master_count]); /* they look at those that are left */
    CHECK(s->peer_count == 0);
    s->out = NULL;
    sentinel_actions_free(&last);
    mem_free(s->masters);
    mem_free(s->dues);
    mem_free(s->peers);
    mem_free(s->ids);
    mem_free(s->generations);
    *s = (struct sentinel){0};
}

/* --- instances and their ids --- */

static uint64_t take_id(struct sentinel *s, struct instance *i)
{
    size_t at = 0;
    while (at < s->id_room && s->ids[at]) at++;
    if (at == s->id_room) {
        size_t room = s->id_room ? 2 * s->id_room : 16;
        s->ids = mem_realloc(s->ids, room * sizeof *s->ids);
        s->generations = mem_realloc(s->generations, room * sizeof *s->generations);
        memset(s->ids + s->id_room, 0, (room - s->id_room) * sizeof *s->ids);
        memset(s->generations + s->id_room, 0, (room - s->id_room) * sizeof *s->generations);
        s->id_room = room;
    }
    s->ids[at] = i;
    return (uint64_t)++s->generations[at] << 32 | at;
}

struct instance *sentinel_instance(const struct sentinel *s, uint64_t id)
{
    size_t at = (uint32_t)id;
    return id && at < s->id_room && s->ids[at] && s->ids[at]->id == id ? s->ids[at] : NULL;
}

void sentinel_prefetch(const struct sentinel *s, uint64_t id, bool near)
{
    size_t at = (uint32_t)id;
    const struct instance *i = at < s->id_room ? s->ids[at] : NULL;
    if (!near)
        prefetch_bytes(i, INSTANCE_HOT_BYTES);
    else if (i)
        prefetch_bytes(i->watched, WATCHED_HOT_BYTES);
}

struct instance *sentinel_add_instance(struct sentinel *s, enum instance_kind kind, struct watched *w,
                                       const struct sentinel_address *at, int64_t now_ms)
{
    struct instance *i = mem_calloc(1, sizeof *i);
    i->id = take_id(s, i);
    i->kind = kind;
    i->watched = w;
    i->address = *at;
    i->role_since_ms = i->config_since_ms = now_ms;
    report_init(&i->report);
    health_init(&i->health, now_ms);
    return i;
}

void sentinel_forget_instance(struct sentinel *s, struct instance *i)
{
    sentinel_actions_add(s->out, SENTINEL_FORGET)->instance = i->id;
    s->ids[(uint32_t)i->id] = NULL;
    mem_free(i->info);
    mem_free(i);
}

struct instance *sentinel_peer(const struct sentinel *s, const char *run_id)
{
    for (int i = 0; i < s->peer_count; i++)
        if (strcmp(s->peers[i]->run_id, run_id) == 0) return s->peers[i];
    return NULL;
}

struct instance *sentinel_add_peer(struct sentinel *s, const char *run_id, const struct sentinel_address *at,
                                   int64_t now_ms)
{
    struct instance *peer = sentinel_add_instance(s, INSTANCE_SENTINEL, NULL, at, now_ms);
    memcpy(peer->run_id, run_id, SENTINEL_RUN_ID);
    if (s->peer_count == s->peer_room) {
        s->peer_room = s->peer_room ? 2 * s->peer_room : 4;
        s->peers = mem_realloc(s->peers, (size_t)s->peer_room * sizeof(struct instance *));
    }
    s->peers[s->peer_count++] = peer;
    return peer;
}

void sentinel_release_peer(struct sentinel *s, struct instance *peer)
{
    for (int i = 0; i < s->master_count; i++)
        if (watched_voter(s->masters[i], peer->run_id)) return;
    for (int i = 0; i < s->peer_count; i++)
        if (s->peers[i] == peer) s->peers[i] = s->peers[--s->peer_count];
    sentinel_forget_instance(s, peer);
}

/* --- what is said --- */

/* Redis's description of an instance in an event. */
static int describe(const struct sentinel *s, const struct watched *w, const struct instance *i, char *out, size_t room)
{
    bool by_name = s->settings.announce_hostnames;
    const char *host = instance_host(i, by_name), *master = instance_host(w->master, by_name);
    int port = i->address.port, master_port = w->master->address.port;
    if (i == w->master) return snprintf(out, room, "master %s %s %d", w->name, host, port);
    if (i->kind == INSTANCE_SENTINEL)
        return snprintf(out, room, "sentinel %s %s %d @ %s %s %d", i->run_id, host, port, w->name, master, master_port);
    return snprintf(out, room, "slave %s:%d %s %d @ %s %s %d", host, port, host, port, w->name, master, master_port);
}

void sentinel_say(struct sentinel *s, enum log_level level, const char *type, const struct watched *w,
                  const struct instance *i, const char *format, ...)
{
    struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_SAY);
    int len = w && i ? describe(s, w, i, a->text, sizeof a->text) : 0;
    a->level = level;
    a->master = w ? w->name : NULL;
    snprintf(a->type, sizeof a->type, "%s", type);
    if (len >= (int)sizeof a->text) return;
    va_list args;
    va_start(args, format);
    vsnprintf(a->text + len, sizeof a->text - (size_t)len, format, args);
    va_end(args);
}

void sentinel_note(struct sentinel *s, enum log_level level, const char *format, ...)
{
    struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_NOTE);
    a->level = level;
    va_list args;
    va_start(args, format);
    vsnprintf(a->text, sizeof a->text, format, args);
    va_end(args);
}

void sentinel_save(struct sentinel *s)
{
    sentinel_actions_add(s->out, SENTINEL_SAVE);
}

void sentinel_die_if(struct sentinel *s, unsigned die_after)
{
    if (s->settings.die_after & die_after) sentinel_actions_add(s->out, SENTINEL_DIE);
}

struct sentinel_action *sentinel_send(struct sentinel *s, struct instance *i, enum sentinel_request request)
{
    struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_SEND);
    a->instance = i->id;
    a->request = request;
    i->pending++;
    return a;
}

void sentinel_raise_epoch(struct sentinel *s, uint64_t epoch)
{
    if (epoch <= s->current_epoch) return;
    s->current_epoch = epoch;
    sentinel_save(s);
    sentinel_say(s, LOG_WARNING, "+new-epoch", NULL, NULL, "%" PRIu64, epoch);
}

/* --- health --- */

struct health_settings sentinel_health_settings(const struct sentinel *s, const struct instance *i)
{
    if (i->watched)
        return (struct health_settings){.down_after_ms = i->watched->settings.down_after_ms,
                                        .reboot_down_after_ms =
                                            i->kind == INSTANCE_MASTER ? i->watched->settings.reboot_down_after_ms : 0,
                                        .role_grace_ms = 2 * s->settings.periods.info,
                                        .link_young_ms = s->settings.periods.link_young};
    struct health_settings shortest = {.down_after_ms = INT64_MAX / 4, .link_young_ms = s->settings.periods.link_young};
    for (int m = 0; m < s->master_count; m++) {
        int64_t down_after_ms = s->masters[m]->settings.down_after_ms;
        if (down_after_ms < shortest.down_after_ms && watched_voter(s->masters[m], i->run_id))
            shortest.down_after_ms = down_after_ms;
    }
    return shortest;
}

static void say_health(struct sentinel *s, struct watched *w, struct instance *i, bool down)
{
    if (down) {
        sentinel_say(s, LOG_WARNING, "+sdown", w, i, "%s", "");
        sentinel_note(s, LOG_NOTICE, "Subjectively down: %s:%d of %s: %s", i->address.host, i->address.port, w->name,
                      i->health.reason);
    } else {
        sentinel_say(s, LOG_WARNING, "-sdown", w, i, "%s", "");
    }
}

void sentinel_health_changed(struct sentinel *s, struct instance *i, unsigned changes, int64_t now_ms)
{
    bool down = changes & HEALTH_WENT_DOWN, up = changes & HEALTH_CAME_UP;
    if (changes & HEALTH_KILL_SCRIPT && i->kind != INSTANCE_SENTINEL) {
        sentinel_note(s, LOG_NOTICE, "%s:%d of %s is busy with a script: asked to kill it", i->address.host,
                      i->address.port, i->watched->name);
        sentinel_send(s, i, REQUEST_KILL_SCRIPT);
    }
    if (changes & HEALTH_RECONNECT) {
        struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_DISCONNECT);
        a->instance = i->id;
        a->link = LINK_COMMANDS;
    }
    if (!down && !up) return;
    if (i->watched) {
        say_health(s, i->watched, i, down);
        if (i->kind == INSTANCE_MASTER && down) {
            watched_ask_others(i->watched, true, now_ms);
            watched_ask_infos(i->watched, now_ms);
        }
        if (i->kind == INSTANCE_MASTER) watched_check_down(i->watched, now_ms);
        return;
    }
    for (int m = 0; m < s->master_count; m++)
        if (watched_voter(s->masters[m], i->run_id)) say_health(s, s->masters[m], i, down);
}

static void health_event(struct sentinel *s, struct instance *i, const struct health_event *event, int64_t now_ms)
{
    struct health_settings settings = sentinel_health_settings(s, i);
    unsigned changes = health_step(&i->health, &settings, event, now_ms);
    if (s->tilt.on) changes &= ~(unsigned)(HEALTH_WENT_DOWN | HEALTH_KILL_SCRIPT);
    if (changes) sentinel_health_changed(s, i, changes, now_ms);
}

/* --- events --- */

/* Nothing that goes on by itself: then each thing to do has its time, or is told of. */
static bool is_quiet(const struct watched *w)
{
    return !health_is_down(&w->master->health) && !w->down && !w->begin_ms && !watched_in_failover(w);
}

static void tend_master(struct watched *w, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    int64_t others_next_ms = s->next_ms;
    s->next_ms = INT64_MAX;
    int64_t tend_ms = sentinel_tend(s, w, w->master, now_ms);
    for (int i = 0; i < w->replica_count; i++) {
        int64_t replica_ms = sentinel_tend(s, w, w->replicas[i], now_ms);
        if (replica_ms < tend_ms) tend_ms = replica_ms;
    }
    if (!s->tilt.on) {
        watched_check_down(w, now_ms);
        watched_ask_others(w, false, now_ms);
        watched_drive_failover(w, now_ms);
    }
    if (w->begin_ms && w->begin_ms < s->next_ms) s->next_ms = w->begin_ms;
    s->dues[w->place] = (struct sentinel_due){is_quiet(w) && !s->tilt.on ? tend_ms : 0, s->next_ms};
    if (others_next_ms < s->next_ms) s->next_ms = others_next_ms;
}

/* All that are told of one master are told of the others, too, in the same tick. */
static void tell_peers(struct sentinel *s, int64_t now_ms)
{
    bool due = false;
    for (int i = 0; i < s->peer_count; i++) {
        const struct instance *peer = s->peers[i];
        bool told = peer->hello_sent_ms && now_ms - peer->hello_sent_ms < s->settings.periods.hello;
        due |= peer->link[LINK_COMMANDS].up && !told;
    }
    for (int m = 0; due && m < s->master_count; m++) {
        struct watched *w = s->masters[m];
        for (int i = 0; i < w->voter_count; i++) {
            struct instance *peer = w->voters[i].peer;
            int64_t ago_ms = now_ms - peer->hello_sent_ms; /* 0: about another master, in this tick */
            if (!peer->hello_sent_ms || ago_ms >= s->settings.periods.hello || ago_ms == 0)
                sentinel_tell_hello(s, w, peer, now_ms);
        }
    }
}

/* Before anything else is done: what comes first after a standstill may be an answer, not a tick. */
static void look_at_clock(struct sentinel *s, int64_t now_ms)
{
    enum tilt_change change = tilt_tick(&s->tilt, &s->settings.periods.tilt, now_ms);
    if (change == TILT_ENDS) sentinel_say(s, LOG_WARNING, "-tilt", NULL, NULL, "#tilt mode exited");
    if (change != TILT_BEGINS) return;
    sentinel_say(s, LOG_WARNING, "+tilt", NULL, NULL, "#tilt mode entered");
    for (int m = 0; m < s->master_count; m++) watched_stand_still(s->masters[m], now_ms);
}

static bool is_due(const struct sentinel *s, int m, int64_t now_ms)
{
    return now_ms >= s->dues[m].tend_ms || s->tilt.on;
}

static void prefetch_master(const struct sentinel *s, int m, int64_t now_ms)
{
    int far = m + AHEAD_WATCHED, near = m + AHEAD_INSTANCE;
    if (far < s->master_count && is_due(s, far, now_ms)) prefetch_bytes(s->masters[far], WATCHED_HOT_BYTES);
    if (near < s->master_count && is_due(s, near, now_ms)) prefetch_bytes(s->masters[near]->master, INSTANCE_HOT_BYTES);
}

static void tick(struct sentinel *s, int64_t now_ms)
{
    s->next_ms = INT64_MAX;
    for (int i = 0; i < s->peer_count; i++) sentinel_tend(s, NULL, s->peers[i], now_ms);
    if (!s->tilt.on) tell_peers(s, now_ms);
    for (int m = 0; m < s->master_count; m++) {
        prefetch_master(s, m, now_ms);
        if (is_due(s, m, now_ms))
            tend_master(s->masters[m], now_ms);
        else if (s->dues[m].deadline_ms < s->next_ms)
            s->next_ms = s->dues[m].deadline_ms;
    }
}

static void linked(struct sentinel *s, struct instance *i, const struct sentinel_event *e, int64_t now_ms)
{
    struct instance_link *link = &i->link[e->link];
    *link = (struct instance_link){.up = true, .tried_ms = link->tried_ms, .heard_ms = now_ms};
    if (e->link != LINK_COMMANDS) return;
    i->pending = 0;
    i->info_asked = false;
    i->info_sent_ms = i->hello_sent_ms = 0; /* the first ones at once */
    if (e->ip) snprintf(i->ip, sizeof i->ip, "%s", e->ip);
    if (e->local_ip) snprintf(i->local_ip, sizeof i->local_ip, "%s", e->local_ip);
    health_event(s, i, &(struct health_event){.kind = HEALTH_EVENT_LINKED}, now_ms);
    sentinel_tend(s, i->watched, i, now_ms);
    if (i->watched) watched_drive_failover(i->watched, now_ms);
}

static void unlinked(struct sentinel *s, struct instance *i, const struct sentinel_event *e, int64_t now_ms)
{
    struct instance_link *link = &i->link[e->link];
    bool stood = link->up;
    link->up = link->opening = false;
    if (e->link == LINK_COMMANDS) {
        i->pending = 0;
        i->info_asked = false;
        health_event(s, i, &(struct health_event){.kind = HEALTH_EVENT_UNLINKED}, now_ms);
    }
    if (stood) sentinel_tend(s, i->watched, i, now_ms); /* who closes connections, and lives, is to be seen to live */
}

static enum health_answer answer_of(const struct sentinel_event *e)
{
    static const struct {
        const char *word;
        enum health_answer answer;
    } errors[] = {{"LOADING", ANSWER_LOADING}, {"MASTERDOWN", ANSWER_MASTERDOWN}, {"BUSY", ANSWER_BUSY}};
    if (!e->error) return e->text.len == 4 && memcmp(e->text.ptr, "PONG", 4) == 0 ? ANSWER_PONG : ANSWER_OTHER;
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        size_t len = strlen(errors[i].word);
        if (e->text.len >= len && memcmp(e->text.ptr, errors[i].word, len) == 0) return errors[i].answer;
    }
    return ANSWER_OTHER;
}

static void take_votes(struct sentinel *s, const struct instance *peer, const struct sentinel_event *e, int64_t now_ms)
{
    char leader[SENTINEL_RUN_ID + 1] = "";
    if (e->error) return;
    if (sentinel_run_id_is_valid(e->leader)) memcpy(leader, e->leader.ptr, SENTINEL_RUN_ID);
    struct watched *w = sentinel_master(s, (const char *)e->text.ptr);
    if (w) watched_take_answer(w, peer->run_id, e->down, leader, e->epoch, now_ms);
}

static void order_refused(struct sentinel *s, struct instance *i, const struct sentinel_event *e, int64_t now_ms)
{
    struct watched *w = i->watched;
    if (!e->error || !w) return;
    sentinel_note(s, LOG_WARNING, "%s:%d of %s refuses %s: %.*s", i->address.host, i->address.port, w->name,
                  e->request == REQUEST_HAND_OVER ? "to hand over" : "SLAVEOF",
                  (int)(e->text.len < 200 ? e->text.len : 200), (const char *)e->text.ptr);
    bool ours = e->request == REQUEST_PROMOTE ? i == w->chosen : i == w->master && w->failover.hands_over;
    if (e->request != REQUEST_FOLLOW && ours) watched_failover_event(w, FAILOVER_EVENT_REFUSED, now_ms);
}

/* It has done what it was told, or not: its INFO says so. */
static void ask_what_became(struct sentinel *s, struct instance *i, int64_t now_ms)
{
    if (!i->watched || i != i->watched->chosen || !watched_in_failover(i->watched)) return;
    i->info_asked = false; /* the answer to an older one says nothing of it */
    i->info_sent_ms = 0;
    sentinel_tend(s, i->watched, i, now_ms);
}

/* What its INFO has said so far was before that. */
static void hand_over_accepted(struct watched *w)
{
    w->hand_over_accepted = true;
    w->master->report.hands_over = true;
    w->master->info_asked = false;
    w->master->info_sent_ms = 0;
}

static void reply(struct sentinel *s, struct instance *i, const struct sentinel_event *e, int64_t now_ms)
{
    if (i->pending) i->pending--;
    switch (e->request) {
    case REQUEST_PING:
        health_event(s, i, &(struct health_event){.kind = HEALTH_EVENT_ANSWERED, .answer = answer_of(e)}, now_ms);
        break;
    case REQUEST_INFO:
        i->info_asked = false;
        if (!e->error && i->watched) watched_take_info(i->watched, i, e->text, now_ms);
        break;
    case REQUEST_IS_DOWN: take_votes(s, i, e, now_ms); break;
    case REQUEST_PROMOTE:
        order_refused(s, i, e, now_ms);
        ask_what_became(s, i, now_ms);
        break;
    case REQUEST_HAND_OVER:
        order_refused(s, i, e, now_ms);
        if (!e->error && i->watched && i == i->watched->master) hand_over_accepted(i->watched);
        break;
    case REQUEST_FOLLOW: order_refused(s, i, e, now_ms); break;
    default: break;
    }
}

/* What comes all the time from who is well: it puts off what is due, and no more. Of hellos, who reads them sees. */
static bool changes_nothing(const struct instance *i, const struct sentinel_event *e)
{
    if (e->kind == SENTINEL_EVENT_HELLO) return true;
    if (e->kind != SENTINEL_EVENT_REPLY) return false;
    if (e->request == REQUEST_HELLO) return true;
    return e->request == REQUEST_PING && i->health.state == HEALTH_UP && answer_of(e) == ANSWER_PONG;
}

void sentinel_step(struct sentinel *s, const struct sentinel_event *event, int64_t now_ms, struct sentinel_actions *out)
{
    struct instance *i = sentinel_instance(s, event->instance);
    s->out = out;
    out->count = 0;
    if (i && i->watched && !changes_nothing(i, event)) sentinel_look_again(i->watched);
    look_at_clock(s, now_ms);
    if (event->kind == SENTINEL_EVENT_TICK)
        tick(s, now_ms);
    else if (event->kind == SENTINEL_EVENT_HELLO) {
        if (i) i->link[LINK_MESSAGES].heard_ms = now_ms;
        sentinel_take_hello(s, i, event->text, now_ms);
    } else if (i && event->kind == SENTINEL_EVENT_LINKED)
        linked(s, i, event, now_ms);
    else if (i && event->kind == SENTINEL_EVENT_UNLINKED)
        unlinked(s, i, event, now_ms);
    else if (i && event->kind == SENTINEL_EVENT_REPLY)
        reply(s, i, event, now_ms);
    s->out = NULL;
}

int64_t sentinel_deadline_ms(const struct sentinel *s, int64_t now_ms)
{
    int64_t at_latest = now_ms + TICK_MS;
    if (s->next_ms > at_latest) return at_latest;
    return s->next_ms > now_ms ? s->next_ms : now_ms + 1;
}

/* --- what is asked of us --- */

struct watched *sentinel_master(const struct sentinel *s, const char *name)
{
    for (int i = 0; i < s->master_count; i++)
        if (strcmp(s->masters[i]->name, name) == 0) return s->masters[i];
    return NULL;
}

static struct watched *master_at(const struct sentinel *s, const struct sentinel_address *at)
{
    for (int i = 0; i < s->master_count; i++)
        if (instance_is_at(s->masters[i]->master, at->host, at->port)) return s->masters[i];
    return NULL;
}

void sentinel_is_master_down(struct sentinel *s, const struct sentinel_address *master, uint64_t epoch,
                             const char *run_id, int64_t now_ms, struct sentinel_down_answer *answer,
                             struct sentinel_actions *out)
{
    struct watched *w = master_at(s, master);
    s->out = out;
    out->count = 0;
    if (w) sentinel_look_again(w);
    look_at_clock(s, now_ms);
    *answer =
        (struct sentinel_down_answer){.down = w && !s->tilt.on && health_is_down(&w->master->health), .leader = "*"};
    if (w && strcmp(run_id, "*") != 0) {
        uint64_t current = s->current_epoch;
        unsigned vote = election_vote(&w->own, &current, epoch, run_id);
        sentinel_raise_epoch(s, current);
        if (vote & VOTE_GIVEN) {
            sentinel_save(s);
            sentinel_say(s, LOG_WARNING, "+vote-for-leader", w, NULL, "%s %" PRIu64, w->own.leader, w->own.epoch);
            if (strcmp(run_id, s->run_id) != 0) {
                struct failover_settings settings = watched_failover_settings(w, 0);
                failover_leave_to_another(&w->failover, &settings, now_ms);
                w->begin_ms = 0;
            }
        }
        if (*w->own.leader) memcpy(answer->leader, w->own.leader, sizeof answer->leader);
        answer->epoch = w->own.epoch;
    }
    s->out = NULL;
}

static void put_master(struct sentinel *s, struct watched *w, int place)
{
    w->place = place;
    s->masters[place] = w;
}

/* The last one takes its place. */
static void remove_master(struct sentinel *s, int place)
{
    s->dues[place] = s->dues[--s->master_count];
    put_master(s, s->masters[s->master_count], place);
}

void sentinel_look_again(const struct watched *w)
{
    w->sentinel->dues[w->place].tend_ms = 0;
}

struct watched *sentinel_monitor(struct sentinel *s, const char *name, const struct sentinel_address *master,
                                 const struct watched_settings *settings, int64_t now_ms, struct sentinel_actions *out)
{
    out->count = 0;
    if (sentinel_master(s, name)) return NULL;
    s->out = out;
    struct watched *w = watched_new(s, name, master, settings, now_ms);
    if (s->master_count == s->master_room) {
        s->master_room = s->master_room ? 2 * s->master_room : 4;
        s->masters = mem_realloc(s->masters, (size_t)s->master_room * sizeof(struct watched *));
        s->dues = mem_realloc(s->dues, (size_t)s->master_room * sizeof *s->dues);
    }
    put_master(s, w, s->master_count++);
    sentinel_look_again(w);
    sentinel_save(s);
    sentinel_say(s, LOG_WARNING, "+monitor", w, w->master, " quorum %d", settings->quorum);
    s->out = NULL;
    return w;
}

void sentinel_remove(struct sentinel *s, struct watched *w, struct sentinel_actions *out)
{
    s->out = out;
    out->count = 0;
    sentinel_say(s, LOG_WARNING, "-monitor", w, w->master, "%s", "");
    out->list[0].master = NULL; /* the name goes with it */
    for (int i = 0; i < s->master_count; i++)
        if (s->masters[i] == w) remove_master(s, i);
    watched_free(w);
    sentinel_save(s);
    s->out = NULL;
}

void sentinel_reset(struct sentinel *s, struct watched *w, int64_t now_ms, struct sentinel_actions *out)
{
    s->out = out;
    out->count = 0;
    sentinel_look_again(w);
    watched_reset(w, now_ms);
    sentinel_save(s);
    s->out = NULL;
}

void sentinel_settings_changed(struct sentinel *s)
{
    for (int i = 0; i < s->master_count; i++) sentinel_look_again(s->masters[i]);
}

const char *sentinel_failover(struct sentinel *s, struct watched *w, int64_t now_ms, struct sentinel_actions *out)
{
    s->out = out;
    out->count = 0;
    sentinel_look_again(w);
    look_at_clock(s, now_ms);
    const char *error = watched_force_failover(w, now_ms);
    s->out = NULL;
    return error;
}

void sentinel_know_replica(struct watched *w, const struct sentinel_address *at, int64_t now_ms)
{
    struct instance *master = w->master;
    if (!watched_replica_at(w, at->host, at->port) && !instance_is_at(master, at->host, at->port))
        watched_add_replica(w, at, now_ms);
}

int sentinel_know_sentinel(struct watched *w, const struct sentinel_address *at, const char *run_id, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    if (!sentinel_run_id_is_valid(bytes_from_text(run_id))) return -1;
    if (strcmp(run_id, s->run_id) == 0 || watched_voter(w, run_id)) return 0;
    struct instance *peer = sentinel_peer(s, run_id);
    watched_add_voter(w, peer ? peer : sentinel_add_peer(s, run_id, at, now_ms));
    return 0;
}
