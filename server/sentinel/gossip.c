/* Messages between Sentinels: who watches with us, which epoch it is, which master the newest. Sentinel process;
 * pure. */
#include "server/sentinel/sentinel.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void copy_text(char *out, const char *text, size_t room)
{
    size_t len = strnlen(text, room - 1);
    memcpy(out, text, len);
    out[len] = '\0';
}

void sentinel_tell_hello(struct sentinel *s, struct watched *w, struct instance *to, int64_t now_ms)
{
    const struct instance *master = watched_current(w);
    const struct sentinel_address *announce = &s->settings.announce;
    struct hello hello = {.current_epoch = s->current_epoch, .config_epoch = w->config_epoch};
    if (!to->link[LINK_COMMANDS].up) return;
    copy_text(hello.sender.host, *announce->host ? announce->host : to->local_ip, sizeof hello.sender.host);
    hello.sender.port = announce->port ? announce->port : s->settings.port;
    memcpy(hello.run_id, s->run_id, sizeof hello.run_id);
    copy_text(hello.master_name, w->name, sizeof hello.master_name);
    copy_text(hello.master.host, instance_host(master, s->settings.announce_hostnames), sizeof hello.master.host);
    hello.master.port = master->address.port;
    to->hello_sent_ms = now_ms;
    if (*hello.sender.host) hello_format(&hello, sentinel_send(s, to, REQUEST_HELLO)->text);
}

/* Another one with this address, be it dead or renamed: the address is the newcomer's. */
static void remove_doubles(struct watched *w, const struct hello *hello)
{
    for (int i = w->voter_count; i-- > 0;) {
        const struct instance *peer = w->voters[i].peer;
        if (strcmp(peer->run_id, hello->run_id) == 0 || !instance_is_at(peer, hello->sender.host, hello->sender.port))
            continue;
        sentinel_say(w->sentinel, LOG_NOTICE, "-dup-sentinel", w, w->master, " #duplicate of %s:%d or %s",
                     hello->sender.host, hello->sender.port, hello->run_id);
        watched_remove_voter(w, &w->voters[i]);
    }
}

static bool has_moved(const struct instance *peer, const struct hello *hello)
{
    return strcasecmp(peer->address.host, hello->sender.host) != 0 || peer->address.port != hello->sender.port;
}

static void move_peer(struct watched *w, struct instance *peer, const struct hello *hello, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    for (int link = 0; link < SENTINEL_LINKS; link++) {
        if (!peer->link[link].up && !peer->link[link].opening) continue;
        struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_DISCONNECT);
        a->instance = peer->id;
        a->link = link;
    }
    peer->address = hello->sender;
    peer->ip[0] = '\0';
    peer->link[LINK_COMMANDS].tried_ms = 0;
    health_init(&peer->health, now_ms);
    sentinel_say(s, LOG_NOTICE, "+sentinel-address-switch", w, w->master, " ip %s port %d for %s", hello->sender.host,
                 hello->sender.port, hello->run_id);
    sentinel_save(s);
}

static struct voter *sender_of(struct watched *w, const struct hello *hello, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    struct voter *voter = watched_voter(w, hello->run_id);
    struct instance *peer = sentinel_peer(s, hello->run_id);
    if (!voter || has_moved(voter->peer, hello)) remove_doubles(w, hello);
    if (peer && has_moved(peer, hello)) move_peer(w, peer, hello, now_ms);
    voter = watched_voter(w, hello->run_id); /* removing moves them */
    if (voter) return voter;
    if (!peer) peer = sentinel_add_peer(s, hello->run_id, &hello->sender, now_ms);
    voter = watched_add_voter(w, peer);
    sentinel_say(s, LOG_NOTICE, "+sentinel", w, peer, "%s", "");
    sentinel_save(s);
    return voter;
}

/* One epoch with two masters: an election, and a fail-over that somebody asked for, or two of these, in two parts of a
 * network that did not hear each other. Neither would ever give way to the other. So one of the two Sentinels, the one
 * with the smaller run id, gives its own configuration an epoch that is newer than both, as long as its master is well.
 * Where it is not, no fail-over brings a new epoch: most may have the other one, and agree to none. Then that of the
 * other Sentinel is made newer, a while later. */
static bool may_settle(struct watched *w, const struct hello *hello, int64_t now_ms)
{
    if (w->draw_epoch != hello->config_epoch) {
        w->draw_epoch = hello->config_epoch;
        w->draw_since_ms = now_ms;
    }
    bool first = strcmp(w->sentinel->run_id, hello->run_id) < 0;
    return first || now_ms - w->draw_since_ms >= 4 * w->sentinel->settings.periods.hello;
}

static void settle_draw(struct watched *w, const struct hello *hello, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    bool draw = w->config_epoch && hello->config_epoch == w->config_epoch && !watched_in_failover(w) &&
                watched_replica_at(w, hello->master.host, hello->master.port);
    if (!draw || !may_settle(w, hello, now_ms) || !watched_master_is_sane(w, now_ms)) return;
    sentinel_note(s, LOG_WARNING,
                  "Configuration epoch %" PRIu64 " of %s has two masters: %s:%d, and %s:%d of Sentinel %.8s. Ours gets "
                  "epoch %" PRIu64,
                  w->config_epoch, w->name, w->master->address.host, w->master->address.port, hello->master.host,
                  hello->master.port, hello->run_id, s->current_epoch + 1);
    sentinel_raise_epoch(s, s->current_epoch + 1);
    w->config_epoch = s->current_epoch;
    uint64_t epoch = s->current_epoch;
    election_vote(&w->own, &epoch, epoch, s->run_id); /* no one else is elected in it */
    sentinel_save(s);
    watched_spread(w);
}

/* A newer configuration wins, whoever tells it. */
static void take_configuration(struct watched *w, struct instance *sender, const struct hello *hello, int64_t now_ms)
{
    struct sentinel *s = w->sentinel;
    if (hello->config_epoch <= w->config_epoch) {
        settle_draw(w, hello, now_ms);
        return;
    }
    uint64_t before = w->config_epoch;
    w->config_epoch = hello->config_epoch;
    sentinel_save(s);
    if (instance_is_at(w->master, hello->master.host, hello->master.port)) {
        if (watched_in_failover(w)) watched_failover_event(w, FAILOVER_EVENT_ABORT, now_ms);
        return;
    }
    sentinel_say(s, LOG_WARNING, "+config-update-from", w, sender, "%s", "");
    sentinel_note(s, LOG_NOTICE,
                  "The master of %s becomes %s:%d: configuration epoch %" PRIu64
                  " of Sentinel %.8s is newer than ours, %" PRIu64,
                  w->name, hello->master.host, hello->master.port, hello->config_epoch, hello->run_id, before);
    char text[2 * SENTINEL_HOST_MAX + 64];
    const struct instance *master = watched_current(w);
    snprintf(text, sizeof text, "observer start %s %d %s %d", instance_host(master, s->settings.announce_hostnames),
             master->address.port, hello->master.host, hello->master.port);
    if (watched_in_failover(w)) watched_failover_event(w, FAILOVER_EVENT_ABORT, now_ms);
    watched_switch(w, &hello->master, now_ms);
    struct sentinel_action *a = sentinel_actions_add(s->out, SENTINEL_RECONFIGURED);
    a->master = w->name;
    snprintf(a->text, sizeof a->text, "%s", text);
}

static bool reaches_us_as(const struct instance *i, const char *host)
{
    return *i->local_ip && strcasecmp(i->local_ip, host) == 0;
}

/* Whether it comes from where we are: from one before us with another id, whose file was lost. Such a one would count
 * as one more Sentinel for ever, for nobody else ever speaks from our address. */
static bool is_from_here(const struct sentinel *s, const struct watched *w, const struct hello *hello)
{
    const struct sentinel_address *own = &s->settings.announce;
    if (hello->sender.port != (own->port ? own->port : s->settings.port)) return false;
    if (*own->host) return strcasecmp(own->host, hello->sender.host) == 0;
    bool here = reaches_us_as(w->master, hello->sender.host);
    for (int i = 0; i < w->replica_count && !here; i++) here = reaches_us_as(w->replicas[i], hello->sender.host);
    return here;
}

/* The master that it speaks of: most often the one that it was heard at, among hundreds. */
static struct watched *meant(const struct sentinel *s, const struct instance *heard_at, const char *name)
{
    struct watched *w = heard_at ? heard_at->watched : NULL;
    return w && strcmp(w->name, name) == 0 ? w : sentinel_master(s, name);
}

void sentinel_take_hello(struct sentinel *s, const struct instance *heard_at, struct bytes text, int64_t now_ms)
{
    struct hello hello;
    if (hello_is_of(text, s->run_id) || hello_parse(text, &hello)) return;
    struct watched *w = meant(s, heard_at, hello.master_name);
    if (!w || is_from_here(s, w, &hello)) return;
    sentinel_look_again(w);
    struct voter *voter = sender_of(w, &hello, now_ms);
    struct instance *peer = voter->peer;
    voter->hello_ms = peer->hello_heard_ms = now_ms;
    sentinel_raise_epoch(s, hello.current_epoch);
    if (s->tilt.on) return;
    voter->told_ms = now_ms;
    take_configuration(w, peer, &hello, now_ms);
}
