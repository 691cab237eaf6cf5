/* The clock of a world, and what is due. The simulator. */
#include "tests/simulation/world.h"

#include "server/base/alloc.h"
#include "server/base/check.h"
#include "tests/simulation/plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct event {
    int64_t due_ms;
    uint64_t order; /* of two that are due at once the older one comes first */
    int node;
    unsigned life;
    world_handler handler;
    uint64_t arg;
};

/* --- the heap --- */

static bool sooner(const struct event *a, const struct event *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void swap(struct event *a, struct event *b)
{
    struct event c = *a;
    *a = *b;
    *b = c;
}

static void push(struct world *w, const struct event *e)
{
    if (w->event_count == w->event_room) {
        w->event_room = w->event_room ? 2 * w->event_room : 1024;
        w->events = mem_realloc(w->events, w->event_room * sizeof *w->events);
    }
    size_t at = w->event_count++;
    w->events[at] = *e;
    for (; at && sooner(&w->events[at], &w->events[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&w->events[at], &w->events[(at - 1) / 2]);
}

static struct event pop(struct world *w)
{
    struct event first = w->events[0];
    w->events[0] = w->events[--w->event_count];
    for (size_t at = 0;;) {
        size_t child = 2 * at + 1;
        if (child >= w->event_count) break;
        if (child + 1 < w->event_count && sooner(&w->events[child + 1], &w->events[child])) child++;
        if (!sooner(&w->events[child], &w->events[at])) break;
        swap(&w->events[child], &w->events[at]);
        at = child;
    }
    return first;
}

/* --- life --- */

void world_init(struct world *w, const struct plan *plan, bool verbose)
{
    *w = (struct world){.plan = plan, .verbose = verbose, .digest = 14695981039346656037u};
    random_seed(&w->random, plan->seed);
    random_replay(plan->seed);
}

void world_free(struct world *w)
{
    mem_free(w->events);
}

void world_after(struct world *w, int64_t delay_ms, int node, world_handler handler, uint64_t arg)
{
    CHECK(delay_ms >= 0);
    push(w, &(struct event){.due_ms = w->now_ms + delay_ms,
                            .order = ++w->event_order,
                            .node = node,
                            .life = node == NOBODY ? 0 : w->nodes[node].life,
                            .handler = handler,
                            .arg = arg});
}

bool world_step(struct world *w)
{
    if (w->failed || !w->event_count) return false;
    struct event e = pop(w);
    w->now_ms = e.due_ms;
    if (e.node != NOBODY) {
        const struct node *n = &w->nodes[e.node];
        if (!n->running || n->life != e.life) return true;
        if (n->paused_until_ms > w->now_ms) { /* in the order in which they were due */
            e.due_ms = n->paused_until_ms;
            e.order = ++w->event_order;
            push(w, &e);
            return true;
        }
    }
    w->steps++;
    e.handler(w, e.node, e.arg);
    return !w->failed;
}

/* --- chance --- */

uint64_t world_below(struct world *w, uint64_t bound)
{
    return bound ? random_below(&w->random, bound) : 0;
}

bool world_percent(struct world *w, unsigned percent)
{
    return percent && world_below(w, 100) < percent;
}

/* --- nodes --- */

bool node_acts(const struct world *w, int node)
{
    return w->nodes[node].running && w->nodes[node].paused_until_ms <= w->now_ms;
}

int64_t node_now_ms(const struct world *w, int node)
{
    return w->now_ms + w->nodes[node].clock_ms;
}

void node_touched(struct world *w, int node, bool begins)
{
    w->nodes[node].faults += begins ? 1 : -1;
    w->nodes[node].touched_ms = w->now_ms;
}

bool node_was_well(const struct world *w, int node, int64_t for_ms)
{
    const struct node *n = &w->nodes[node];
    return node_acts(w, node) && !n->faults && w->now_ms - n->touched_ms >= for_ms;
}

/* --- telling --- */

/* FNV-1a: the same world leaves the same digest, whether its trace is shown or not. */
static void digest(struct world *w, const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++) w->digest = (w->digest ^ (uint8_t)line[i]) * 1099511628211u;
}

void world_trace(struct world *w, int node, const char *format, ...)
{
    char line[1600];
    int head = snprintf(line, sizeof line, "%7" PRIu64 " %9.3f %-4s ", w->steps, (double)w->now_ms / 1000,
                        node == NOBODY ? "-" : w->nodes[node].name);
    va_list args;
    va_start(args, format);
    vsnprintf(line + head, sizeof line - (size_t)head, format, args);
    va_end(args);
    digest(w, line, strlen(line));
    if (w->verbose) puts(line);
}

void world_fail(struct world *w, const char *format, ...)
{
    if (w->failed) return;
    w->failed = true;
    w->failed_step = w->steps;
    w->failed_ms = w->now_ms;
    va_list args;
    va_start(args, format);
    vsnprintf(w->failure, sizeof w->failure, format, args);
    va_end(args);
    world_trace(w, NOBODY, "FAILED: %s", w->failure);
}
