/* The choice of the replica to promote. Sentinel process; pure. */
#include "server/sentinel/choice.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

const char *choice_obstacle(const struct candidate *c, const struct choice_limits *limits)
{
    if (c->stranger) return "it is another server at a reused address";
    if (c->down) return "it is down";
    if (!c->linked) return "no connection";
    if (c->priority == 0) return "its priority is 0";
    if (c->loading) return "it is loading its dataset";
    if (c->answered_ago_ms > limits->answer_ms) return "its last answer to PING is too old";
    if (c->info_ago_ms < 0 || c->info_ago_ms > limits->info_ms) return "its last INFO is too old";
    if (c->has_no_more) return "it follows the master that came back with less";
    if (c->master_link_down_ms > limits->master_link_ms) return "it was without its master for too long";
    return NULL;
}

/* What the choice goes by beside a candidate's own numbers. */
struct others {
    bool some_followed, some_load;
};

static bool may_be_better_soon(const struct candidate *c)
{
    return c->loading && !c->stranger && !c->down && c->linked && c->priority != 0;
}

/* A Redis without a byte of anybody's stream says 1 (seen with 7.0.15, 8.0.6 and Valkey 9.1.2). */
static bool has_something(const struct candidate *c)
{
    return c->offset > 1;
}

static const char *obstacle_among(const struct candidate *c, const struct choice_limits *limits,
                                  const struct others *others)
{
    const char *obstacle = choice_obstacle(c, limits);
    bool waits = !obstacle && !has_something(c) && others->some_load;
    return waits ? "it has nothing, and another is loading its dataset" : obstacle;
}

/* Whether a is to be promoted rather than b. */
static bool prefers(const struct candidate *a, const struct candidate *b, bool some_followed)
{
    if (a->priority != b->priority) return a->priority < b->priority;
    if (a->is_master != b->is_master) return b->is_master;
    if (some_followed && a->left_behind != b->left_behind) return b->left_behind;
    if (a->offset != b->offset) return a->offset > b->offset;
    if (!*a->run_id != !*b->run_id) return *a->run_id;
    return strcmp(a->run_id, b->run_id) < 0;
}

struct line {
    char *text;
    size_t len;
};

static void __attribute__((format(printf, 2, 3))) add(struct line *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(l->text + l->len, CHOICE_TEXT_MAX - l->len, format, args);
    va_end(args);
    if (wanted > 0 && l->len + (size_t)wanted < CHOICE_TEXT_MAX)
        l->len += (size_t)wanted;
    else
        l->text[l->len] = '\0'; /* a piece that doesn't fit is left out whole */
}

static void explain(const struct candidate *c, int count, int best, const struct choice_limits *limits,
                    const struct others *others, struct line *l)
{
    if (best >= 0)
        add(l, "%s:%d is the best: priority %" PRId64 ", offset %" PRIu64 ", run id %.8s", c[best].host, c[best].port,
            c[best].priority, c[best].offset, c[best].run_id);
    else
        add(l, "no replica can be promoted (%d known)", count);
    for (int i = 0; i < count; i++) {
        const char *obstacle = obstacle_among(&c[i], limits, others);
        bool behind = others->some_followed && c[i].left_behind;
        if (i == best) continue;
        add(l, "; %s:%d: %s, priority %" PRId64 ", offset %" PRIu64, c[i].host, c[i].port,
            obstacle         ? obstacle
            : c[i].is_master ? "it is a master itself"
            : behind         ? "it has not followed the last master"
                             : "could be as well",
            c[i].priority, c[i].offset);
        if (best >= 0 && c[i].offset > c[best].offset && !behind)
            add(l, ", WHICH IS %" PRIu64 " BYTES MORE", c[i].offset - c[best].offset);
    }
}

int choice_make(const struct candidate *candidates, int count, const struct choice_limits *limits,
                char explained[CHOICE_TEXT_MAX])
{
    int best = -1;
    struct others others = {0};
    struct line line = {explained, 0};
    for (int i = 0; i < count; i++) others.some_load |= may_be_better_soon(&candidates[i]);
    for (int i = 0; i < count; i++)
        others.some_followed |= candidates[i].followed && !obstacle_among(&candidates[i], limits, &others);
    for (int i = 0; i < count; i++) {
        if (obstacle_among(&candidates[i], limits, &others)) continue;
        if (best < 0 || prefers(&candidates[i], &candidates[best], others.some_followed)) best = i;
    }
    *explained = '\0';
    explain(candidates, count, best, limits, &others, &line);
    return best;
}
