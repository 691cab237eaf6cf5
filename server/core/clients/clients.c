/* Clients from accept to close, in the server process.
 *
 * Closing is never immediate: a client may be closed while its own command runs, or while somebody walks the
 * subscribers of a channel. client_close() makes it deaf and mute and puts it among the dead; the dead are freed before
 * the loop sends. */
#include "server/core/clients/clients_parts.h"

#include "server/acl/users.h"
#include "server/base/alloc.h"
#include "server/base/check.h"
#include "server/base/log.h"
#include "server/core/command/stats.h"
#include "server/core/core.h"
#include "server/core/dataset/memory_limit.h"
#include "server/core/session/session_end.h"
#include "server/core/settings.h"
#include "server/core/tracking/tracking.h"
#include "server/net/address.h"
#include "server/net/pool/pool.h"

#include <stdio.h>
#include <unistd.h>

/* Who has not said who he is may leave unread replies or half a request here for so long. */
#define STRANGER_HOLDS_MS 60000

static void on_data(struct conn *conn, const uint8_t *data, size_t len)
{
    client_received(conn_owner(conn), data, len);
}

static void on_announced(struct conn *conn, const uint8_t *data, size_t len, bool near)
{
    client_announced(conn_owner(conn), data, len, near);
}

static void on_closed(struct conn *conn, int error)
{
    struct client *c = conn_owner(conn);
    (void)error;
    client_cut_off(c);
    client_close(c);
}

static const struct conn_events client_events = {.data = on_data, .announced = on_announced, .closed = on_closed};

/* --- with I/O threads --- */

static bool may_be_lent(const struct client *c)
{
    return c->conn && c->session.user && !c->query && !c->follower && client_may_run(c);
}

static void on_data_with_threads(struct conn *conn, const uint8_t *data, size_t len)
{
    struct client *c = conn_owner(conn);
    client_received(c, data, len);
    if (!conn_is_lent(conn) && may_be_lent(c)) pool_heard(c->core->io_threads, conn);
}

static void on_prepared(struct conn *conn, void *reading)
{
    client_prepared(conn_owner(conn), reading);
}

static bool between_requests(const struct conn *conn)
{
    const struct client *c = conn_owner(conn);
    return !c->query && c->session.user;
}

static const struct conn_events client_events_with_threads = {.data = on_data_with_threads,
                                                              .announced = on_announced,
                                                              .prepared = on_prepared,
                                                              .between_requests = between_requests,
                                                              .closed = on_closed};

struct clients *clients_new(struct core *core)
{
    struct clients *c = mem_calloc(1, sizeof *c);
    c->core = core;
    list_init(&c->all);
    list_init(&c->woken);
    list_init(&c->dead);
    list_init(&c->handshakes.all);
    clients_limit_start(c);
    return c;
}

static void turn_away(int fd, const char *text)
{
    ssize_t ignored = write(fd, text, strlen(text)); /* best effort, the socket is fresh and empty */
    (void)ignored;
    close(fd);
}

static bool protected_from(struct core *core, const struct address *peer)
{
    return core->settings->net.protected_mode && core->users->default_user->no_password && !address_is_loopback(peer);
}

static const char denied_text[] =
    "-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    "default user. In this mode connections are only accepted from the loopback interface. If you want to connect from "
    "external computers to Redis you may adopt one of the following solutions: "
    "1) Just disable protected mode sending the command 'CONFIG SET protected-mode no' from the loopback interface by "
    "connecting to Redis from the same host the server is running, however MAKE SURE Redis is not publicly accessible "
    "from internet if you do so. Use CONFIG REWRITE to make this change permanent. "
    "2) Alternatively you can just disable the protected mode by editing the Redis configuration file, and setting the "
    "protected mode option to 'no', and then restarting the server. "
    "3) If you started the server manually just for testing, restart it with the '--protected-mode no' option. "
    "4) Setup a an authentication password for the default user. "
    "NOTE: You only need to do one of the above things in order for the server to start accepting connections from the "
    "outside.\r\n";

/* --- what a session asks of its client --- */

static void owner_wake(struct session *s)
{
    client_wake(s->client);
}

static void owner_close(struct session *s)
{
    client_close(s->client);
}

static void owner_close_after_reply(struct session *s)
{
    client_close_after_reply(s->client);
}

static bool owner_is_closing(const struct session *s)
{
    return s->client->close_asap || s->client->close_after_reply;
}

static bool owner_is_local(const struct session *s)
{
    return address_is_loopback(&s->client->peer);
}

static bool owner_is_replica(const struct session *s)
{
    return s->client->follower;
}

static void owner_address(const struct session *s, char out[SESSION_ADDRESS_MAX])
{
    char address[ADDRESS_TEXT_MAX];
    const struct client *c = s->client;
    address_text(c->unix_socket ? &c->local : &c->peer, address);
    snprintf(out, SESSION_ADDRESS_MAX, "%s%s", c->unix_socket ? "unix:" : "", address);
}

static void owner_describe(const struct session *s, struct outq *out)
{
    client_describe(s->client, out);
}

static const struct session_owner client_owner = {
    .wake = owner_wake,
    .close = owner_close,
    .close_after_reply = owner_close_after_reply,
    .is_closing = owner_is_closing,
    .is_local = owner_is_local,
    .is_replica = owner_is_replica,
    .address = owner_address,
    .describe = owner_describe,
};

/* --- accepting --- */

/* On a descriptor, or on a connection that stands already. */
static void client_add(struct core *core, int fd, struct conn *conn, bool unix_socket, const struct address *peer)
{
    struct clients *all = core->clients;
    struct client *c = mem_calloc(1, sizeof *c);
    c->core = core;
    c->unix_socket = unix_socket;
    c->peer = *peer;
    c->created_ms = c->last_interaction_ms = loop_monotonic_ms(core->loop);
    resp_request_init(&c->request);
    const struct conn_events *events = core->io_threads ? &client_events_with_threads : &client_events;
    c->conn = conn ? conn : conn_open(core->loop, fd, events, c);
    if (conn) conn_give(conn, events, c);
    conn_local_address(c->conn, &c->local);
    session_init(&c->session, core, SESSION_CLIENT, conn_output(c->conn));
    c->session.client = c;
    c->session.owner = &client_owner;
    c->guard.may_grow = client_output_may_grow;
    c->session.reply.guard = &c->guard;
    if (!unix_socket) {
        conn_set_nodelay(c->conn, true);
        if (core->settings->net.tcp_keepalive_s) conn_set_keepalive(c->conn, core->settings->net.tcp_keepalive_s);
    }
    list_push_back(&all->all, &c->node);
    *map_slot(&all->by_id, bytes_make(&c->session.id, sizeof c->session.id)) = c;
    core->stats->connections_received++;
    client_note_memory(c);
}

/* NULL: it may come in. */
static const char *refusal(struct core *core, bool unix_socket, const struct address *peer)
{
    if (core->clients->all.count >= core->settings->net.max_clients) return "-ERR max number of clients reached\r\n";
    return !unix_socket && protected_from(core, peer) ? denied_text : NULL;
}

void clients_accept_secured(struct core *core, struct conn *conn, const struct address *peer)
{
    const char *text = refusal(core, false, peer);
    if (!text) {
        client_add(core, -1, conn, false, peer);
        return;
    }
    core->stats->connections_rejected++;
    outq_append(conn_output(conn), text, strlen(text));
    conn_close_after_flush(conn);
}

void clients_accept(struct core *core, int fd, bool unix_socket)
{
    struct address peer = {.len = sizeof peer.storage};
    if (getpeername(fd, (struct sockaddr *)&peer.storage, &peer.len)) {
        close(fd);
        return;
    }
    const char *text = refusal(core, unix_socket, &peer);
    if (text) {
        core->stats->connections_rejected++;
        turn_away(fd, text);
        return;
    }
    client_add(core, fd, NULL, unix_socket, &peer);
}

void clients_follow_default_user(struct core *core)
{
    const struct user *u = core->users->default_user;
    bool open = user_is_open(u);
    list_each(&core->clients->all, node)
    {
        struct session *s = &list_entry(node, struct client, node)->session;
        if (open ? s->user != NULL : !s->adopted) continue;
        s->user = open ? u : NULL;
        s->adopted = open;
    }
}

struct client *clients_find(struct clients *c, uint64_t id)
{
    return map_get(&c->by_id, bytes_make(&id, sizeof id));
}

static struct session *find_session(void *context, uint64_t id)
{
    struct core *core = context;
    struct client *c = clients_find(core->clients, id);
    return c && !c->close_asap ? &c->session : NULL;
}

struct tracking_host clients_for_tracking(struct core *core)
{
    return (struct tracking_host){.context = core, .find = find_session};
}

size_t clients_count(const struct clients *c)
{
    return c->all.count;
}

struct list *clients_all(struct clients *c)
{
    return &c->all;
}

size_t clients_count_handed_over(const struct clients *c)
{
    return c->handed_over;
}

/* --- closing --- */

static void client_free(struct client *c)
{
    struct clients *all = c->core->clients;
    list_remove(&all->dead, &c->pending);
    if (all->cron_position == &c->node) all->cron_position = c->node.next;
    list_remove(&all->all, &c->node);
    map_remove(&all->by_id, bytes_make(&c->session.id, sizeof c->session.id));
    client_leave_accounts(c);
    memory_limit_has_left(c->core, c->leaving_bytes);
    all->handed_over -= c->handed_over;
    if (c->conn) conn_close(c->conn);
    client_cut_off(c);
    tracking_stop(c->core->tracking, &c->session);
    session_release(c->core, &c->session);
    client_input_free(c);
    outq_clear(&c->nowhere);
    mem_free(c->hello);
    mem_free(c);
}

void client_hand_over(struct client *c, void (*detached)(void *arg, int fd, const uint8_t *rest, size_t len), void *arg)
{
    struct conn *conn = c->conn;
    client_leave_accounts(c);
    c->handed_over = true;
    c->core->clients->handed_over++;
    client_cut_off(c);
    client_note_memory(c);
    conn_detach(conn, detached, arg);
}

/* --- per turn and per tick --- */

/* Each has one piece of its kept requests run in a turn, however often this is called in it. */
static void run_woken(struct clients *all)
{
    if (likely(!list_first(&all->woken))) return;
    uint64_t turn = loop_usage(all->core->loop).turns;
    for (size_t left = all->woken.count; left > 0 && list_first(&all->woken); left--) {
        struct client *c = list_entry(list_first(&all->woken), struct client, pending);
        list_remove(&all->woken, &c->pending);
        c->woken = false;
        if (c->kept_turn == turn) {
            client_wake_later(c);
            continue;
        }
        c->kept_turn = turn;
        client_run_kept(c);
    }
    if (list_first(&all->woken)) loop_do_not_wait(all->core->loop);
}

void clients_before_send(struct clients *all)
{
    run_woken(all);
    clients_keep_memory(all);
    list_each(&all->dead, dead)
    {
        struct client *c = list_entry(dead, struct client, pending);
        if (!c->running) client_free(c);
    }
}

static void close_idle(struct client *c, int64_t now_ms)
{
    int timeout_s = c->core->settings->net.timeout_s;
    if (!timeout_s || c->follower || c->session.blocked || client_class(c) == CLIENT_PUBSUB) return;
    if (now_ms - c->last_interaction_ms <= (int64_t)timeout_s * 1000) return;
    log_verbose("Closing idle client");
    client_close(c);
}

/* A stranger may be here and say nothing, as Redis lets him; he may not make us keep anything for long. */
static void close_lingering(struct client *c, int64_t now_ms)
{
    bool holds = c->query || (c->conn && conn_unsent(c->conn) > 0);
    if (c->session.user || c->session.blocked || !holds) {
        c->stranger_holds_since_ms = 0;
    } else if (!c->stranger_holds_since_ms) {
        c->stranger_holds_since_ms = now_ms;
    } else if (now_ms - c->stranger_holds_since_ms > STRANGER_HOLDS_MS) {
        log_verbose("Closing client id=%llu that holds memory without having authenticated",
                    (unsigned long long)c->session.id);
        client_close(c);
    }
}

static void client_cron(struct client *c, int64_t now_ms)
{
    if (c->close_asap) return;
    close_idle(c, now_ms);
    close_lingering(c, now_ms);
    if (c->conn && !c->close_asap && c->soft_limit_since_ms) client_output_within_limit(c, conn_unsent(c->conn));
    client_note_buffers(c, c->query_len, 0);
    client_account_now(c);
}

/* Every client about once a second, a slice each tick. */
void clients_cron(struct clients *all, int64_t now_ms)
{
    size_t slice = all->all.count / (size_t)(all->core->settings->server.hz) + 5;
    if (slice > all->all.count) slice = all->all.count;
    while (slice--) {
        if (!all->cron_position || all->cron_position == &all->all.head) all->cron_position = all->all.head.next;
        if (all->cron_position == &all->all.head) return;
        struct client *c = list_entry(all->cron_position, struct client, node);
        all->cron_position = all->cron_position->next;
        client_cron(c, now_ms);
    }
}
