/* Replication histories and the resync decision. Server process; pure, so that a simulator and a table of cases can run
 * it.
 *
 * Offsets count as PSYNC does: the first byte of a history is number 1, `offset` is the last byte's so far. */
#include "repl/history.h"

#include "repl/wire.h"
#include "server/base/random.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NO_ID "0000000000000000000000000000000000000000"

static void clear_second(struct history *h)
{
    memcpy(h->second_id, NO_ID, sizeof h->second_id);
    h->second_offset = -1;
}

static void draw_id(char id[HISTORY_ID_TEXT])
{
    random_hex(id, HISTORY_ID_TEXT - 1);
    id[HISTORY_ID_TEXT - 1] = '\0';
}

void history_init(struct history *h)
{
    h->offset = 0;
    history_new_id(h);
}

void history_new_id(struct history *h)
{
    draw_id(h->id);
    clear_second(h);
}

static void remember_as_second(struct history *h)
{
    memcpy(h->second_id, h->id, sizeof h->second_id);
    h->second_offset = (int64_t)h->offset + 1;
}

void history_shift_id(struct history *h)
{
    remember_as_second(h);
    draw_id(h->id);
}

void history_adopt(struct history *h, const char *id, uint64_t offset)
{
    snprintf(h->id, sizeof h->id, "%s", id);
    h->offset = offset;
    clear_second(h);
}

void history_continue_as(struct history *h, const char *new_id)
{
    if (strcmp(h->id, new_id) == 0) return;
    remember_as_second(h);
    snprintf(h->id, sizeof h->id, "%s", new_id);
}

static enum resync_reason judge(const struct history *h, const struct resync_window *window, const char *asked_id,
                                int64_t asked_offset, bool *by_second_id)
{
    *by_second_id = false;
    if (!asked_id) return RESYNC_NO_PSYNC;
    if (asked_id[0] == WIRE_NO_HISTORY[0]) return RESYNC_FIRST_TIME;
    if (strcasecmp(asked_id, h->id) != 0) {
        if (h->second_offset < 0 || strcasecmp(asked_id, h->second_id) != 0) return RESYNC_UNKNOWN_ID;
        if (asked_offset > h->second_offset) return RESYNC_PAST_SECOND_ID;
        *by_second_id = true;
    }
    if (!window->present) return RESYNC_NO_BACKLOG;
    if (asked_offset < 0 || (uint64_t)asked_offset < window->first) return RESYNC_TOO_OLD;
    if ((uint64_t)asked_offset > window->end) return RESYNC_FROM_THE_FUTURE;
    return RESYNC_CONTINUE;
}

struct resync_decision resync_decide(const struct history *h, const struct resync_window *window, const char *asked_id,
                                     int64_t asked_offset)
{
    struct resync_decision d = {0};
    bool by_second_id;
    d.reason = judge(h, window, asked_id, asked_offset, &by_second_id);
    if (d.reason != RESYNC_CONTINUE) return d;
    d.from = (uint64_t)asked_offset;
    d.id_changed = by_second_id;
    return d;
}

void resync_explain(const struct resync_decision *d, const struct history *h, const struct resync_window *window,
                    const char *asked_id, int64_t asked_offset, char out[512])
{
    long long asked = asked_offset, first = (long long)window->first, end = (long long)window->end;
    long long second = h->second_offset;
    switch (d->reason) {
    case RESYNC_CONTINUE:
        snprintf(out, 512, "it asked for %s:%lld, %s; the backlog holds %lld to %lld", asked_id, asked,
                 d->id_changed ? "our history before the last change of id" : "our history", first, end - 1);
        return;
    case RESYNC_FIRST_TIME: snprintf(out, 512, "it has no history to continue"); return;
    case RESYNC_NO_PSYNC: snprintf(out, 512, "it asked with SYNC, which cannot continue a history"); return;
    case RESYNC_NO_BACKLOG:
        snprintf(out, 512, "Unable to partial resync for lack of backlog (Replica request was: %s:%lld)", asked_id,
                 asked);
        return;
    case RESYNC_UNKNOWN_ID:
        snprintf(out, 512,
                 "Partial resynchronization not accepted: Replication ID mismatch (Replica asked for '%s:%lld', my "
                 "replication IDs are '%s' and '%s')",
                 asked_id, asked, h->id, h->second_id);
        return;
    case RESYNC_PAST_SECOND_ID:
        snprintf(
            out, 512,
            "Partial resynchronization not accepted: Requested offset for second ID %s was %lld, but I can reply up "
            "to %lld",
            h->second_id, asked, second);
        return;
    case RESYNC_TOO_OLD:
        snprintf(
            out, 512,
            "Unable to partial resync for lack of backlog (Replica request was: %lld, the oldest byte kept is %lld, "
            "%llu bytes are missing)",
            asked, first, (unsigned long long)window->first - (unsigned long long)asked);
        return;
    case RESYNC_FROM_THE_FUTURE:
        snprintf(out, 512, "Unable to partial resync (Replica request was: %lld, but our history ends at %lld)", asked,
                 end - 1);
        return;
    case RESYNC_UNKNOWN_WORDS:
        snprintf(out, 512,
                 "Partial resynchronization not accepted: what it has been sent, or would be sent from %lld on, has "
                 "commands that it may not know",
                 asked);
        return;
    }
}
