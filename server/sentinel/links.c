/* A Sentinel's connections: to each master and replica one for commands and one that hears messages, to each other
 * Sentinel one for commands. Sentinel process, on the loop's thread; names are looked up on a worker's.
 *
 * A request that needs several commands counts as the last of them: the replies before it are passed over. Whatever
 * ends a connection, the core hears of it once, and never from inside a call of its own. */
#include "server/base/alloc.h"
#include "server/base/number.h"
#include "server/base/prefetch.h"
#include "server/base/workers.h"
#include "server/core/core.h"
#include "server/core/settings.h"
#include "server/core/tls.h"
#include "server/net/conn.h"
#include "server/resp/reader.h"
#include "server/resp/writer.h"
#include "server/sentinel/process.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define OPENING_MAX_MS  3000       /* a connection that does not stand by then is given up */
#define INPUT_MAX_BYTES (16 << 20) /* more than that is no answer of a server's */
#define REPLIES_PASSED  (-1)       /* in place of a request: its reply is passed over */
#define NESTING_MAX     8

struct awaited {
    int request;  /* enum sentinel_request, or REPLIES_PASSED */
    char *master; /* of REQUEST_IS_DOWN; owned */
};

struct channel {
    struct endpoint *endpoint;
    struct conn *conn;
    struct lookup *lookup;
    bool up, opening, ended; /* ended: the core is still to hear of it */
    unsigned failures;       /* in a row */
    int64_t opening_since_ms;
    uint8_t *input;
    size_t input_len, input_room;
    struct awaited *awaited; /* a queue: from `first`, `awaited_count` of them */
    uint32_t first, awaited_count, awaited_room;
};

struct endpoint {
    struct sentinel_links *links;
    uint64_t id;
    struct channel channel[SENTINEL_LINKS];
};

struct sentinel_links {
    struct sentinel_process *process;
    bool changing;               /* some connection may be opening, or have ended: the next tick looks for them */
    struct endpoint **endpoints; /* by the lower half of an instance's id */
    size_t room;
};

struct sentinel_links *sentinel_links_new(struct sentinel_process *p)
{
    struct sentinel_links *l = mem_calloc(1, sizeof *l);
    l->process = p;
    return l;
}

static struct endpoint *find(const struct sentinel_links *l, uint64_t id)
{
    size_t at = (uint32_t)id;
    return at < l->room && l->endpoints[at] && l->endpoints[at]->id == id ? l->endpoints[at] : NULL;
}

static struct endpoint *find_or_make(struct sentinel_links *l, uint64_t id)
{
    size_t at = (uint32_t)id;
    struct endpoint *e = find(l, id);
    if (e) return e;
    if (at >= l->room) {
        size_t room = at + 16;
        l->endpoints = mem_realloc(l->endpoints, room * sizeof(struct endpoint *));
        memset(l->endpoints + l->room, 0, (room - l->room) * sizeof(struct endpoint *));
        l->room = room;
    }
    e = mem_calloc(1, sizeof *e);
    e->links = l;
    e->id = id;
    for (int i = 0; i < SENTINEL_LINKS; i++) e->channel[i].endpoint = e;
    l->endpoints[at] = e;
    return e;
}

static enum sentinel_link which(const struct channel *c)
{
    return c == &c->endpoint->channel[LINK_MESSAGES] ? LINK_MESSAGES : LINK_COMMANDS;
}

static const struct instance *instance_of(const struct channel *c)
{
    return sentinel_instance(&c->endpoint->links->process->sentinel, c->endpoint->id);
}

/* --- what is written --- */

static struct awaited *await(struct channel *c, int request)
{
    if (c->awaited_count == c->awaited_room) {
        uint32_t room = c->awaited_room ? 2 * c->awaited_room : 16;
        struct awaited *grown = mem_calloc(room, sizeof *grown);
        for (uint32_t i = 0; i < c->awaited_count; i++) grown[i] = c->awaited[(c->first + i) % c->awaited_room];
        mem_free(c->awaited);
        c->awaited = grown;
        c->awaited_room = room;
        c->first = 0;
    }
    struct awaited *a = &c->awaited[(c->first + c->awaited_count++) % c->awaited_room];
    *a = (struct awaited){.request = request};
    return a;
}

/* The name a command has there: rename-command. */
static const char *renamed(const struct channel *c, const char *command)
{
    const struct instance *i = instance_of(c);
    const struct watched_access *a = i && i->watched ? &i->watched->access : NULL;
    for (int n = 0; a && n < a->rename_count; n++)
        if (strcasecmp(a->renames[n].from, command) == 0) return a->renames[n].to;
    return command;
}

/* One command; its first word is renamed where it has to be. */
static struct awaited *write_words(struct channel *c, int request, const char *const *word, size_t count)
{
    struct reply to = {.out = conn_output(c->conn), .protocol = 2};
    reply_array(&to, count);
    reply_bulk_text(&to, renamed(c, word[0]));
    for (size_t i = 1; i < count; i++) reply_bulk_text(&to, word[i]);
    return await(c, request);
}

#define WORDS(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

#define write_command(c, request, ...) write_words(c, (int)(request), WORDS(__VA_ARGS__))

static void write_password(struct channel *c, const char *user, const char *pass)
{
    if (!pass) return;
    if (user)
        write_command(c, REPLIES_PASSED, "AUTH", user, pass);
    else
        write_command(c, REPLIES_PASSED, "AUTH", pass);
}

static void authenticate(struct channel *c)
{
    const struct sentinel_process *p = c->endpoint->links->process;
    const struct instance *i = instance_of(c);
    if (i && i->watched)
        write_password(c, i->watched->access.auth_user, i->watched->access.auth_pass);
    else if (p->peer_pass)
        write_password(c, p->peer_user, p->peer_pass);
    else if (p->core->settings->net.requirepass.len) {
        char *pass = bytes_to_text(p->core->settings->net.requirepass);
        write_password(c, NULL, pass); /* all Sentinels of a group have the same one */
        mem_free(pass);
    }
}

static void greet(struct channel *c)
{
    char name[64];
    const struct sentinel_process *p = c->endpoint->links->process;
    snprintf(name, sizeof name, "sentinel-%.8s-%s", p->sentinel.run_id, which(c) == LINK_MESSAGES ? "pubsub" : "cmd");
    authenticate(c);
    write_command(c, REPLIES_PASSED, "CLIENT", "SETNAME", name);
    if (which(c) == LINK_MESSAGES) write_command(c, REPLIES_PASSED, "SUBSCRIBE", HELLO_CHANNEL);
    conn_flush(c->conn);
}

/* All or nothing: nobody writes to the new replica in between, and its file says what it is. */
static void write_follow(struct channel *c, const struct sentinel_action *a)
{
    char port[16];
    snprintf(port, sizeof port, "%d", a->address.port);
    write_command(c, REPLIES_PASSED, "MULTI");
    if (a->request == REQUEST_PROMOTE)
        write_command(c, REPLIES_PASSED, "SLAVEOF", "NO", "ONE");
    else
        write_command(c, REPLIES_PASSED, "SLAVEOF", a->address.host, port);
    write_command(c, REPLIES_PASSED, "CONFIG", "REWRITE");
    write_command(c, REPLIES_PASSED, "CLIENT", "KILL", "TYPE", "normal");
    write_command(c, REPLIES_PASSED, "CLIENT", "KILL", "TYPE", "pubsub");
    write_command(c, (int)a->request, "EXEC");
}

/* The text names the master: the answer does not. */
static void write_is_down(struct channel *c, const struct sentinel_action *a, const char *port)
{
    char epoch[I64_TEXT_MAX];
    format_u64(epoch, a->epoch);
    struct awaited *awaited = write_command(c, REQUEST_IS_DOWN, "SENTINEL", "is-master-down-by-addr", a->address.host,
                                            port, epoch, a->run_id);
    awaited->master = mem_strdup(a->text);
}

static void write_request(struct channel *c, const struct sentinel_action *a)
{
    char port[I64_TEXT_MAX], number[I64_TEXT_MAX];
    format_i64(port, a->address.port);
    switch (a->request) {
    case REQUEST_PING: write_command(c, REQUEST_PING, "PING"); break;
    case REQUEST_INFO: write_command(c, REQUEST_INFO, "INFO"); break;
    case REQUEST_HELLO: write_command(c, REQUEST_HELLO, "PUBLISH", HELLO_CHANNEL, a->text); break;
    case REQUEST_KILL_SCRIPT: write_command(c, REQUEST_KILL_SCRIPT, "SCRIPT", "KILL"); break;
    case REQUEST_IS_DOWN: write_is_down(c, a, port); break;
    case REQUEST_HAND_OVER:
        format_i64(number, a->timeout_ms);
        write_command(c, REQUEST_HAND_OVER, "FAILOVER", "TO", a->address.host, port, "TIMEOUT", number);
        break;
    default: write_follow(c, a); break;
    }
}

/* Most of what is sent to hundreds of masters: it needs no memory of the connection's for that. */
static bool ping_in_place(struct channel *c)
{
    static const char ping[] = "*1\r\n$4\r\nPING\r\n";
    if (conn_is_secure(c->conn) || conn_unsent(c->conn) || strcmp(renamed(c, "PING"), "PING") != 0) return false;
    await(c, REQUEST_PING);
    conn_send_in_place(c->conn, ping, sizeof ping - 1);
    return true;
}

void sentinel_links_prefetch(const struct sentinel_links *l, uint64_t instance, bool near)
{
    size_t at = (uint32_t)instance;
    const struct endpoint *e = at < l->room ? l->endpoints[at] : NULL;
    if (!near) {
        prefetch_bytes(e, offsetof(struct endpoint, channel) + sizeof(struct channel));
    } else if (e) {
        conn_prefetch(e->channel[LINK_COMMANDS].conn);
        prefetch_bytes(e->channel[LINK_COMMANDS].awaited, sizeof(struct awaited));
    }
}

void sentinel_links_send(struct sentinel_links *l, const struct sentinel_action *a, bool alone)
{
    struct endpoint *e = find(l, a->instance);
    if (!e || !e->channel[LINK_COMMANDS].up) return;
    struct channel *c = &e->channel[LINK_COMMANDS];
    if (alone && a->request == REQUEST_PING && ping_in_place(c)) return;
    write_request(c, a);
    conn_flush(c->conn);
}

/* --- what arrives --- */

#define PARTS 3 /* of no answer the fourth element is read */

struct heard {
    struct resp_value value;
    struct resp_value part[PARTS]; /* of an array: its first elements, as many as it has */
};

/* The length of one whole reply, 0: it has not come yet, -1: that is none. */
static ptrdiff_t reply_length(const uint8_t *input, size_t len, int depth, struct resp_value *value)
{
    struct resp_value element;
    size_t head;
    enum resp_status status = resp_reply_read(input, len, value, &head);
    if (status != RESP_COMPLETE) return status == RESP_NEED_MORE ? 0 : -1;
    if (value->type != RESP_ARRAY || value->null) return (ptrdiff_t)head;
    if (depth == NESTING_MAX) return -1;
    for (int64_t i = 0; i < value->integer; i++) {
        ptrdiff_t more = reply_length(input + head, len - head, depth + 1, &element);
        if (more <= 0) return more;
        head += (size_t)more;
    }
    return (ptrdiff_t)head;
}

/* The same, and what it says: nothing is read twice. */
static ptrdiff_t read_reply(const uint8_t *input, size_t len, struct heard *out)
{
    struct resp_value spare;
    size_t head;
    enum resp_status status = resp_reply_read(input, len, &out->value, &head);
    if (status != RESP_COMPLETE) return status == RESP_NEED_MORE ? 0 : -1;
    if (out->value.type != RESP_ARRAY) return (ptrdiff_t)head;
    for (int64_t i = 0; i < out->value.integer; i++) {
        ptrdiff_t more = reply_length(input + head, len - head, 1, i < PARTS ? &out->part[i] : &spare);
        if (more <= 0) return more;
        head += (size_t)more;
    }
    return (ptrdiff_t)head;
}

static bool has_parts(const struct heard *h)
{
    return h->value.type == RESP_ARRAY && h->value.integer == PARTS;
}

static void heard_message(struct channel *c, const struct heard *h)
{
    if (!has_parts(h) || !bytes_equal_text(h->part[0].text, "message")) return;
    sentinel_process_event(
        c->endpoint->links->process,
        &(struct sentinel_event){.kind = SENTINEL_EVENT_HELLO, .instance = c->endpoint->id, .text = h->part[2].text});
}

/* An empty queue begins anew at its start: what is asked once a second stays within one line of the cache. */
static struct awaited take_awaited(struct channel *c)
{
    struct awaited a = c->awaited[c->first];
    c->first = --c->awaited_count ? (c->first + 1) % c->awaited_room : 0;
    return a;
}

static void heard_answer(const struct channel *c, const struct awaited *a, const struct heard *h)
{
    if (a->request == REPLIES_PASSED) return;
    struct sentinel_event event = {.kind = SENTINEL_EVENT_REPLY,
                                   .instance = c->endpoint->id,
                                   .request = (enum sentinel_request)a->request,
                                   .error = h->value.type == RESP_ERROR_REPLY,
                                   .text = h->value.text};
    if (a->request == REQUEST_IS_DOWN) {
        event.error = !has_parts(h);
        event.text = bytes_from_text(a->master);
    }
    if (a->request == REQUEST_IS_DOWN && has_parts(h)) {
        event.down = h->part[0].integer == 1;
        event.leader = h->part[1].text;
        event.epoch = h->part[2].integer > 0 ? (uint64_t)h->part[2].integer : 0;
    }
    sentinel_process_event(c->endpoint->links->process, &event);
}

static void heard_reply(struct channel *c, const struct heard *h)
{
    if (!c->awaited_count) return;
    struct awaited a = take_awaited(c);
    heard_answer(c, &a, h); /* the channel may be gone behind it */
    mem_free(a.master);
}

static void drop(struct channel *c);

static void keep_input(struct channel *c, const uint8_t *data, size_t len)
{
    if (c->input_len + len > c->input_room) {
        c->input_room = 2 * (c->input_len + len);
        c->input = mem_realloc(c->input, c->input_room);
    }
    memcpy(c->input + c->input_len, data, len);
    c->input_len += len;
}

/* How many bytes were whole replies; -1: the connection is ours no more. What a reply leads to may end it. */
static ptrdiff_t hear(struct channel *c, struct conn *conn, const uint8_t *data, size_t len)
{
    struct sentinel_links *l = c->endpoint->links;
    uint64_t id = c->endpoint->id;
    enum sentinel_link link = which(c);
    struct heard heard;
    size_t at = 0;
    while (at < len) {
        ptrdiff_t whole = read_reply(data + at, len - at, &heard);
        if (whole < 0) {
            drop(c);
            return -1;
        }
        if (!whole) break;
        if (link == LINK_MESSAGES)
            heard_message(c, &heard);
        else
            heard_reply(c, &heard);
        at += (size_t)whole;
        struct endpoint *e = find(l, id);
        if (!e || e->channel[link].conn != conn) return -1;
    }
    return (ptrdiff_t)at;
}

/* Behind a part of a reply that has come before. */
static void hear_kept(struct channel *c, struct conn *conn)
{
    uint8_t *input = c->input;
    size_t len = c->input_len, room = c->input_room;
    c->input = NULL;
    c->input_len = c->input_room = 0;
    ptrdiff_t used = hear(c, conn, input, len);
    if (used < 0) {
        mem_free(input);
        return;
    }
    memmove(input, input + used, len - (size_t)used);
    c->input = input;
    c->input_len = len - (size_t)used;
    c->input_room = room;
}

static void on_data(struct conn *conn, const uint8_t *data, size_t len)
{
    struct channel *c = conn_owner(conn);
    if (c->input_len + len > INPUT_MAX_BYTES) {
        drop(c);
    } else if (c->input_len) {
        keep_input(c, data, len);
        hear_kept(c, conn);
    } else {
        ptrdiff_t used = hear(c, conn, data, len);
        if (used >= 0 && (size_t)used < len) keep_input(c, data + used, len - (size_t)used);
    }
}

/* --- beginning and end --- */

struct lookup {
    struct worker_job job;
    struct channel *channel; /* NULL: nobody waits */
    struct sentinel_address wanted;
    unsigned attempt;
    int error;
    struct address found;
};

static void forget_input(struct channel *c)
{
    c->input_len = 0;
    while (c->awaited_count) mem_free(take_awaited(c).master);
}

/* The connection is gone; the core hears of it at the next tick. */
static void ended(struct channel *c)
{
    c->conn = NULL;
    c->up = c->opening = false;
    c->ended = c->endpoint->links->changing = true;
    forget_input(c);
}

static void drop(struct channel *c)
{
    if (c->conn) conn_close(c->conn);
    if (c->lookup) c->lookup->channel = NULL;
    c->lookup = NULL;
    ended(c);
}

static void tell_ended(struct channel *c)
{
    c->ended = false;
    sentinel_process_event(
        c->endpoint->links->process,
        &(struct sentinel_event){.kind = SENTINEL_EVENT_UNLINKED, .instance = c->endpoint->id, .link = which(c)});
}

static void on_closed(struct conn *conn, int error)
{
    struct channel *c = conn_owner(conn);
    (void)error;
    ended(c);
    tell_ended(c); /* the loop's own call: nothing of the core's is under way */
}

static void on_connected(struct conn *conn, int error)
{
    struct channel *c = conn_owner(conn);
    char ip[ADDRESS_TEXT_MAX], local[ADDRESS_TEXT_MAX];
    struct address at;
    if (error) {
        c->failures++;
        ended(c);
        tell_ended(c);
        return;
    }
    c->opening = false;
    c->up = true;
    c->failures = 0;
    conn_set_nodelay(conn, true);
    conn_peer_address(conn, &at);
    address_ip_text(&at, ip);
    conn_local_address(conn, &at);
    address_ip_text(&at, local);
    greet(c);
    sentinel_process_event(
        c->endpoint->links->process,
        &(struct sentinel_event){
            .kind = SENTINEL_EVENT_LINKED, .instance = c->endpoint->id, .link = which(c), .ip = ip, .local_ip = local});
}

/* Of hundreds of masters each is heard of once a second, and is in no cache by then. */
static void on_announced(struct conn *conn, const uint8_t *data, size_t len, bool near)
{
    const struct channel *c = conn_owner(conn);
    (void)data;
    (void)len;
    sentinel_prefetch(&c->endpoint->links->process->sentinel, c->endpoint->id, near);
    if (near) prefetch_bytes(c->awaited, sizeof *c->awaited);
}

static const struct conn_events channel_events = {
    .data = on_data, .announced = on_announced, .closed = on_closed, .connected = on_connected};

static void dial(struct channel *c, const struct address *to)
{
    const struct core *core = c->endpoint->links->process->core;
    c->conn = conn_connect(core->loop, to, NULL, &channel_events, c);
    if (!c->conn)
        ended(c);
    else if (core->settings->tls.tls_replication && core->tls->client)
        conn_secure(c->conn, core->tls->client);
}

/* A name may have several addresses: each attempt that fails goes on to the next. */
static void look_up(struct worker_job *job)
{
    struct lookup *l = (struct lookup *)job;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV},
                    *found = NULL;
    char port[16];
    snprintf(port, sizeof port, "%d", l->wanted.port);
    l->error = getaddrinfo(l->wanted.host, port, &hints, &found);
    if (l->error) return;
    unsigned count = 0, wanted;
    for (const struct addrinfo *at = found; at; at = at->ai_next) count++;
    wanted = l->attempt % count;
    const struct addrinfo *at = found;
    while (wanted--) at = at->ai_next;
    memcpy(&l->found.storage, at->ai_addr, at->ai_addrlen);
    l->found.len = at->ai_addrlen;
    freeaddrinfo(found);
}

static void looked_up(struct worker_job *job)
{
    struct lookup *l = (struct lookup *)job;
    struct channel *c = l->channel;
    if (c) c->lookup = NULL;
    if (c && l->error) ended(c);
    if (c && !l->error) dial(c, &l->found);
    mem_free(l);
}

/* A name is looked up anew each time: what it stood for may have moved. */
void sentinel_links_connect(struct sentinel_links *l, const struct sentinel_action *a)
{
    struct channel *c = &find_or_make(l, a->instance)->channel[a->link];
    struct address to;
    c->opening = l->changing = true;
    c->opening_since_ms = sentinel_process_now_ms(l->process);
    if (address_parse(&to, a->address.host, a->address.port) == 0) {
        dial(c, &to);
    } else if (l->process->resolve_hostnames) {
        struct lookup *job = mem_calloc(1, sizeof *job);
        job->job.run = look_up;
        job->job.done = looked_up;
        job->channel = c;
        job->wanted = a->address;
        job->attempt = c->failures;
        c->lookup = job;
        workers_submit(WORKER_RESOLVE, &job->job);
    } else {
        ended(c);
    }
}

void sentinel_links_disconnect(struct sentinel_links *l, uint64_t instance, enum sentinel_link link)
{
    struct endpoint *e = find(l, instance);
    if (e) drop(&e->channel[link]);
}

void sentinel_links_forget(struct sentinel_links *l, uint64_t instance)
{
    struct endpoint *e = find(l, instance);
    if (!e) return;
    l->endpoints[(uint32_t)instance] = NULL;
    for (int i = 0; i < SENTINEL_LINKS; i++) {
        drop(&e->channel[i]);
        mem_free(e->channel[i].input);
        mem_free(e->channel[i].awaited);
    }
    mem_free(e);
}

static void channel_tick(struct channel *c, int64_t now_ms)
{
    struct sentinel_links *l = c->endpoint->links;
    if (c->opening && now_ms - c->opening_since_ms > OPENING_MAX_MS) {
        c->failures++;
        drop(c);
    }
    l->changing |= c->opening;
    if (c->ended) tell_ended(c);
}

void sentinel_links_tick(struct sentinel_links *l, int64_t now_ms)
{
    if (!l->changing) return;
    l->changing = false;
    for (size_t at = 0; at < l->room; at++)
        for (int i = 0; i < SENTINEL_LINKS && l->endpoints[at]; i++)
            channel_tick(&l->endpoints[at]->channel[i], now_ms);
}
