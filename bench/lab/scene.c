/* Setting the scene of a try, and clearing it away. See scene.h. */
#include "bench/lab/scene.h"

#include "bench/lab/attached.h"
#include "bench/lab/writer.h"
#include "tests/harness/clock.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define STEP_BOUND_MS     60000
#define ANSWER_BOUND_MS   2000
#define ORPHANED_BOUND_MS 5000
#define BATCH             2000

/* --- the wire --- */

static void connection_opened(void *context, uint64_t connection)
{
    struct wire_log *w = context;
    pthread_mutex_lock(&w->lock);
    connection += w->before;
    w->connections = connection;
    if (connection < HANDSHAKES_MAX) w->handshakes[connection] = calloc(1, sizeof(struct handshake));
    pthread_mutex_unlock(&w->lock);
}

static void bytes_passed(void *context, uint64_t connection, bool to_caller, const uint8_t *bytes, size_t len)
{
    struct wire_log *w = context;
    pthread_mutex_lock(&w->lock);
    connection += w->before;
    struct handshake *h = connection < HANDSHAKES_MAX ? w->handshakes[connection] : NULL;
    if (h && !handshake_is_over(h)) {
        handshake_feed(h, to_caller, bytes, len);
        if (handshake_is_over(h)) w->answered_us[connection] = clock_us();
    }
    pthread_mutex_unlock(&w->lock);
}

bool wire_log_answered(struct wire_log *w, uint64_t from, int wanted, struct handshake *out, int64_t *when_us)
{
    int found = 0;
    pthread_mutex_lock(&w->lock);
    for (uint64_t c = from; c <= w->connections && c < HANDSHAKES_MAX; c++) {
        const struct handshake *h = w->handshakes[c];
        if (h->granted != GRANTED_PARTIAL && h->granted != GRANTED_FULL) continue;
        if (!found++ || (h->granted == GRANTED_FULL && out->granted != GRANTED_FULL)) {
            *out = *h;
            *when_us = w->answered_us[c];
        }
    }
    pthread_mutex_unlock(&w->lock);
    return found >= wanted;
}

uint64_t wire_log_connections(struct wire_log *w)
{
    pthread_mutex_lock(&w->lock);
    uint64_t connections = w->connections;
    pthread_mutex_unlock(&w->lock);
    return connections;
}

/* --- the servers --- */

static void set_number(struct instance *i, const char *directive, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    instance_set(i, directive, text);
}

int scene_start_again(struct scene *s, struct instance *i, char error[256])
{
    if (instance_start(i, error) != 0) return -1;
    instance_set(i, "save", "");
    instance_set(i, "repl-diskless-sync-delay", "0");
    set_number(i, "repl-backlog-size", s->settings.backlog_bytes);
    set_number(i, "repl-timeout", (uint64_t)s->settings.timeout_s);
    return 0;
}

static int start(struct scene *s, struct instance *i, const struct contestant *of, const char *role, char error[256])
{
    instance_init(i, of, role);
    return scene_start_again(s, i, error);
}

static int fill(struct instance *i, long keys, int value_bytes)
{
    char *value = malloc((size_t)value_bytes + 1);
    memset(value, 'v', (size_t)value_bytes);
    value[value_bytes] = '\0';
    int status = 0;
    for (long at = 0; at < keys && status == 0;) {
        long batch = keys - at < BATCH ? keys - at : BATCH;
        for (long k = 0; k < batch; k++, at++)
            redisAppendCommand(i->client, "SET " LAB_KEY "%ld %b", at, value, (size_t)value_bytes);
        for (long k = 0; k < batch && status == 0; k++) {
            redisReply *r = NULL;
            status = redisGetReply(i->client, (void **)&r) == REDIS_OK && r->type == REDIS_REPLY_STATUS ? 0 : -1;
            freeReplyObject(r);
        }
    }
    free(value);
    return status;
}

int scene_follow(struct instance *replica, int port)
{
    redisReply *r = instance_command(replica, "REPLICAOF 127.0.0.1 %d", port);
    int status = r && r->type == REDIS_REPLY_STATUS ? 0 : -1;
    freeReplyObject(r);
    return status;
}

bool scene_promote(struct instance *replica)
{
    redisReply *r = instance_command(replica, "REPLICAOF NO ONE");
    bool promoted = r && r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    return promoted;
}

int scene_swap_roles(struct scene *s)
{
    if (!scene_promote(&s->replica)) return -1;
    struct instance old = s->master;
    s->master = s->replica;
    s->replica = old;
    proxy_retarget(s->proxy, s->master.port);
    return 0;
}

void scene_write_doomed(struct scene *s, struct instance *master)
{
    s->counts_losses = true;
    for (int k = 0; master->client && k < DOOMED_KEYS; k++)
        redisAppendCommand(master->client, "SET " LAB_KEY "doomed:%d %d", k, k);
    for (int k = 0; master->client && k < DOOMED_KEYS; k++) {
        redisReply *r = NULL;
        if (redisGetReply(master->client, (void **)&r) != REDIS_OK) return;
        s->doomed += r->type == REDIS_REPLY_STATUS;
        freeReplyObject(r);
    }
}

void scene_count_lost(struct scene *s)
{
    uint64_t there = 0;
    for (int k = 0; s->counts_losses && k < DOOMED_KEYS; k++) {
        redisReply *r = instance_command(&s->master, "EXISTS " LAB_KEY "doomed:%d", k);
        there += r && r->type == REDIS_REPLY_INTEGER && r->integer == 1;
        freeReplyObject(r);
    }
    s->lost = s->doomed > there ? s->doomed - there : 0;
}

/* The master's offset is read first: one that goes on being written to is reached, too. */
static bool in_step(struct scene *s, struct instance *follower)
{
    char *master = instance_info(&s->master, "replication", ANSWER_BOUND_MS);
    char *replica = instance_info(follower, "replication", ANSWER_BOUND_MS), link[16] = "";
    bool good = master && replica && info_text_of(replica, "master_link_status", link, sizeof link) &&
                strcmp(link, "up") == 0 &&
                info_number_of(replica, "slave_repl_offset") >= info_number_of(master, "master_repl_offset");
    free(master);
    free(replica);
    return good;
}

bool scene_in_step(struct scene *s)
{
    bool good = in_step(s, &s->replica);
    for (int i = 0; good && i < s->more_count; i++) good = in_step(s, &s->more[i]);
    return good;
}

int scene_wait_in_step(struct scene *s, int bound_ms)
{
    for (int64_t until_ms = clock_ms() + bound_ms; clock_ms() < until_ms; sleep_us(500))
        if (scene_in_step(s)) return 0;
    return -1;
}

static bool link_is_up(struct instance *replica)
{
    char *info = instance_info(replica, "replication", ANSWER_BOUND_MS), link[16] = "";
    info_text_of(info, "master_link_status", link, sizeof link);
    free(info);
    return strcmp(link, "up") == 0;
}

void scene_wait_orphaned(struct instance *replica)
{
    for (int64_t until_ms = clock_ms() + ORPHANED_BOUND_MS; link_is_up(replica) && clock_ms() < until_ms;)
        sleep_us(500);
}

static void wait_for_link(struct instance *replica)
{
    int64_t until_ms = clock_ms() + STEP_BOUND_MS;
    while (!link_is_up(replica) && clock_ms() < until_ms) sleep_us(1000);
}

/* A replica whose link is up may not be sent the stream yet: only a write that has arrived says so. */
static int stream_flows(struct scene *s, struct instance *replica)
{
    wait_for_link(replica);
    redisReply *r = instance_command(&s->master, "SET " LAB_KEY "0 %s", replica->role);
    freeReplyObject(r);
    for (int64_t until_ms = clock_ms() + STEP_BOUND_MS; clock_ms() < until_ms; sleep_us(1000)) {
        r = instance_command(replica, "GET " LAB_KEY "0");
        bool there = r && r->type == REDIS_REPLY_STRING && strcmp(r->str, replica->role) == 0;
        freeReplyObject(r);
        if (there) return s->sibling_alone ? 0 : scene_wait_in_step(s, STEP_BOUND_MS);
    }
    return -1;
}

static int open_proxy(struct scene *s, int target_port, char error[256])
{
    struct proxy_settings between = {
        .target_port = target_port,
        .observer = {.context = &s->wire, .opened = connection_opened, .passed = bytes_passed},
    };
    s->proxy = proxy_open(&between, error);
    return s->proxy ? 0 : -1;
}

int scene_move_proxy(struct scene *s, char error[256])
{
    proxy_stop(s->proxy);
    s->wire.before = s->wire.connections;
    if (open_proxy(s, s->master.port, error) != 0) return -1;
    proxy_cut(s->proxy);
    return 0;
}

static int connect_pair(struct scene *s, char error[256])
{
    if (open_proxy(s, s->settings.chain ? s->sibling.port : s->master.port, error) != 0) return -1;
    snprintf(error, 256, "'%s' does not become a replica of '%s'", s->replica.of->name, s->master.of->name);
    if (scene_follow(&s->replica, proxy_port(s->proxy)) != 0) return -1;
    return stream_flows(s, &s->replica);
}

static int add_sibling(struct scene *s, char error[256])
{
    if (start(s, &s->sibling, s->settings.replica, "sibling", error) != 0) return -1;
    snprintf(error, 256, "the sibling does not follow '%s'", s->settings.master->name);
    if (scene_follow(&s->sibling, s->master.port) != 0) return -1;
    s->sibling_alone = true;
    int status = stream_flows(s, &s->sibling);
    s->sibling_alone = false;
    return status;
}

static int add_more(struct scene *s, char error[256])
{
    while (s->more_count < s->settings.more_replicas) {
        struct instance *i = &s->more[s->more_count];
        char role[sizeof i->role];
        snprintf(role, sizeof role, "more-%u", (unsigned)s->more_count % 100);
        if (start(s, i, s->settings.replica, role, error) != 0) return -1;
        s->more_count++;
        snprintf(error, 256, "one of the replicas does not follow '%s'", s->settings.master->name);
        if (scene_follow(i, proxy_port(s->proxy)) != 0 || stream_flows(s, i) != 0) return -1;
    }
    return 0;
}

/* --- servers that run already --- */

/* Nothing is set, filled or ended. The replica is led through the proxy, which it must be able to reach: the address is
 * the one that we ourselves have towards it. */
static int lead_through_proxy(struct scene *s, char error[256])
{
    struct sockaddr_storage ours;
    socklen_t len = sizeof ours;
    char host[INET6_ADDRSTRLEN] = "";
    snprintf(error, 256, "no address of ours that the replica could reach is known");
    if (getsockname(s->replica.client->fd, (struct sockaddr *)&ours, &len) != 0 ||
        getnameinfo((struct sockaddr *)&ours, len, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0)
        return -1;
    struct proxy_settings between = {
        .listen_host = host,
        .target_host = s->master.host,
        .target_port = s->master.port,
        .observer = {.context = &s->wire, .opened = connection_opened, .passed = bytes_passed},
    };
    s->proxy = proxy_open(&between, error);
    if (!s->proxy) return -1;
    snprintf(error, 256, "the replica does not follow its master through %s:%d", host, proxy_port(s->proxy));
    attached_guard(&s->replica, s->followed_host, s->followed_port);
    redisReply *r = instance_command(&s->replica, "REPLICAOF %s %d", host, proxy_port(s->proxy));
    bool good = r && r->type == REDIS_REPLY_STATUS;
    freeReplyObject(r);
    return good ? stream_flows(s, &s->replica) : -1;
}

/* As they are set: the sooner of the two ends a silent connection. */
static void learn_timeout(struct scene *s, struct instance *of)
{
    redisReply *r = instance_command(of, "CONFIG GET repl-timeout");
    int timeout_s = r && r->type == REDIS_REPLY_ARRAY && r->elements == 2 ? atoi(r->element[1]->str) : 0;
    if (timeout_s > 0 && timeout_s < s->settings.timeout_s) s->settings.timeout_s = timeout_s;
    freeReplyObject(r);
}

static int attach(struct scene *s, char error[256])
{
    char role[16] = "", link[16] = "", port[16] = "0", id[64] = "?", other[64] = "";
    instance_init(&s->master, s->settings.master, "master");
    instance_init(&s->replica, s->settings.replica, "replica");
    if (instance_start(&s->master, error) != 0 || instance_start(&s->replica, error) != 0) return -1;
    char *master = instance_info(&s->master, "replication", ANSWER_BOUND_MS);
    char *replica = instance_info(&s->replica, "replication", ANSWER_BOUND_MS);
    info_text_of(master, "master_replid", id, sizeof id);
    info_text_of(replica, "master_replid", other, sizeof other);
    info_text_of(replica, "role", role, sizeof role);
    info_text_of(replica, "master_link_status", link, sizeof link);
    info_text_of(replica, "master_host", s->followed_host, sizeof s->followed_host);
    info_text_of(replica, "master_port", port, sizeof port);
    free(master);
    free(replica);
    if (strcmp(link, "down") == 0) {
        snprintf(error, 256, "the link of %.80s:%d is down: it has to be in step with its master first",
                 s->replica.host, s->replica.port);
        return -1;
    }
    snprintf(error, 256, "%.80s:%d is no replica with the data of %.80s:%d; the lab makes none", s->replica.host,
             s->replica.port, s->master.host, s->master.port);
    if (strcmp(role, "slave") != 0 || strcmp(id, other) != 0) return -1;
    s->followed_port = atoi(port);
    learn_timeout(s, &s->master);
    learn_timeout(s, &s->replica);
    return lead_through_proxy(s, error);
}

/* The replica follows whom it followed, as the next scene wants to find it, and what the lab wrote is taken away. */
static void detach(struct scene *s)
{
    if (s->followed_port) {
        redisReply *r = instance_command(&s->replica, "REPLICAOF %s %d", s->followed_host, s->followed_port);
        bool follows = r && r->type == REDIS_REPLY_STATUS;
        if (!follows)
            fprintf(stderr, "slipstream-lab: PUT IT BACK BY HAND: the replica has to be told REPLICAOF %s %d\n",
                    s->followed_host, s->followed_port);
        freeReplyObject(r);
        attached_guard(NULL, NULL, 0);
        if (follows) wait_for_link(&s->replica);
    }
    for (long k = 0; s->followed_port && k < s->settings.keys; k++)
        freeReplyObject(instance_command(&s->master, "DEL " LAB_KEY "%ld", k));
}

int scene_set(struct scene *s, const struct scene_settings *settings, char error[256])
{
    *s = (struct scene){.settings = *settings};
    pthread_mutex_init(&s->wire.lock, NULL);
    if (settings->master->host[0]) return attach(s, error);
    if (start(s, &s->master, settings->master, "master", error) != 0) return -1;
    if (start(s, &s->replica, settings->replica, "replica", error) != 0) return -1;
    if (fill(&s->master, settings->keys, settings->value_bytes) != 0) {
        snprintf(error, 256, "'%s' does not take the first keys", settings->master->name);
        return -1;
    }
    if (settings->chain && add_sibling(s, error) != 0) return -1;
    if (connect_pair(s, error) != 0) return -1;
    if (add_more(s, error) != 0) return -1;
    return settings->sibling ? add_sibling(s, error) : 0;
}

void scene_clear(struct scene *s)
{
    if (s->settings.master->host[0]) detach(s);
    if (s->proxy) proxy_stop(s->proxy);
    for (int i = 0; i < s->more_count; i++) instance_free(&s->more[i]);
    instance_free(&s->sibling);
    instance_free(&s->replica);
    instance_free(&s->master);
    for (int c = 0; c < HANDSHAKES_MAX; c++) free(s->wire.handshakes[c]);
    pthread_mutex_destroy(&s->wire.lock);
}
