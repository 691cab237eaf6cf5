/* See client.h. The simulator. */
#include "tests/simulation/client.h"

#include "server/base/alloc.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/server.h"

#define PATIENCE_MS     3000
#define WAIT_TIMEOUT_MS 1000
#define BURST_EVERY_MS  4
#define PADDING_MOST    200
#define BURST_PADDING   400

enum step { STEP_REST, STEP_FIND, STEP_WRITE, STEP_WAIT };

struct client {
    enum step step;
    conn_id conn;
    int server; /* it is connected with; NOBODY */
    uint64_t write, turn;
    bool bursting, stopped;
};

static struct client *client_of(const struct world *w, int node)
{
    return w->nodes[node].self;
}

static void go_on(struct world *w, int node, uint64_t turn);

static void rest(struct world *w, int node, int64_t delay_ms)
{
    struct client *c = client_of(w, node);
    c->step = STEP_REST;
    world_after(w, delay_ms, node, go_on, ++c->turn);
}

static void start_over(struct world *w, int node)
{
    struct client *c = client_of(w, node);
    network_close(w, node, c->conn);
    c->conn = 0;
    c->server = NOBODY;
    rest(w, node, 100 + (int64_t)world_below(w, 200));
}

static void lose_patience(struct world *w, int node, uint64_t turn)
{
    if (client_of(w, node)->turn == turn) start_over(w, node);
}

static void expect(struct world *w, int node, enum step step, int64_t within_ms)
{
    struct client *c = client_of(w, node);
    c->step = step;
    world_after(w, within_ms, node, lose_patience, ++c->turn);
}

static void write_one(struct world *w, int node)
{
    struct client *c = client_of(w, node);
    c->write = checks_new_write(w);
    uint64_t padding = c->bursting ? BURST_PADDING : world_below(w, PADDING_MOST);
    network_send(w, node, c->conn, &(struct packet){.what = SAYS_WRITE, .number = {c->write, padding}});
    expect(w, node, STEP_WRITE, PATIENCE_MS);
}

static void go_on(struct world *w, int node, uint64_t turn)
{
    struct client *c = client_of(w, node);
    if (c->turn != turn || c->stopped) return;
    if (c->server != NOBODY) {
        write_one(w, node);
        return;
    }
    int sentinel = w->plan->servers + (int)world_below(w, (uint64_t)w->plan->sentinels);
    c->conn = network_connect(w, node, sentinel, FOR_CLIENT, 0);
    expect(w, node, STEP_FIND, PATIENCE_MS);
}

static int64_t pace_ms(struct world *w, const struct client *c)
{
    if (c->bursting) return BURST_EVERY_MS;
    return w->plan->write_every_ms / 2 + (int64_t)world_below(w, (uint64_t)w->plan->write_every_ms);
}

void client_opened(struct world *w, int node, conn_id conn)
{
    struct client *c = client_of(w, node);
    if (conn != c->conn) return;
    if (c->server != NOBODY)
        write_one(w, node);
    else
        network_send(w, node, conn, &(struct packet){.what = SAYS_WHERE});
}

static void found(struct world *w, int node, int master)
{
    struct client *c = client_of(w, node);
    if (master < 0 || master >= w->plan->servers) {
        start_over(w, node);
        return;
    }
    network_close(w, node, c->conn);
    c->server = master;
    c->conn = network_connect(w, node, master, FOR_CLIENT, 0);
    expect(w, node, STEP_FIND, PATIENCE_MS);
}

static void written(struct world *w, int node, const struct packet *p)
{
    struct client *c = client_of(w, node);
    uint64_t replicas = (uint64_t)w->plan->wait_for;
    if (p->number[1]) {
        start_over(w, node);
        return;
    }
    if (c->bursting || world_percent(w, 20)) {
        rest(w, node, pace_ms(w, c));
        return;
    }
    network_send(w, node, c->conn,
                 &(struct packet){.what = SAYS_WAIT, .number = {c->write, replicas, WAIT_TIMEOUT_MS}});
    expect(w, node, STEP_WAIT, PATIENCE_MS);
}

void client_received(struct world *w, int node, conn_id conn, const struct packet *p)
{
    struct client *c = client_of(w, node);
    if (conn != c->conn) return;
    if (p->what == SAYS_THERE && c->step == STEP_FIND) found(w, node, (int)(int64_t)p->number[0]);
    if (p->what == SAYS_WRITTEN && c->step == STEP_WRITE && p->number[0] == c->write) written(w, node, p);
    if (p->what == SAYS_WAITED && c->step == STEP_WAIT && p->number[0] == c->write) rest(w, node, pace_ms(w, c));
}

void client_closed(struct world *w, int node, conn_id conn)
{
    struct client *c = client_of(w, node);
    if (conn != c->conn) return;
    c->conn = 0;
    start_over(w, node);
}

void client_make(struct world *w, int node)
{
    struct client *c = mem_calloc(1, sizeof *c);
    c->server = NOBODY;
    w->nodes[node].self = c;
}

void client_start(struct world *w, int node)
{
    rest(w, node, (int64_t)world_below(w, 1000));
}

void client_unmake(struct world *w, int node)
{
    mem_free(w->nodes[node].self);
}

void client_bursts(struct world *w, int node, bool begins)
{
    client_of(w, node)->bursting = begins;
}

void client_stops(struct world *w, int node)
{
    client_of(w, node)->stopped = true;
}
