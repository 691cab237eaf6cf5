/* See comeback.h. Server process of the master; pure. */
#include "repl/comeback.h"

#include "repl/wire.h"

#include <stdio.h>
#include <strings.h>

void comeback_begin(struct comeback *c, const char *id, uint64_t offset, int64_t wait_ms, int64_t now_ms)
{
    *c = (struct comeback){.open = wait_ms > 0, .offset = offset, .since_ms = now_ms, .wait_ms = wait_ms};
    snprintf(c->id, sizeof c->id, "%s", id);
}

static bool is_over(const struct comeback *c, bool watched, int64_t now_ms)
{
    bool longer = watched && c->wait_ms < COMEBACK_WATCHED_PATIENCE_MS;
    return !c->open || now_ms - c->since_ms >= (longer ? COMEBACK_WATCHED_PATIENCE_MS : c->wait_ms);
}

/* PSYNC names the first byte that is still to come. */
static uint64_t bytes_ahead(const struct comeback *c, const char *asked_id, int64_t asked_offset)
{
    if (!asked_id || asked_id[0] == WIRE_NO_HISTORY[0] || asked_offset < 1) return 0;
    uint64_t has = (uint64_t)asked_offset - 1;
    if (!c->id[0]) return has;
    return strcasecmp(asked_id, c->id) == 0 && has > c->offset ? has - c->offset : 0;
}

bool comeback_holds_back(struct comeback *c, const char *asked_id, int64_t asked_offset, bool watched, int64_t now_ms)
{
    if (is_over(c, watched, now_ms)) return false;
    uint64_t ahead = bytes_ahead(c, asked_id, asked_offset);
    if (ahead > c->ahead_bytes) c->ahead_bytes = ahead;
    return ahead > 0;
}

uint64_t comeback_ahead_bytes(const struct comeback *c, bool watched, int64_t now_ms)
{
    return is_over(c, watched, now_ms) ? 0 : c->ahead_bytes;
}

void comeback_end(struct comeback *c)
{
    *c = (struct comeback){.open = false};
}
