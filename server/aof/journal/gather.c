/* Gathering a batch. Journal process. */
#include "server/aof/journal/gather.h"

#include "server/aof/annotation.h"
#include "server/base/check.h"

static void begin_batch(struct gatherer *g, uint64_t file_bytes)
{
    batch_clear(&g->batch);
    g->file_bytes = file_bytes;
    if (reader_history_turn(g->reader) != g->history_turn) g->history_due = true;
}

static void note(struct gatherer *g, size_t len)
{
    batch_note(&g->batch, len);
}

/* The history as of `at`. Its second id is another name for what came before, so it needs no more than that. */
static bool position_here(struct gatherer *g, struct aof_position *p)
{
    struct control_history history;
    if (!reader_history(g->reader, &history) || strlen(history.id) != AOF_HISTORY_ID_BYTES - 1) return false;
    *p = (struct aof_position){.offset = g->at - 1, .second_offset = history.second_offset};
    memcpy(p->id, history.id, sizeof(p->id));
    memcpy(p->second_id, history.second_id, sizeof(p->second_id) - 1);
    if (p->second_offset > (int64_t)g->at) p->second_offset = (int64_t)g->at;
    g->history_turn = history.turn;
    return true;
}

static void add_head(struct gatherer *g)
{
    if (g->head.len == 0) return;
    memcpy(batch_note_room(&g->batch), g->head.ptr, g->head.len);
    note(g, g->head.len);
    g->head.len = 0;
}

static void add_timestamp(struct gatherer *g)
{
    if (!g->timestamps || g->in_multi || g->now_s == g->last_timestamp_s) return;
    g->last_timestamp_s = g->now_s;
    note(g, aof_write_timestamp(batch_note_room(&g->batch), g->now_s));
}

static void add_position(struct gatherer *g)
{
    struct aof_position here;
    if (g->history_due && position_here(g, &here))
        note(g, aof_write_history(batch_note_room(&g->batch), &here));
    else if (g->offset_due && !g->history_due)
        note(g, aof_write_offset(batch_note_room(&g->batch), g->at - 1));
    else
        return;
    g->history_due = g->offset_due = false;
}

static bool notes_due(const struct gatherer *g)
{
    return (g->head.len > 0) | g->history_due | g->offset_due | g->timestamps;
}

/* What has to stand before the next data. The time is the first of it: who cuts the file there cuts all of it. */
static void add_notes(struct gatherer *g)
{
    add_timestamp(g);
    add_head(g);
    add_position(g);
}

/* The beginning of the command at `at`, in one piece even where the ring has an edge. */
static struct bytes head_at(const struct gatherer *g, const uint8_t *here, size_t len, uint8_t room[FRAME_HEAD_BYTES])
{
    if (len >= FRAME_HEAD_BYTES) return bytes_make(here, FRAME_HEAD_BYTES);
    memcpy(room, here, len);
    struct bytes rest = reader_next_run(g->reader, g->slot, g->at + len, FRAME_HEAD_BYTES - len);
    if (rest.len) memcpy(room + len, rest.ptr, rest.len);
    return bytes_make(room, len + rest.len);
}

/* What stands before it, and what it changes. */
static void begin_command(struct gatherer *g, enum frame_kind kind)
{
    g->dropping = kind == FRAME_NO_DATA;
    if (likely(kind == FRAME_DATA && !notes_due(g))) return;
    if (g->dropping)
        g->offset_due = true;
    else
        add_notes(g);
    if (kind == FRAME_MULTI) g->in_multi = true;
    if (kind == FRAME_EXEC) g->in_multi = false;
}

/* Where the run has an edge within the command, or in a long one. Returns the bytes of it, with the frame behind them;
 * 0: the stream is not understood. */
static size_t pass_part(struct gatherer *g, const uint8_t *here, size_t len)
{
    if (g->frame.state == FRAME_OUTSIDE) {
        uint8_t room[FRAME_HEAD_BYTES];
        enum frame_kind kind = frame_kind(head_at(g, here, len, room));
        if (kind == FRAME_BAD) return 0;
        begin_command(g, kind);
        frame_begin(&g->frame);
    }
    size_t passed = frame_pass(&g->frame, here, len);
    return g->frame.state == FRAME_BROKEN ? 0 : passed;
}

static size_t pass_command(struct gatherer *g, const uint8_t *here, size_t len)
{
    enum frame_kind kind;
    const uint8_t *end = g->frame.state == FRAME_OUTSIDE ? frame_whole(here, here + len, &kind) : NULL;
    if (unlikely(!end)) return pass_part(g, here, len);
    begin_command(g, kind);
    return (size_t)(end - here);
}

static void command_ended(struct gatherer *g)
{
    g->goal = (struct position){.offset = g->at, .bytes = g->file_bytes + g->batch.bytes, .in_multi = g->in_multi};
}

/* False: the batch is full, or the stream not understood. */
static bool gather_run(struct gatherer *g, struct bytes run)
{
    const uint8_t *here = run.ptr, *end = run.ptr + run.len;
    while (here < end) {
        if (g->frame.state == FRAME_OUTSIDE && batch_is_full(&g->batch)) return false;
        size_t passed = pass_command(g, here, (size_t)(end - here));
        if (passed == 0) {
            g->broken = true;
            return false;
        }
        if (!g->dropping) batch_add(&g->batch, here, passed);
        here += passed;
        g->at += passed;
        if (g->frame.state == FRAME_OUTSIDE) command_ended(g);
    }
    return !batch_is_full(&g->batch);
}

void gatherer_gather(struct gatherer *g, uint64_t until, uint64_t file_bytes)
{
    begin_batch(g, file_bytes);
    while (g->at < until && !g->broken) {
        uint64_t most = until - g->at < BATCH_BYTES ? until - g->at : BATCH_BYTES;
        struct bytes run = reader_next_run(g->reader, g->slot, g->at, most);
        if (run.len == 0 || !gather_run(g, run)) return;
    }
}

bool gatherer_end(struct gatherer *g, uint64_t file_bytes)
{
    struct aof_position here;
    begin_batch(g, file_bytes);
    if (g->in_multi || !position_here(g, &here)) return false;
    add_head(g);
    if (g->history_due) note(g, aof_write_history(batch_note_room(&g->batch), &here));
    note(g, aof_write_end(batch_note_room(&g->batch), g->at - 1));
    g->history_due = true; /* before anything that follows an end */
    g->goal.bytes = file_bytes + g->batch.bytes;
    return true;
}

void gatherer_stand_at(struct gatherer *g, const struct position *place, struct bytes head)
{
    g->at = place->offset;
    g->in_multi = place->in_multi;
    g->frame.state = FRAME_OUTSIDE;
    g->goal = *place;
    g->head = head;
    g->history_due = true;
    g->offset_due = false;
    g->last_timestamp_s = 0;
}
