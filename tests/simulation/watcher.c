/* See watcher.h. The simulator. */
#include "tests/simulation/watcher.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/node.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OPENING_MAX_MS 3000 /* links.c's */
#define CHANNELS_MAX   (NODES_MAX * 4)
#define KNOWN_MAX      NODES_MAX

/* What the file says of one master, and of all. */
struct file_group {
    uint64_t config_epoch, leader_epoch;
    struct sentinel_address master;
    int replica_count, peer_count;
    struct sentinel_address replicas[KNOWN_MAX], peers[KNOWN_MAX];
    char peer_ids[KNOWN_MAX][SENTINEL_RUN_ID + 1];
};

struct file {
    bool written;
    char run_id[SENTINEL_RUN_ID + 1];
    uint64_t current_epoch;
    struct file_group groups[GROUPS];
};

static const char *const names[GROUPS] = {MASTER_NAME, "neighbours"};

struct channel {
    uint64_t instance; /* 0: free */
    enum sentinel_link link;
    conn_id conn; /* 0: none */
    bool opening, up, ended;
    int64_t since_ms;
};

struct watcher {
    struct world *w;
    int id;
    struct file file;
    bool up, unsaved;
    struct sentinel sentinel;
    struct sentinel_actions actions;
    struct channel channels[CHANNELS_MAX];
    int dies_in; /* actions; 0: it does not */
};

static struct watcher *watcher_of(const struct world *w, int node)
{
    return w->nodes[node].self;
}

static int64_t now_ms(const struct watcher *s)
{
    return node_now_ms(s->w, s->id);
}

/* --- the file (state.c) --- */

static void tell_address(const struct instance *i, struct sentinel_address *out)
{
    snprintf(out->host, sizeof out->host, "%s", instance_host(i, false));
    out->port = i->address.port;
}

static void save_group(const struct watched *watched, struct file_group *f)
{
    const struct instance *current = watched_current(watched);
    *f = (struct file_group){.config_epoch = watched->config_epoch, .leader_epoch = watched->own.epoch};
    tell_address(current, &f->master);
    for (int i = 0; i < watched->replica_count && f->replica_count < KNOWN_MAX; i++) {
        const struct instance *r = watched->replicas[i] == current ? watched->master : watched->replicas[i];
        tell_address(r, &f->replicas[f->replica_count++]);
    }
    for (int i = 0; i < watched->voter_count && f->peer_count < KNOWN_MAX; i++) {
        const struct instance *peer = watched->voters[i].peer;
        memcpy(f->peer_ids[f->peer_count], peer->run_id, sizeof peer->run_id);
        f->peers[f->peer_count++] = peer->address;
    }
}

static void save(struct watcher *s)
{
    struct file *f = &s->file;
    s->unsaved = false;
    f->written = true;
    f->current_epoch = s->sentinel.current_epoch;
    memcpy(f->run_id, s->sentinel.run_id, sizeof f->run_id);
    for (int i = 0; i < s->sentinel.master_count; i++) save_group(s->sentinel.masters[i], &f->groups[i]);
}

/* --- channels (links.c) --- */

static struct channel *find_channel(struct watcher *s, uint64_t instance, enum sentinel_link link)
{
    for (int i = 0; i < CHANNELS_MAX; i++)
        if (s->channels[i].instance == instance && s->channels[i].link == link) return &s->channels[i];
    return NULL;
}

static struct channel *channel_of_conn(struct watcher *s, conn_id conn)
{
    for (int i = 0; conn && i < CHANNELS_MAX; i++)
        if (s->channels[i].instance && s->channels[i].conn == conn) return &s->channels[i];
    return NULL;
}

static struct channel *make_channel(struct watcher *s, uint64_t instance, enum sentinel_link link)
{
    struct channel *c = find_channel(s, instance, link);
    if (!c) c = find_channel(s, 0, LINK_COMMANDS);
    if (!c) c = find_channel(s, 0, LINK_MESSAGES);
    CHECK(c);
    *c = (struct channel){.instance = instance, .link = link};
    return c;
}

static void ended(struct channel *c)
{
    c->conn = 0;
    c->up = c->opening = false;
    c->ended = true;
}

static void drop(struct watcher *s, struct channel *c)
{
    network_close(s->w, s->id, c->conn);
    ended(c);
}

static void connect(struct watcher *s, const struct sentinel_action *a)
{
    struct channel *c = make_channel(s, a->instance, a->link);
    int to = node_at(s->w, a->address.host);
    c->opening = true;
    c->since_ms = now_ms(s);
    if (to == NOBODY)
        ended(c);
    else
        c->conn = network_connect(s->w, s->id, to, a->link == LINK_COMMANDS ? FOR_COMMANDS : FOR_MESSAGES, 0);
}

static void send_request(struct watcher *s, const struct sentinel_action *a)
{
    struct channel *c = find_channel(s, a->instance, LINK_COMMANDS);
    struct packet p = {.what = SAYS_REQUEST, .number = {a->request}};
    char text[HELLO_TEXT_MAX + SENTINEL_HOST_MAX];
    if (!c || !c->up) return;
    switch (a->request) {
    case REQUEST_HELLO: p.len = (size_t)snprintf(text, sizeof text, "%s", a->text); break;
    case REQUEST_IS_DOWN:
        p.number[1] = a->epoch;
        p.number[2] = (uint64_t)a->address.port;
        p.number[3] = strcmp(a->text, names[0]) != 0;
        p.len = (size_t)snprintf(text, sizeof text, "%s %s", a->run_id, a->address.host);
        break;
    case REQUEST_FOLLOW: p.number[1] = (uint64_t)node_at(s->w, a->address.host); break;
    case REQUEST_PROMOTE: {
        const struct watched *w = sentinel_instance(&s->sentinel, a->instance)->watched;
        int64_t since_ms = health_is_down(&w->master->health) ? w->master->health.since_ms : w->failover.started_ms;
        p.number[2] = (uint64_t)(since_ms - s->w->nodes[s->id].clock_ms);
        break;
    }
    case REQUEST_HAND_OVER:
        p.number[1] = (uint64_t)node_at(s->w, a->address.host);
        p.number[2] = (uint64_t)a->timeout_ms;
        break;
    default: break;
    }
    p.bytes = (const uint8_t *)text;
    network_send(s->w, s->id, c->conn, &p);
}

/* --- actions (process.c) --- */

static void forget(struct watcher *s, uint64_t instance)
{
    for (int link = 0; link < SENTINEL_LINKS; link++) {
        struct channel *c = find_channel(s, instance, (enum sentinel_link)link);
        if (!c) continue;
        network_close(s->w, s->id, c->conn);
        *c = (struct channel){0};
    }
}

static void say(struct watcher *s, const struct sentinel_action *a)
{
    world_trace(s->w, s->id, "%s %s", a->type, a->text);
    const struct watched *watched = s->sentinel.masters[0];
    if (!a->master || strcmp(a->master, watched->name) != 0) return;
    if (strcmp(a->type, "+elected-leader") == 0) checks_elected(s->w, s->id, &watched->failover);
    if (strcmp(a->type, "+promoted-slave") == 0)
        checks_promotion_heard(s->w, node_at(s->w, watched_current(watched)->address.host));
}

static void carry_out_one(struct watcher *s, const struct sentinel_action *a)
{
    struct channel *c;
    switch (a->kind) {
    case SENTINEL_SAVE: s->unsaved = true; break;
    case SENTINEL_CONNECT: connect(s, a); break;
    case SENTINEL_DISCONNECT:
        c = find_channel(s, a->instance, a->link);
        if (c) drop(s, c);
        break;
    case SENTINEL_FORGET: forget(s, a->instance); break;
    case SENTINEL_SEND:
        if (s->unsaved) save(s);
        send_request(s, a);
        break;
    case SENTINEL_SAY: say(s, a); break;
    case SENTINEL_NOTE: world_trace(s->w, s->id, "%s", a->text); break;
    case SENTINEL_RECONFIGURED:
    case SENTINEL_DIE: break;
    }
}

/* Killed here, what the list has left is not done, and what was not saved is not known. */
static void die_here(struct world *w, int node, uint64_t arg)
{
    (void)arg;
    if (w->nodes[node].running) node_die(w, node, false, false);
}

static bool dies_now(struct watcher *s)
{
    if (!s->dies_in || --s->dies_in) return false;
    world_trace(s->w, s->id, "dies in the middle of what it does");
    world_after(s->w, 0, s->id, die_here, 0);
    s->actions.count = 0;
    return true;
}

static void carry_out(struct watcher *s)
{
    for (int i = 0; i < s->actions.count; i++) {
        if (dies_now(s)) return;
        carry_out_one(s, &s->actions.list[i]);
    }
    s->actions.count = 0;
    if (s->unsaved) save(s);
}

static void event(struct watcher *s, const struct sentinel_event *e)
{
    sentinel_step(&s->sentinel, e, now_ms(s), &s->actions);
    carry_out(s);
}

static void tell_ended(struct watcher *s, struct channel *c)
{
    c->ended = false;
    event(s, &(struct sentinel_event){.kind = SENTINEL_EVENT_UNLINKED, .instance = c->instance, .link = c->link});
}

static void tick_channels(struct watcher *s)
{
    for (int i = 0; i < CHANNELS_MAX; i++) {
        struct channel *c = &s->channels[i];
        if (!c->instance) continue;
        if (c->opening && now_ms(s) - c->since_ms > OPENING_MAX_MS) drop(s, c);
        if (c->ended) tell_ended(s, c);
    }
}

static void tick(struct world *w, int node, uint64_t arg)
{
    struct watcher *s = watcher_of(w, node);
    (void)arg;
    tick_channels(s);
    event(s, &(struct sentinel_event){.kind = SENTINEL_EVENT_TICK});
    world_after(w, sentinel_deadline_ms(&s->sentinel, now_ms(s)) - now_ms(s), node, tick, 0);
}

/* --- life --- */

void watcher_make(struct world *w, int node)
{
    struct watcher *s = mem_calloc(1, sizeof *s);
    s->w = w;
    s->id = node;
    w->nodes[node].self = s;
}

static void monitor(struct watcher *s, int group, const struct sentinel_address *master)
{
    const struct plan *plan = s->w->plan;
    struct watched_settings settings;
    sentinel_watched_settings_init(&s->sentinel.settings.periods, &settings, plan->quorum);
    settings.down_after_ms = plan->down_after_ms;
    settings.failover_timeout_ms = plan->failover_timeout_ms;
    settings.parallel_syncs = plan->parallel_syncs;
    CHECK(sentinel_monitor(&s->sentinel, names[group], master, &settings, now_ms(s), &s->actions));
}

/* sentinel_state_apply() */
static void read_group(struct watcher *s, int group)
{
    const struct file_group *f = &s->file.groups[group];
    monitor(s, group, &f->master);
    struct watched *watched = s->sentinel.masters[group];
    watched->config_epoch = f->config_epoch;
    watched->own.epoch = f->leader_epoch;
    for (int i = 0; i < f->replica_count; i++) sentinel_know_replica(watched, &f->replicas[i], now_ms(s));
    for (int i = 0; i < f->peer_count; i++) sentinel_know_sentinel(watched, &f->peers[i], f->peer_ids[i], now_ms(s));
}

void watcher_start(struct world *w, int node)
{
    struct watcher *s = watcher_of(w, node);
    struct sentinel_settings settings;
    char run_id[SENTINEL_RUN_ID + 1] = "";
    uint64_t seed;
    random_from_kernel(&seed, sizeof seed);
    random_hex(run_id, SENTINEL_RUN_ID);
    sentinel_settings_init(&settings);
    settings.port = SENTINEL_PORT;
    sentinel_init(&s->sentinel, &settings, s->file.written ? s->file.run_id : run_id, seed);
    memset(s->channels, 0, sizeof s->channels);
    s->up = true;
    s->dies_in = 0;
    for (int group = 0; group < (w->plan->neighbours ? 2 : 1); group++) {
        struct sentinel_address first;
        node_first_address(group ? w->first_neighbour : 0, &first);
        if (s->file.written)
            read_group(s, group);
        else
            monitor(s, group, &first);
    }
    if (s->file.written) s->sentinel.current_epoch = s->file.current_epoch;
    save(s);
    s->actions.count = 0;
    world_after(w, 0, node, tick, 0);
}

void watcher_die(struct world *w, int node, bool disk_lost)
{
    struct watcher *s = watcher_of(w, node);
    if (s->up) {
        sentinel_free(&s->sentinel);
        sentinel_actions_free(&s->actions);
    }
    s->up = false;
    if (disk_lost) s->file = (struct file){0};
}

void watcher_unmake(struct world *w, int node)
{
    watcher_die(w, node, true);
    mem_free(w->nodes[node].self);
}

void watcher_dies_midway(struct world *w, int node, unsigned actions)
{
    watcher_of(w, node)->dies_in = (int)actions + 1;
}

void watcher_spared(struct world *w, int node)
{
    watcher_of(w, node)->dies_in = 0;
}

/* --- what arrives --- */

void watcher_opened(struct world *w, int node, conn_id conn)
{
    struct watcher *s = watcher_of(w, node);
    struct channel *c = channel_of_conn(s, conn);
    struct sentinel_address other, own;
    if (!c) return;
    c->opening = false;
    c->up = true;
    node_address(w, network_other(w, node, conn), &other);
    node_address(w, node, &own);
    if (c->link == LINK_MESSAGES) network_send(w, node, conn, &(struct packet){.what = SAYS_SUBSCRIBE});
    event(s, &(struct sentinel_event){.kind = SENTINEL_EVENT_LINKED,
                                      .instance = c->instance,
                                      .link = c->link,
                                      .ip = other.host,
                                      .local_ip = own.host});
}

void watcher_closed(struct world *w, int node, conn_id conn)
{
    struct watcher *s = watcher_of(w, node);
    struct channel *c = channel_of_conn(s, conn);
    if (!c) return;
    ended(c);
    tell_ended(s, c);
}

static void take_reply(struct watcher *s, const struct channel *c, const struct packet *p)
{
    struct sentinel_event e = {.kind = SENTINEL_EVENT_REPLY,
                               .instance = c->instance,
                               .request = (enum sentinel_request)p->number[0],
                               .error = p->number[1],
                               .text = bytes_make(p->bytes, p->len)};
    if (e.request == REQUEST_IS_DOWN) {
        e.leader = e.text;
        const char *name = names[p->number[1]];
        e.error = false;
        e.text = bytes_make((const uint8_t *)name, strlen(name) + 1);
        e.down = p->number[2];
        e.epoch = p->number[3];
    }
    event(s, &e);
}

static void answer(struct watcher *s, conn_id conn, uint64_t request)
{
    const char *text = request == REQUEST_PING ? "PONG" : "";
    struct packet p = {.what = SAYS_REPLY, .number = {request}, .len = strlen(text), .bytes = (const uint8_t *)text};
    network_send(s->w, s->id, conn, &p);
}

/* Which group was asked for stands where other answers say whether they are errors. */
static void answer_is_down(struct watcher *s, conn_id conn, uint64_t group, const struct sentinel_down_answer *down)
{
    struct packet p = {.what = SAYS_REPLY,
                       .number = {REQUEST_IS_DOWN, group, down->down, down->epoch},
                       .len = strlen(down->leader),
                       .bytes = (const uint8_t *)down->leader};
    network_send(s->w, s->id, conn, &p);
}

static void is_down(struct watcher *s, conn_id conn, const struct packet *p)
{
    char text[SENTINEL_RUN_ID + SENTINEL_HOST_MAX + 2], run_id[SENTINEL_RUN_ID + 1];
    struct sentinel_address master = {.port = (int)p->number[2]};
    struct sentinel_down_answer down;
    snprintf(text, sizeof text, "%.*s", (int)p->len, (const char *)p->bytes);
    CHECK(sscanf(text, "%40s %255s", run_id, master.host) == 2);
    if (s->w->plan->mistake == MISTAKE_DOUBLE_VOTE) s->sentinel.masters[0]->own.epoch = 0;
    sentinel_is_master_down(&s->sentinel, &master, p->number[1], run_id, now_ms(s), &down, &s->actions);
    bool dies = s->dies_in && s->dies_in <= s->actions.count;
    carry_out(s);
    if (!dies) answer_is_down(s, conn, p->number[3], &down);
}

static void take_request(struct watcher *s, conn_id conn, const struct packet *p)
{
    if (p->number[0] == REQUEST_IS_DOWN) {
        is_down(s, conn, p);
        return;
    }
    if (p->number[0] == REQUEST_HELLO)
        event(s, &(struct sentinel_event){.kind = SENTINEL_EVENT_HELLO, .text = bytes_make(p->bytes, p->len)});
    answer(s, conn, p->number[0]);
}

void watcher_received(struct world *w, int node, conn_id conn, const struct packet *p)
{
    struct watcher *s = watcher_of(w, node);
    const struct channel *c = channel_of_conn(s, conn);
    if (p->what == SAYS_REPLY && c) take_reply(s, c, p);
    if (p->what == SAYS_MESSAGE && c)
        event(s, &(struct sentinel_event){
                     .kind = SENTINEL_EVENT_HELLO, .instance = c->instance, .text = bytes_make(p->bytes, p->len)});
    if (p->what == SAYS_REQUEST) take_request(s, conn, p);
    if (p->what != SAYS_WHERE) return;
    int master = watcher_master(w, node);
    network_send(w, node, conn, &(struct packet){.what = SAYS_THERE, .number = {(uint64_t)master}});
}

/* --- from outside --- */

void watcher_fails_over(struct world *w, int node)
{
    struct watcher *s = watcher_of(w, node);
    const char *error = sentinel_failover(&s->sentinel, s->sentinel.masters[0], now_ms(s), &s->actions);
    world_trace(w, node, "SENTINEL FAILOVER: %s", error ? error : "OK");
    carry_out(s);
}

const struct watched *watcher_watched(const struct world *w, int node)
{
    const struct watcher *s = watcher_of(w, node);
    return s->up ? s->sentinel.masters[0] : NULL;
}

const struct watched *watcher_watched_neighbours(const struct world *w, int node)
{
    const struct watcher *s = watcher_of(w, node);
    return s->up && s->sentinel.master_count > 1 ? s->sentinel.masters[1] : NULL;
}

int watcher_master(const struct world *w, int node)
{
    const struct watched *watched = watcher_watched(w, node);
    return watched ? node_at(w, instance_host(watched_current(watched), false)) : NOBODY;
}
