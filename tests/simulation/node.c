/* What a node is told goes to what it is. The simulator. */
#include "tests/simulation/node.h"

#include "tests/simulation/checks.h"
#include "tests/simulation/client.h"
#include "tests/simulation/plan.h"
#include "tests/simulation/server.h"
#include "tests/simulation/server_node.h"
#include "tests/simulation/watcher.h"

#include <stdio.h>

void node_opened(struct world *w, int node, conn_id conn)
{
    switch (w->nodes[node].kind) {
    case NODE_SERVER: server_opened(w, node, conn); break;
    case NODE_SENTINEL: watcher_opened(w, node, conn); break;
    case NODE_CLIENT: client_opened(w, node, conn); break;
    }
}

/* Nobody has to know before something comes. */
void node_accepted(struct world *w, int node, conn_id conn)
{
    (void)w;
    (void)node;
    (void)conn;
}

void node_received(struct world *w, int node, conn_id conn, const struct packet *packet)
{
    switch (w->nodes[node].kind) {
    case NODE_SERVER: server_received(w, node, conn, packet); break;
    case NODE_SENTINEL: watcher_received(w, node, conn, packet); break;
    case NODE_CLIENT: client_received(w, node, conn, packet); break;
    }
}

void node_closed(struct world *w, int node, conn_id conn)
{
    switch (w->nodes[node].kind) {
    case NODE_SERVER: server_closed(w, node, conn); break;
    case NODE_SENTINEL: watcher_closed(w, node, conn); break;
    case NODE_CLIENT: client_closed(w, node, conn); break;
    }
}

void node_make(struct world *w, int node)
{
    switch (w->nodes[node].kind) {
    case NODE_SERVER: server_make(w, node); break;
    case NODE_SENTINEL: watcher_make(w, node); break;
    case NODE_CLIENT: client_make(w, node); break;
    }
}

void node_start(struct world *w, int node)
{
    struct node *n = &w->nodes[node];
    n->running = n->powered = true;
    n->life++;
    n->paused_until_ms = 0;
    world_trace(w, node, "starts");
    switch (n->kind) {
    case NODE_SERVER: server_start(w, node); break;
    case NODE_SENTINEL: watcher_start(w, node); break;
    case NODE_CLIENT: client_start(w, node); break;
    }
}

void node_die(struct world *w, int node, bool power_lost, bool disk_lost)
{
    struct node *n = &w->nodes[node];
    n->running = false;
    n->powered = !power_lost;
    n->life++;
    world_trace(w, node, "dies");
    network_process_died(w, node, power_lost);
    switch (n->kind) {
    case NODE_SERVER: server_die(w, node, power_lost, disk_lost); break;
    case NODE_SENTINEL: watcher_die(w, node, disk_lost); break;
    case NODE_CLIENT: break;
    }
}

void node_unmake(struct world *w, int node)
{
    switch (w->nodes[node].kind) {
    case NODE_SERVER: server_unmake(w, node); break;
    case NODE_SENTINEL: watcher_unmake(w, node); break;
    case NODE_CLIENT: client_unmake(w, node); break;
    }
}

void node_first_address(int node, struct sentinel_address *out)
{
    snprintf(out->host, sizeof out->host, "10.0.0.%d", node + 1);
    out->port = SERVER_PORT;
}

void node_address(const struct world *w, int node, struct sentinel_address *out)
{
    static const int ports[] = {[NODE_SERVER] = 6379, [NODE_SENTINEL] = SENTINEL_PORT, [NODE_CLIENT] = 1};
    snprintf(out->host, sizeof out->host, "10.0.0.%d", w->nodes[node].place + 1);
    out->port = ports[w->nodes[node].kind];
}

int node_at(const struct world *w, const char *host)
{
    int number;
    if (sscanf(host, "10.0.0.%d", &number) != 1) return NOBODY;
    for (int i = 0; i < w->node_count; i++)
        if (w->nodes[i].place == number - 1) return i;
    return NOBODY;
}

/* Whom a server follows it knows by address, and we by node. */
void node_change_places(struct world *w, int a, int b)
{
    int place = w->nodes[a].place;
    w->nodes[a].place = w->nodes[b].place;
    w->nodes[b].place = place;
    for (int i = 0; i < w->plan->servers; i++) server_places_changed(w, i, a, b);
}
