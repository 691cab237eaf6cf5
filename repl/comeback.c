/* See comeback.h. Server process of the master; pure. */
#include "repl/comeback.h"

void comeback_begin(struct comeback *c, bool from_nothing, int64_t wait_ms, int64_t now_ms)
{
    *c = (struct comeback){.from_nothing = from_nothing, .since_ms = now_ms, .wait_ms = wait_ms};
}

static bool is_over(const struct comeback *c, bool watched, int64_t now_ms)
{
    bool longer = c->wait_ms && watched && c->wait_ms < COMEBACK_WATCHED_PATIENCE_MS;
    return now_ms - c->since_ms >= (longer ? COMEBACK_WATCHED_PATIENCE_MS : c->wait_ms);
}

/* PSYNC names the first byte that is still to come, as second_offset does. */
static uint64_t bytes_ahead(const struct comeback *c, const struct history *h, enum resync_reason reason,
                            int64_t asked_offset)
{
    if (c->from_nothing) return reason == RESYNC_UNKNOWN_ID && asked_offset > 0 ? (uint64_t)asked_offset - 1 : 0;
    return reason == RESYNC_PAST_SECOND_ID ? (uint64_t)(asked_offset - h->second_offset) : 0;
}

bool comeback_holds_back(struct comeback *c, const struct history *h, enum resync_reason reason, int64_t asked_offset,
                         bool watched, int64_t now_ms)
{
    if (is_over(c, watched, now_ms)) return false;
    uint64_t ahead = bytes_ahead(c, h, reason, asked_offset);
    if (ahead > c->ahead_bytes) c->ahead_bytes = ahead;
    return ahead > 0;
}

bool comeback_needs_second_id(const struct comeback *c, bool watched, int64_t now_ms)
{
    return !c->from_nothing && !is_over(c, watched, now_ms);
}

uint64_t comeback_ahead_bytes(const struct comeback *c, bool watched, int64_t now_ms)
{
    return is_over(c, watched, now_ms) ? 0 : c->ahead_bytes;
}

void comeback_end(struct comeback *c)
{
    *c = (struct comeback){.wait_ms = 0};
}
