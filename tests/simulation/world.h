/* A world that can be lived through again: its clock, its chance, what is to happen in it, and the nodes it happens to.
 *
 * One process, one thread, one seed. Nothing in here asks the kernel for time or chance, and nothing goes by an
 * address: the same plan gives the same steps, to the byte of the trace.
 * Times are in virtual milliseconds since the world began.
 *
 *   world.c     the clock and what is due, the trace, the verdict
 *   network.c   connections between nodes, as TCP gives them to programs, and what can be wrong with them
 *   plan.c      what a world is made of, from its seed: nodes, settings, faults (faults.c does them)
 *   server*.c   a node that is a server: our real machines, and a model of what stands around them
 *   watcher.c   a node that is a Sentinel: our real one
 *   client.c    a node that writes, and waits for replicas
 *   checks.c    what must always hold
 *   run.c       a world from beginning to end; shrink.c the smallest schedule that still fails; main.c many of them */
#ifndef SLIPSTREAM_SIMULATION_WORLD_H
#define SLIPSTREAM_SIMULATION_WORLD_H

#include "server/base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODES_MAX      24
#define NODE_NAME_MAX  16
#define NOBODY         (-1)
#define FAULTS_MAX     64
#define SPARES         3       /* addresses where nobody is, in a world where addresses change owners */
#define CLOCK_AHEAD_MS 1000000 /* a node's own clock: never near 0 */

enum node_kind { NODE_SERVER, NODE_SENTINEL, NODE_CLIENT };

struct node {
    enum node_kind kind;
    char name[NODE_NAME_MAX];
    bool running; /* its process */
    bool powered; /* its host: where no process runs, it refuses connections */
    unsigned life;
    int place;               /* its address */
    int follows;             /* a server's, as its first configuration says, by address; NOBODY */
    bool asks;               /* it has another address: with each start it asks a Sentinel what to be */
    int64_t paused_until_ms; /* its process does nothing before */
    int64_t clock_ms;        /* its clock is so far ahead of the world's */
    int faults;              /* that are about it now */
    int64_t touched_ms;      /* the last one ended */
    void *self;              /* struct server, watcher or client: its memory, from start to death, and its disk */
};

struct world;
typedef void (*world_handler)(struct world *w, int node, uint64_t arg);

struct event;
struct network;
struct checks;
struct plan;

struct world {
    const struct plan *plan;
    struct random_state random;
    int64_t now_ms;
    uint64_t steps;
    int node_count;
    int first_neighbour;          /* behind the clients; none: first_spare */
    int first_spare, spares_used; /* nodes that never run, behind the others; none: node_count */
    struct node nodes[NODES_MAX];
    struct event *events; /* a heap */
    size_t event_count, event_room;
    uint64_t event_order;
    struct network *network;
    struct checks *checks;
    int fault_node[FAULTS_MAX]; /* whom each fault has hit */
    bool verbose, failed;
    char failure[512];
    uint64_t failed_step;
    int64_t failed_ms;
    uint64_t digest; /* of the trace */
};

void world_init(struct world *w, const struct plan *plan, bool verbose);
void world_free(struct world *w);

/* --- what is to happen --- */
/* In delay_ms. node NOBODY: whatever becomes of the nodes; else while the node lives on, and not while it is paused. */
void world_after(struct world *w, int64_t delay_ms, int node, world_handler handler, uint64_t arg);
/* The next event; false: there is none, or the world has failed. */
bool world_step(struct world *w);

/* --- chance --- */
uint64_t world_below(struct world *w, uint64_t bound);
bool world_percent(struct world *w, unsigned percent);

/* --- nodes --- */
bool node_acts(const struct world *w, int node); /* it runs, and is not paused */
int64_t node_now_ms(const struct world *w, int node);
void node_touched(struct world *w, int node, bool begins);
/* No fault has been about it for so long. */
bool node_was_well(const struct world *w, int node, int64_t for_ms);

/* --- telling --- */
void world_trace(struct world *w, int node, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The first one counts. */
void world_fail(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
