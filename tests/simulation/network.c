/* See network.h. The simulator. */
#include "tests/simulation/network.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "tests/simulation/node.h"
#include "tests/simulation/plan.h"

#include <string.h>

#define RESEND_LEAST_MS 200
#define RESEND_MOST_MS  2000
#define FIRST_RESEND_MS 1000 /* of what opens a connection */

enum piece_kind { PIECE_OPEN, PIECE_OPENED, PIECE_DATA, PIECE_CLOSE };

struct piece {
    struct piece *next;
    enum piece_kind kind;
    int64_t due_ms;
    struct packet packet; /* its bytes stand behind */
    uint8_t bytes[];
};

/* From end `i` to the other one. */
struct way {
    struct piece *first, *last;
    size_t bytes;
    bool scheduled;
    bool closed; /* a close has been sent: nothing follows */
    int64_t resend_ms;
};

struct connection {
    conn_id id; /* 0: free */
    enum purpose purpose;
    int node[2];
    int place; /* which end 0 has dialled */
    bool open[2];
    uint64_t tag[2];
    struct way way[2];
};

struct network {
    struct connection *list;
    size_t count, room;
    conn_id last_id;
    int cuts[NODES_MAX][NODES_MAX];
    int64_t slow_ms;
    unsigned slow_loss_percent;
    bool calm;
};

void network_new(struct world *w)
{
    w->network = mem_calloc(1, sizeof *w->network);
}

static void drop_pieces(struct way *way)
{
    for (struct piece *p = way->first, *next; p; p = next) {
        next = p->next;
        mem_free(p);
    }
    way->first = way->last = NULL;
    way->bytes = 0;
}

void network_free(struct world *w)
{
    struct network *n = w->network;
    for (size_t i = 0; i < n->count; i++)
        for (int end = 0; end < 2; end++) drop_pieces(&n->list[i].way[end]);
    mem_free(n->list);
    mem_free(n);
}

/* A place in the list stands in an id's lower half. */
static struct connection *find(const struct world *w, conn_id id)
{
    const struct network *n = w->network;
    size_t at = (uint32_t)id;
    return id && at < n->count && n->list[at].id == id ? &n->list[at] : NULL;
}

static int end_of(const struct connection *c, int node)
{
    return c->node[1] == node;
}

static struct connection *make(struct network *n)
{
    size_t at = 0;
    while (at < n->count && n->list[at].id) at++;
    if (at == n->room) {
        n->room = n->room ? 2 * n->room : 64;
        n->list = mem_realloc(n->list, n->room * sizeof *n->list);
    }
    if (at == n->count) n->count++;
    n->list[at] = (struct connection){.id = ++n->last_id << 32 | at};
    return &n->list[at];
}

static void free_if_over(struct connection *c)
{
    if (c->open[0] || c->open[1] || c->way[0].first || c->way[1].first || c->way[0].scheduled || c->way[1].scheduled)
        return;
    c->id = 0;
}

/* --- the way of a piece --- */

static int64_t draw_delay_ms(struct world *w)
{
    const struct plan *plan = w->plan;
    const struct network *n = w->network;
    int64_t delay_ms = plan->delay_ms + (int64_t)world_below(w, (uint64_t)plan->jitter_ms + 1);
    if (n->slow_ms) delay_ms += (int64_t)world_below(w, (uint64_t)n->slow_ms + 1);
    unsigned loss_percent = n->calm ? 0 : plan->loss_percent + n->slow_loss_percent;
    for (int64_t again_ms = RESEND_LEAST_MS; world_percent(w, loss_percent) && again_ms <= RESEND_MOST_MS;
         again_ms *= 2)
        delay_ms += again_ms;
    return delay_ms;
}

static void deliver(struct world *w, int node, uint64_t arg);

static void schedule(struct world *w, struct connection *c, int end, int64_t delay_ms)
{
    struct way *way = &c->way[end];
    if (way->scheduled) return;
    way->scheduled = true;
    /* The lower half of an id names its place, which is small: one bit more is the end. */
    world_after(w, delay_ms > 0 ? delay_ms : 0, NOBODY, deliver, c->id << 1 | (uint64_t)end);
}

static void put(struct world *w, struct connection *c, int end, enum piece_kind kind, const struct packet *packet)
{
    static const struct packet nothing;
    struct way *way = &c->way[end];
    if (way->closed) return;
    if (!packet) packet = &nothing;
    struct piece *p = mem_alloc(sizeof *p + packet->len);
    *p = (struct piece){.kind = kind, .due_ms = w->now_ms + draw_delay_ms(w), .packet = *packet};
    if (packet->len) memcpy(p->bytes, packet->bytes, packet->len);
    p->packet.bytes = p->bytes;
    if (way->last && way->last->due_ms > p->due_ms) p->due_ms = way->last->due_ms;
    if (way->last)
        way->last->next = p;
    else
        way->first = p;
    way->last = p;
    way->bytes += packet->len;
    way->closed = kind == PIECE_CLOSE;
    if (way->first == p) schedule(w, c, end, p->due_ms - w->now_ms);
}

/* Nobody is there for what has arrived: the sender is told so. */
static void refuse(struct world *w, struct connection *c, int sender)
{
    drop_pieces(&c->way[sender]);
    if (c->open[sender]) put(w, c, !sender, PIECE_CLOSE, NULL);
}

static void opened(struct world *w, struct connection *c, int receiver)
{
    conn_id id = c->id;
    int node = c->node[receiver];
    if (receiver == 0) {
        if (!c->open[0]) return;
        node_opened(w, node, id);
        return;
    }
    c->open[1] = true;
    put(w, c, 1, PIECE_OPENED, NULL);
    node_accepted(w, node, id);
}

static void arrive(struct world *w, struct connection *c, int sender, struct piece *p)
{
    int receiver = !sender, node = c->node[receiver];
    conn_id id = c->id;
    if (p->kind == PIECE_OPEN) {
        if (w->nodes[node].running && w->nodes[node].place == c->place)
            opened(w, c, receiver);
        else
            refuse(w, c, sender);
        return;
    }
    if (!c->open[receiver]) {
        if (p->kind != PIECE_CLOSE) refuse(w, c, sender);
        return;
    }
    if (p->kind == PIECE_OPENED) opened(w, c, receiver);
    if (p->kind == PIECE_DATA) node_received(w, node, id, &p->packet);
    if (p->kind != PIECE_CLOSE) return;
    c->open[receiver] = false;
    put(w, c, receiver, PIECE_CLOSE, NULL);
    node_closed(w, node, id);
}

/* How long the first piece has to wait; 0: it can arrive now. */
static int64_t held_back_ms(struct world *w, const struct connection *c, int sender)
{
    int from = c->node[sender], to = c->node[!sender];
    const struct node *n = &w->nodes[to];
    struct way *way = &((struct connection *)c)->way[sender];
    /* A connection opens by a piece each way. */
    bool cut = network_is_cut(w, from, to) || (way->first->kind == PIECE_OPEN && network_is_cut(w, to, from));
    if (cut || !n->powered) {
        int64_t least_ms = way->first->kind == PIECE_OPEN ? FIRST_RESEND_MS : RESEND_LEAST_MS;
        way->resend_ms = way->resend_ms ? 2 * way->resend_ms : least_ms;
        if (way->resend_ms > RESEND_MOST_MS) way->resend_ms = RESEND_MOST_MS;
        return way->resend_ms;
    }
    way->resend_ms = 0;
    return n->running && n->paused_until_ms > w->now_ms ? n->paused_until_ms - w->now_ms : 0;
}

static void deliver(struct world *w, int node, uint64_t arg)
{
    conn_id id = arg >> 1;
    int sender = (int)(arg & 1);
    struct connection *c = find(w, id);
    (void)node;
    if (!c) return;
    struct way *way = &c->way[sender];
    way->scheduled = false;
    struct piece *p = way->first;
    if (!p) {
        free_if_over(c);
        return;
    }
    int64_t wait_ms = p->due_ms > w->now_ms ? p->due_ms - w->now_ms : held_back_ms(w, c, sender);
    if (wait_ms) {
        schedule(w, c, sender, wait_ms);
        return;
    }
    way->first = p->next;
    if (!p->next) way->last = NULL;
    way->bytes -= p->packet.len;
    arrive(w, c, sender, p);
    mem_free(p);
    c = find(w, id); /* the list may have moved */
    if (!c) return;
    way = &c->way[sender];
    if (way->first)
        schedule(w, c, sender, way->first->due_ms - w->now_ms);
    else
        free_if_over(c);
}

/* --- what programs do --- */

conn_id network_connect(struct world *w, int from, int to, enum purpose purpose, uint64_t tag)
{
    struct connection *c = make(w->network);
    c->purpose = purpose;
    c->node[0] = from;
    c->node[1] = to;
    c->place = w->nodes[to].place;
    c->open[0] = true;
    c->tag[0] = tag;
    put(w, c, 0, PIECE_OPEN, NULL);
    return c->id;
}

void network_close(struct world *w, int node, conn_id conn)
{
    struct connection *c = find(w, conn);
    if (!c) return;
    int end = end_of(c, node);
    if (!c->open[end]) return;
    c->open[end] = false;
    put(w, c, end, PIECE_CLOSE, NULL);
}

void network_send(struct world *w, int node, conn_id conn, const struct packet *packet)
{
    struct connection *c = find(w, conn);
    if (c && c->open[end_of(c, node)]) put(w, c, end_of(c, node), PIECE_DATA, packet);
}

size_t network_unsent_bytes(const struct world *w, int node, conn_id conn)
{
    const struct connection *c = find(w, conn);
    return c ? c->way[end_of(c, node)].bytes : 0;
}

bool network_is_open(const struct world *w, int node, conn_id conn)
{
    const struct connection *c = find(w, conn);
    return c && c->open[end_of(c, node)];
}

int network_other(const struct world *w, int node, conn_id conn)
{
    const struct connection *c = find(w, conn);
    return c ? c->node[!end_of(c, node)] : NOBODY;
}

enum purpose network_purpose(const struct world *w, conn_id conn)
{
    const struct connection *c = find(w, conn);
    CHECK(c);
    return c->purpose;
}

uint64_t network_tag(const struct world *w, int node, conn_id conn)
{
    const struct connection *c = find(w, conn);
    return c ? c->tag[end_of(c, node)] : 0;
}

void network_set_tag(struct world *w, int node, conn_id conn, uint64_t tag)
{
    struct connection *c = find(w, conn);
    if (c) c->tag[end_of(c, node)] = tag;
}

/* --- what can be wrong --- */

void network_cut(struct world *w, int from, int to, bool begins)
{
    w->network->cuts[from][to] += begins ? 1 : -1;
    CHECK(w->network->cuts[from][to] >= 0);
}

bool network_is_cut(const struct world *w, int from, int to)
{
    return w->network->cuts[from][to] > 0;
}

void network_slow(struct world *w, int64_t delay_ms, unsigned loss_percent)
{
    w->network->slow_ms = delay_ms;
    w->network->slow_loss_percent = loss_percent;
}

void network_calm(struct world *w)
{
    w->network->calm = true;
}

void network_process_died(struct world *w, int node, bool power_lost)
{
    struct network *n = w->network;
    for (size_t i = 0; i < n->count; i++) {
        struct connection *c = &n->list[i];
        if (!c->id || (c->node[0] != node && c->node[1] != node)) continue;
        int end = end_of(c, node);
        if (power_lost) drop_pieces(&c->way[end]);
        if (!c->open[end]) continue;
        c->open[end] = false;
        if (!power_lost) put(w, c, end, PIECE_CLOSE, NULL);
    }
}

void network_half_open(struct world *w, int node)
{
    struct network *n = w->network;
    size_t candidates = 0;
    for (size_t i = 0; i < n->count; i++)
        candidates += n->list[i].id && n->list[i].node[0] == node && n->list[i].open[0] && n->list[i].open[1];
    if (!candidates) return;
    size_t chosen = world_below(w, candidates);
    for (size_t i = 0; i < n->count; i++) {
        struct connection *c = &n->list[i];
        if (!c->id || c->node[0] != node || !c->open[0] || !c->open[1] || chosen--) continue;
        c->open[0] = false;
        drop_pieces(&c->way[0]);
        world_trace(w, node, "its end of a connection to %s is gone", w->nodes[c->node[1]].name);
        node_closed(w, node, c->id);
        return;
    }
}
